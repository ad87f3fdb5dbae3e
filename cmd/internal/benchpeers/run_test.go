package benchpeers

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"securesocket/client"
	"securesocket/cmd/internal/benchpeers/load"
)

// asRole makes this test's program play a role.
const asRole = "play-a-role"

func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == asRole {
		if err := RunRole(context.Background(), os.Args[2:], os.Stdin, os.Stdout, os.Stderr); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// tinyPlan runs every scenario, and measures nothing that anybody should believe.
func tinyPlan() Plan {
	return Plan{
		Rounds: 2, Slice: 5 * time.Millisecond, BulkSessions: []int{1, 2}, EchoSessions: []int{2}, Messages: []int{64},
		Crowds: []int{20, 60}, Weigh: 60, Settle: 100 * time.Millisecond, Pace: 500, PaceFor: 20 * time.Millisecond, Limit: 90 * time.Second,
	}
}

func config(t *testing.T, plan Plan) Config {
	t.Helper()
	if _, err := os.Stat("/proc/self/stat"); err != nil {
		t.Skip("there is no /proc here, which CPU and memory are read from")
	}
	self, err := os.Executable()
	require.NoError(t, err)
	return Config{Self: []string{self, asRole}, Plan: plan, Ghostunnel: os.Getenv("GHOSTUNNEL")}
}

// children are the processes that this one has started and not yet waited for.
func children(t *testing.T) (found []string) {
	t.Helper()
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	require.NoError(t, err)
	for _, name := range stats {
		content, err := os.ReadFile(name)
		if err != nil {
			continue // it has ended meanwhile
		}
		_, rest, _ := strings.Cut(string(content), ") ")
		if fields := strings.Fields(rest); len(fields) > 1 && fields[1] == fmt.Sprint(os.Getpid()) {
			found = append(found, string(content))
		}
	}
	return found
}

// Not parallel, nor are the others that start processes: it counts them.
func TestEveryScenarioOfEveryWay(t *testing.T) {
	r, err := Run(t.Context(), config(t, tinyPlan()))
	require.NoError(t, err)
	require.Empty(t, children(t))
	for _, note := range r.Notes {
		require.Regexp(t, "left out|reduced", note)
		t.Log(note)
	}
	require.Subset(t, r.Ways(), []string{Direct, Shared, Dedicated, Resumable})
	titles := map[string]bool{}
	for _, row := range r.rows {
		titles[row.title] = true
		_, ok := r.median(row, Shared)
		require.True(t, ok, row.title)
		for _, way := range r.Ways() {
			v, ok := r.median(row, way)
			switch {
			case strings.Contains(row.title, "CPU"), strings.Contains(row.title, "memory"):
				require.Equal(t, way != Direct, ok, "%s, %s", row.title, way)
				// Less than a tick, and less than what a process gives back meanwhile, are zero and less.
				require.False(t, math.IsNaN(v) || math.IsInf(v, 0), "%s, %s", row.title, way)
			case strings.Contains(row.title, "resumption"):
				require.True(t, ok || way != Direct)
			default:
				require.True(t, ok, "%s, %s", row.title, way)
				require.Positive(t, v, "%s, %s", row.title, way)
				require.False(t, math.IsInf(v, 0), "%s, %s", row.title, way)
			}
		}
	}
	for _, title := range []string{
		"bulk down, 1 session", "bulk up, 2 sessions", "bulk up, 2 sessions, CPU of the process in between",
		"echo of 64 B, 2 sessions, p99", "new sessions", "new sessions, TLS session resumption",
		"memory of an idle session, of 60, after 16 KiB", "500 messages/s of 64 B over 60 sessions, p99",
	} {
		require.True(t, titles[title], title)
	}
	requireDocuments(t, r)
}

func TestLimitLeavesOut(t *testing.T) {
	plan := tinyPlan()
	plan.Limit = time.Nanosecond
	r, err := Run(t.Context(), config(t, plan))
	require.NoError(t, err)
	require.Empty(t, children(t))
	require.Empty(t, r.rows)
	require.Len(t, r.Notes, 1)
	requireDocuments(t, r)
}

func TestCancelEndsEverything(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	c := config(t, tinyPlan())
	c.Progress = writerFunc(func(p []byte) (int, error) { cancel(); return len(p), nil })
	_, err := Run(ctx, c)
	require.ErrorIs(t, err, context.Canceled)
	require.Empty(t, children(t))
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

func TestNoServiceIsAnError(t *testing.T) {
	c := config(t, tinyPlan())
	c.Self = []string{"/bin/false"}
	_, err := Run(t.Context(), c)
	require.Error(t, err)
	require.Empty(t, children(t))
}

func TestStopKillsWhatDoesNotEnd(t *testing.T) {
	p, err := startProcess(t.TempDir(), "stubborn", nil, nil, "/bin/sh", "-c", `trap "" TERM; echo ready; while :; do sleep 0.1; done`)
	require.NoError(t, err)
	require.NoError(t, p.await(t.Context(), func() error {
		if said, err := os.ReadFile(p.log); err != nil || len(said) == 0 {
			return errors.New("it has not said that it ignores SIGTERM")
		}
		return nil
	}))
	p.stop()
	status, ok := p.cmd.ProcessState.Sys().(syscall.WaitStatus)
	require.True(t, ok)
	require.Equal(t, syscall.SIGKILL, status.Signal())
	require.Empty(t, children(t))
}

// The row about resumption must be about resumption.
func TestServiceResumes(t *testing.T) {
	b := &bench{config: config(t, tinyPlan()), dir: t.TempDir()}
	end, err := b.startPeers(t.Context())
	require.NoError(t, err)
	defer end()
	service, err := b.startService(func(*client.Dialer) {})(t.Context(), "s")
	require.NoError(t, err)
	defer service.end()
	for _, want := range []bool{false, true, true} {
		var resumed bool
		s, err := load.Open(t.Context(), func(ctx context.Context) (net.Conn, error) {
			conn, err := service.resuming(ctx)
			if err == nil {
				resumed = conn.(*client.Conn).ConnectionState().DidResume
			}
			return conn, err
		})
		require.NoError(t, err)
		_, err = s.Echo(64) // the ticket comes with it
		require.NoError(t, err)
		require.NoError(t, s.Close())
		require.Equal(t, want, resumed)
	}
}

func TestUnknownRole(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{nil, {rolePeer}, {"king", "file"}} {
		require.Error(t, RunRole(t.Context(), args, strings.NewReader(""), &strings.Builder{}, &strings.Builder{}))
	}
}
