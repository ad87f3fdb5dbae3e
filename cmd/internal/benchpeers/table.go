package benchpeers

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// timesUnit is that of a row that is a ratio itself.
const timesUnit = "x"

// microseconds is a duration as a figure.
func microseconds(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }

// bytesTitle is a size in words.
func bytesTitle(n int) string {
	if n >= 1<<10 && n%(1<<10) == 0 {
		return strconv.Itoa(n>>10) + " KiB"
	}
	return strconv.Itoa(n) + " B"
}

// thousands is a number with a comma before its last three digits, if it has more.
func thousands(n int) string {
	if n < 1_000 {
		return strconv.Itoa(n)
	}
	return fmt.Sprintf("%s,%03d", thousands(n/1_000), n%1_000)
}

// number is a figure with three digits that count.
func number(v float64) string {
	switch size := math.Abs(v); {
	case size >= 999.5:
		return thousands(int(math.Round(v)))
	case size >= 100:
		return strconv.FormatFloat(v, 'f', 0, 64)
	case size >= 10:
		return strconv.FormatFloat(v, 'f', 1, 64)
	default:
		return strconv.FormatFloat(v, 'f', 2, 64)
	}
}

// value is the text of a cell.
func (r *Report) value(row row, way string) string {
	if v, ok := r.median(row, way); ok {
		return number(v)
	}
	return "-"
}

// cells is the table: a line of heads, and one for each row.
func (r *Report) cells() [][]string {
	lines := [][]string{append([]string{"median of the run", "unit"}, r.Ways()...)}
	for _, row := range r.rows {
		line := []string{row.title, row.unit}
		for _, way := range r.Ways() {
			line = append(line, r.value(row, way))
		}
		lines = append(lines, line)
	}
	return lines
}

// ratios compares the service with each of the others: above 1 is more of what the row says.
func (r *Report) ratios() [][]string {
	head := []string{"service, shared, divided by"}
	var others []string
	for _, way := range r.Ways() {
		if way != Shared {
			others = append(others, way)
		}
	}
	lines := [][]string{append(head, others...)}
	for _, row := range r.rows {
		ours, ok := r.median(row, Shared)
		if !ok || row.unit == timesUnit {
			continue
		}
		line := []string{row.title + better(row)}
		measured := false
		for _, way := range others {
			text := "-"
			if theirs, ok := r.median(row, way); ok && theirs > 0 {
				text, measured = strconv.FormatFloat(ours/theirs, 'f', 2, 64), true
			}
			line = append(line, text)
		}
		if measured {
			lines = append(lines, line)
		}
	}
	return lines
}

func better(row row) string {
	if row.more {
		return " (more is better)"
	}
	return " (less is better)"
}

// facts are what must be known to read the table.
func (r *Report) facts() []string {
	plan := r.plan
	return []string{
		fmt.Sprintf("%s, on %s.", r.Began.UTC().Format(time.DateOnly), r.Machine),
		fmt.Sprintf("Measured: %s.", strings.Join(r.Versions, "; ")),
		fmt.Sprintf("%d rounds, %v for each figure of a round; %v in all.", plan.Rounds, plan.Slice, r.Took.Round(time.Second)),
	}
}

// Text is the report for a terminal.
func (r *Report) Text() string {
	var out strings.Builder
	for _, fact := range r.facts() {
		out.WriteString(fact + "\n")
	}
	for _, lines := range [][][]string{r.cells(), r.ratios()} {
		out.WriteByte('\n')
		widths := make([]int, len(lines[0]))
		for _, line := range lines {
			for i, text := range line {
				widths[i] = max(widths[i], utf8.RuneCountInString(text))
			}
		}
		for _, line := range lines {
			for i, text := range line {
				pad := strings.Repeat(" ", widths[i]-utf8.RuneCountInString(text))
				if i == 0 {
					out.WriteString(text + pad)
				} else {
					out.WriteString("  " + pad + text)
				}
			}
			out.WriteByte('\n')
		}
	}
	if len(r.Notes) > 0 {
		out.WriteByte('\n')
	}
	for _, note := range r.Notes {
		out.WriteString("note: " + note + "\n")
	}
	return out.String()
}

// markdown is the same for docs.
func (r *Report) markdown(command string) string {
	var out strings.Builder
	for _, fact := range r.facts() {
		out.WriteString(fact + "\n")
	}
	fmt.Fprintf(&out, "Made by `%s`.\n", command)
	for _, lines := range [][][]string{r.cells(), r.ratios()} {
		out.WriteByte('\n')
		for i, line := range lines {
			out.WriteString("| " + strings.Join(line, " | ") + " |\n")
			if i == 0 {
				out.WriteString("|---" + strings.Repeat("|---:", len(line)-1) + "|\n")
			}
		}
	}
	if len(r.Notes) > 0 {
		out.WriteByte('\n')
	}
	for _, note := range r.Notes {
		out.WriteString("- " + note + "\n")
	}
	return out.String()
}
