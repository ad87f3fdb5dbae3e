package main

import (
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	pb "securesocket/gen/securesocket/v1"
)

// connects makes many connects that fail at once, each with its line in the
// log.
func connects(tb testing.TB, d *daemon, n int) {
	tb.Helper()
	c := d.client(tb)
	resp, err := c.CreateSession(tb.Context(), &pb.CreateSessionRequest{})
	require.NoError(tb, err)
	for range n {
		_, err := c.Connect(tb.Context(), &pb.ConnectRequest{SessionId: resp.GetSession().GetSessionId(), Host: "10.0.0.1", Port: 443})
		require.Equal(tb, "EGRESS_DENIED", reasonOf(tb, err))
	}
}

func TestLogThatNobodyReadsHoldsUpNothing(t *testing.T) {
	t.Parallel()
	r, w, err := os.Pipe()
	require.NoError(t, err)
	defer r.Close()
	d := start(t, 1, func(cmd *exec.Cmd) { cmd.Stderr = w })
	require.NoError(t, w.Close())
	connects(t, d, 2000)
	require.NoError(t, d.cmd.Process.Signal(syscall.SIGTERM))
	require.Zero(t, d.exit(t))
}

func TestReaderOfTheLogGoesAway(t *testing.T) {
	t.Parallel()
	r, w, err := os.Pipe()
	require.NoError(t, err)
	d := start(t, 1, func(cmd *exec.Cmd) { cmd.Stderr = w })
	require.NoError(t, w.Close())
	require.NoError(t, r.Close())
	connects(t, d, 10)
	require.NoError(t, d.cmd.Process.Signal(syscall.SIGTERM))
	require.Zero(t, d.exit(t))
}

func TestDroppedLinesAreCounted(t *testing.T) {
	t.Parallel()
	r, w := io.Pipe()
	log := newLogWriter(w)
	for range 3 * logLines {
		_, err := log.Write([]byte("line\n"))
		require.NoError(t, err)
	}
	read := make(chan string)
	go func() {
		b, _ := io.ReadAll(r)
		read <- string(b)
	}()
	log.Close()
	require.NoError(t, w.Close())
	got := <-read
	require.Contains(t, got, "log lines were dropped")
	require.LessOrEqual(t, strings.Count(got, "line\n"), logLines+1)
	_, err := log.Write([]byte("late\n"))
	require.NoError(t, err)
}
