package benchpeers

import (
	"slices"
	"time"
)

// Report is what a Run has measured.
type Report struct {
	// Began is when it began, Took how long it took.
	Began time.Time
	Took  time.Duration
	// Machine says what it ran on, Versions what was measured.
	Machine  string
	Versions []string
	// Notes say what is missing, and why.
	Notes []string

	plan    Plan
	rows    []row
	samples map[cell][]float64
}

// row is one line of the table; two with the same title are the same.
type row struct {
	title, unit string
	more        bool // is better
}

type cell struct {
	row row
	way string
}

func newReport(config Config) *Report {
	return &Report{
		Began: time.Now(), Machine: machine(), Versions: versions(config.Version), plan: config.Plan,
		samples: map[cell][]float64{},
	}
}

// add adds samples of one way. Rows are in the order in which they come first.
func (r *Report) add(way string, figures ...figure) {
	for _, f := range figures {
		if !slices.Contains(r.rows, f.row) {
			r.rows = append(r.rows, f.row)
		}
		at := cell{f.row, way}
		r.samples[at] = append(r.samples[at], f.value)
	}
}

// Ways are those that anything was measured of, in the order of the table.
func (r *Report) Ways() []string {
	var names []string
	for _, name := range []string{Direct, Shared, Dedicated, Resumable, Ghostunnel, Haproxy, Stunnel} {
		for at := range r.samples {
			if at.way == name {
				names = append(names, name)
				break
			}
		}
	}
	return names
}

// median is the median of a cell's samples, if it has any.
func (r *Report) median(row row, way string) (float64, bool) {
	samples := slices.Sorted(slices.Values(r.samples[cell{row, way}]))
	switch n := len(samples); {
	case n == 0:
		return 0, false
	case n%2 == 0:
		return (samples[n/2-1] + samples[n/2]) / 2, true
	default:
		return samples[n/2], true
	}
}
