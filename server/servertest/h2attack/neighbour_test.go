package h2attack_test

import (
	"context"
	"os"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"securesocket/server/servertest/h2attack"
)

// most is what an attack may add to the memory of the process: of the server,
// and of the attacker, who lives in it. The race detector has its own.
const most = raceFactor * 64 << 20

// hungry are attacks that grpc-go alone does not bound: it keeps up to 10,000
// SETTINGS frames until it has acknowledged them, of 16 KiB each.
var hungry = map[string]bool{"SETTINGS of 2,000 settings": true}

// TestThreat38FloodsHarmNoNeighbour runs each flood beside a caller, whose calls all have
// to succeed.
func TestThreat38FloodsHarmNoNeighbour(t *testing.T) { //nolint:paralleltest // it measures the process
	o := h2attack.Options{Count: 12_000, Timeout: 5 * time.Second}
	if testing.Short() {
		o.Count = 2_000
	}
	const window = 150 * time.Millisecond
	for name, start := range targets(t) {
		t.Run(name, func(t *testing.T) {
			for _, attack := range h2attack.Floods() {
				t.Run(attack.Name, func(t *testing.T) {
					target := start(t) // a door lets nobody in again who has flooded
					o.Path = target.path
					alone := during(t, target, window, nil)
					var r h2attack.Result
					var err error
					beside := during(t, target, window, func() { r, err = attack.Run(t.Context(), target.dial, o) })
					require.NoError(t, err)
					require.Positive(t, r.Frames)
					if !hungry[attack.Name] || target.guarded {
						require.Less(t, beside.peak-alone.peak, most)
					}
					t.Logf("p99 %v, alone %v (x%.1f); %v, CPU %v for %d frames, %d KiB; memory +%d KiB; %v, goaway %v %v %s, answered %v; %v, resets %v, %d acks",
						beside.p99, alone.p99, float64(beside.p99)/float64(alone.p99), beside.took.Round(time.Millisecond),
						beside.cpu.Round(time.Millisecond), r.Frames, r.Bytes>>10, (beside.peak-alone.peak)>>10,
						r.End, r.GoAway, r.Code, r.Debug, r.Answered, r.Responses, r.Resets, r.PingAcks+r.SettingsAcks)
				})
			}
		})
	}
}

// measure is of a caller while something goes on.
type measure struct {
	p99, took, cpu time.Duration
	peak           int // bytes that are resident, at most
}

// during calls target for as long as f runs, and for a time at least.
func during(tb testing.TB, target target, least time.Duration, f func()) measure {
	tb.Helper()
	debug.FreeOSMemory()
	require.NoError(tb, target.call(tb.Context()))
	begin, cpu := time.Now(), processor(tb)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if f != nil {
			f()
		}
	}()
	var m measure
	var took []time.Duration
	for over := false; !over; {
		select {
		case <-ended:
			over = time.Since(begin) >= least
		default:
		}
		start := time.Now()
		ctx, cancel := context.WithTimeout(tb.Context(), 10*time.Second)
		require.NoError(tb, target.call(ctx))
		cancel()
		took = append(took, time.Since(start))
		if len(took)%16 == 1 {
			m.peak = max(m.peak, resident(tb))
		}
	}
	<-ended
	slices.Sort(took)
	m.p99, m.took, m.cpu = took[len(took)*99/100], time.Since(begin), processor(tb)-cpu
	return m
}

// resident is how much memory the process has.
func resident(tb testing.TB) int {
	tb.Helper()
	text, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		tb.Skip("no /proc: ", err)
	}
	pages, err := strconv.Atoi(strings.Fields(string(text))[1])
	require.NoError(tb, err)
	return pages * os.Getpagesize()
}

// processor is how much time the process has had of it.
func processor(tb testing.TB) time.Duration {
	tb.Helper()
	var u syscall.Rusage
	require.NoError(tb, syscall.Getrusage(syscall.RUSAGE_SELF, &u))
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
