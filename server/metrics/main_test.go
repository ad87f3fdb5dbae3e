package metrics_test

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"securesocket/server"
	"securesocket/server/door"
	"securesocket/server/metrics"
	"securesocket/session"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// everything tells all that there is to tell.
func everything() metrics.Config {
	return metrics.Config{
		Reason: server.ReasonOf, Version: "v1.2.3",
		Stats: func() session.Stats { return session.Stats{Sessions: 3, Handshakes: 2, Buffered: 1 << 20, Received: 5} },
		Door: func() door.Stats {
			return door.Stats{Open: 7, Refused: map[door.Limit]uint64{door.LimitCaller: 4}, Flooded: 1}
		},
		Policy:          func() metrics.Policy { return metrics.Policy{Revision: "abc\xff", Loaded: time.UnixMilli(1500)} },
		LogLinesDropped: func() uint64 { return 9 },
		Memory:          func() (used, limit int64) { return 10, 20 },
		Descriptors:     func() (open, limit int, err error) { return 30, 40, nil },
	}
}

type families map[string]*dto.MetricFamily

// scrape reads all that the handler tells, as a monitoring system does.
func scrape(tb testing.TB, m *metrics.Metrics) families {
	tb.Helper()
	w := httptest.NewRecorder()
	m.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	require.Equal(tb, http.StatusOK, w.Code)
	require.Contains(tb, w.Header().Get("Content-Type"), "text/plain")
	body, err := io.ReadAll(w.Body)
	require.NoError(tb, err)
	parser := expfmt.NewTextParser(model.UTF8Validation)
	all, err := parser.TextToMetricFamilies(strings.NewReader(string(body)))
	require.NoError(tb, err)
	return all
}

// series counts the series of all metrics whose names begin with prefix, with the
// buckets of histograms.
func (f families) series(prefix string) (n int) {
	for name, family := range f {
		if !strings.HasPrefix(name, prefix) {
			continue
		}
		for _, m := range family.GetMetric() {
			if h := m.GetHistogram(); h != nil {
				n += len(h.GetBucket()) + 2
				continue
			}
			n++
		}
	}
	return n
}

// value returns the value of one series; labels are names and values in turn.
func (f families) value(tb testing.TB, name string, labels ...string) float64 {
	tb.Helper()
	for _, m := range f[name].GetMetric() {
		var have []string
		for _, l := range m.GetLabel() {
			have = append(have, l.GetName(), l.GetValue())
		}
		if !slices.Equal(have, labels) {
			continue
		}
		switch {
		case m.GetCounter() != nil:
			return m.GetCounter().GetValue()
		case m.GetGauge() != nil:
			return m.GetGauge().GetValue()
		case m.GetHistogram() != nil:
			return float64(m.GetHistogram().GetSampleCount())
		}
	}
	require.Fail(tb, "no such series", "%s %v", name, labels)
	return 0
}

// labelValues has every value of every label but the bounds of buckets.
func (f families) labelValues() (all []string) {
	for _, family := range f {
		for _, m := range family.GetMetric() {
			for _, l := range m.GetLabel() {
				all = append(all, l.GetValue())
			}
		}
	}
	return all
}

var errMade = errors.New("made up")

// moved has our own series that are not 0, without the prefix, with their labels but
// those that the version and the policy have.
func (f families) moved() map[string]float64 {
	all := map[string]float64{}
	for name, family := range f {
		short, ok := strings.CutPrefix(name, "securesocket_")
		if !ok {
			continue
		}
		for _, m := range family.GetMetric() {
			key := short
			for _, l := range m.GetLabel() {
				if short != "build_info" && short != "policy_info" {
					key += " " + l.GetName() + " " + l.GetValue()
				}
			}
			v := m.GetCounter().GetValue() + m.GetGauge().GetValue() + float64(m.GetHistogram().GetSampleCount())
			if v != 0 {
				all[key] = v
			}
		}
	}
	return all
}
