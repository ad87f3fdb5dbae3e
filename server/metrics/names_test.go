package metrics_test

import (
	"flag"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	pb "securesocket/gen/securesocket/v1"
	"securesocket/server/metrics"
	"securesocket/session"
)

var update = flag.Bool("update", false, "write testdata/names.txt")

// TestNames: dashboards and alerts know these names, types and labels, so that a
// change of one is to be noticed. What Go and the system tell of a process is not
// ours to promise.
func TestNames(t *testing.T) {
	t.Parallel()
	m := metrics.New(everything())
	told(t, m, "LIMIT", "sessions")
	m.Handled(pb.SecureSocketService_GetSession_FullMethodName, nil, time.Millisecond)
	m.Ended(session.End{Took: time.Second})
	var lines []string
	for name, family := range scrape(t, m) {
		if strings.HasPrefix(name, "go_") || strings.HasPrefix(name, "process_") {
			continue
		}
		labels := map[string]bool{}
		for _, metric := range family.GetMetric() {
			for _, l := range metric.GetLabel() {
				labels[l.GetName()] = true
			}
		}
		var names []string
		for l := range labels {
			names = append(names, l)
		}
		slices.Sort(names)
		require.NotEmpty(t, family.GetHelp(), name)
		lines = append(lines, strings.TrimSpace(name+" "+strings.ToLower(family.GetType().String())+" "+strings.Join(names, ",")))
	}
	slices.Sort(lines)
	got := strings.Join(lines, "\n") + "\n"
	const golden = "testdata/names.txt"
	if *update {
		require.NoError(t, os.WriteFile(golden, []byte(got), 0o600))
	}
	want, err := os.ReadFile(golden)
	require.NoError(t, err)
	require.Equal(t, string(want), got)
}

// TestGoAndProcess: what Go tells is there; what the system tells is where it does.
func TestGoAndProcess(t *testing.T) {
	t.Parallel()
	f := scrape(t, metrics.New(metrics.Config{}))
	require.Contains(t, f, "go_goroutines")
	if _, err := os.Stat("/proc/self/stat"); err == nil {
		require.Contains(t, f, "process_resident_memory_bytes")
	}
}
