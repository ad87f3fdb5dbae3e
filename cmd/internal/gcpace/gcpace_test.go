package gcpace

import (
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestPercent(t *testing.T) {
	t.Parallel()
	const mib = 1 << 20
	for _, c := range []struct {
		name     string
		heap, of uint64
		want     int
	}{
		{"nothing lives: the smallest heap is the room", 0, 0, 300},
		{"little lives: the goal is not below the smallest heap", mib, 2 * mib, 337},
		{"as much as the room: GOGC is near its own", 8 * mib, 16 * mib, 100},
		{"much lives", 600 * mib, 1200 * mib, 26},
		{"very much lives: a quarter is left", 1 << 50, 1 << 51, 25},
	} {
		require.Equal(t, c.want, percent(c.heap, c.of), c.name)
	}
}

// Alone in the process: the pace is the process's.
func TestStart(t *testing.T) {
	t.Setenv("GOGC", "")
	t.Setenv("GOMEMLIMIT", "")
	before := current()
	stop := Start()
	t.Cleanup(func() { debug.SetGCPercent(before) })
	require.NotEqual(t, usual, current())

	live := make([]byte, 256<<20)
	require.Eventually(t, func() bool { // finalizers run when they run
		runtime.GC()
		return current() < 60
	}, 10e9, 1e6, "after a cycle it is that of what lives")
	runtime.KeepAlive(live)

	stop()
	stop()
	require.Equal(t, usual, current())
	runtime.GC()
	require.Equal(t, usual, current())
}

// A cycle after work is followed by one at rest, and that one by none.
func TestRest(t *testing.T) {
	p := newPacer()
	before := current()
	t.Cleanup(func() { p.stop(); debug.SetGCPercent(before) })
	p.watch()
	require.NotNil(t, p.rest)
	p.look()
	require.NotNil(t, p.rest, "there was work: all of what the process has allocated")
	garbage = make([]byte, 2*quietBytes)
	p.look()
	require.NotNil(t, p.rest, "there was work")
	p.look()
	require.Nil(t, p.rest)
	p.watch()
	require.Nil(t, p.rest, "the rest's own cycle")
	p.watch()
	require.NotNil(t, p.rest)
}

var garbage []byte // on the heap

func TestStartLeavesTheOperatorsOwn(t *testing.T) {
	for _, name := range []string{"GOGC", "GOMEMLIMIT"} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("GOGC", "")
			t.Setenv("GOMEMLIMIT", "")
			t.Setenv(name, "70")
			before := current()
			stop := Start()
			defer stop()
			require.Equal(t, before, current())
		})
	}
}

func current() int {
	s := []metrics.Sample{{Name: "/gc/gogc:percent"}}
	metrics.Read(s)
	return int(s[0].Value.Uint64()) //nolint:gosec // a percentage
}
