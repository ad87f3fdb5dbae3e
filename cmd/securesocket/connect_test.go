package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/stretchr/testify/require"

	pb "securesocket/gen/securesocket/v1"
	"securesocket/tlsengine/tlstest"
)

func TestConnectPipesBothWays(t *testing.T) {
	t.Parallel()
	p := startPeer(t, tlstest.Echo)
	sent := make([]byte, 3<<20)
	_, _ = rand.Read(sent)
	var stdout, stderr bytes.Buffer
	code := run(t.Context(), append([]string{"connect", p.address, "--cafile", p.cafile}, local...), bytes.NewReader(sent), &stdout, &stderr)
	require.Equal(t, exitDone, code, stderr.String())
	require.True(t, bytes.Equal(sent, stdout.Bytes()))
	require.Empty(t, stderr.String())
}

// The peer answers after the end of stdin and no sooner: only a half-close lets both sides come to their end.
func TestConnectHalfCloses(t *testing.T) {
	t.Parallel()
	p := startPeer(t, func(conn *tls.Conn) {
		all, err := io.ReadAll(conn) // to the caller's close_notify
		if err == nil {
			_, _ = conn.Write([]byte("got " + strconv.Itoa(len(all))))
			tlstest.CloseNotify(conn)
		}
	})
	r := runWith(t.Context(), strings.NewReader("12345"), append([]string{"connect", p.address, "--cafile", p.cafile}, local...)...)
	require.Equal(t, exitDone, r.code, r.stderr)
	require.Equal(t, "got 5", r.stdout)
}

// A peer that takes a half-close for the end gets none, if asked for: the end of stdin is not told before its own.
func TestConnectKeepsItsDirectionOpen(t *testing.T) {
	t.Parallel()
	p := startPeer(t, func(conn *tls.Conn) {
		_, _ = io.ReadFull(conn, make([]byte, 5))
		_ = conn.SetReadDeadline(time.Now().Add(200 * time.Millisecond))
		if _, err := conn.Read(make([]byte, 1)); errors.Is(err, os.ErrDeadlineExceeded) {
			_, _ = conn.Write([]byte("answer"))
			tlstest.CloseNotify(conn)
			return
		}
		tlstest.Truncate(conn)
	})
	args := append([]string{"connect", "--cafile", p.cafile, p.address, "--no-half-close"}, local...)
	r := runWith(t.Context(), strings.NewReader("12345"), args...)
	require.Equal(t, exitDone, r.code, r.stderr)
	require.Equal(t, "answer", r.stdout)
	require.Empty(t, r.stderr)

	p = startPeer(t, func(conn *tls.Conn) {
		_, _ = io.ReadAll(conn) // to the caller's close_notify
		tlstest.Truncate(conn)
	})
	args = append([]string{"connect", "--cafile", p.cafile, p.address}, local...)
	r = runWith(t.Context(), strings.NewReader("12345"), args...)
	require.Equal(t, exitTruncated, r.code, r.stderr)
	require.Contains(t, r.stderr, "--no-half-close", "the remedy")
}

// The peer's end is the end, even if stdin goes on.
func TestConnectEndsWithThePeer(t *testing.T) {
	t.Parallel()
	p := startPeer(t, func(conn *tls.Conn) {
		_, _ = conn.Write([]byte("bye"))
		tlstest.CloseNotify(conn)
	})
	stdin, hold := io.Pipe()
	defer hold.Close()
	r := runWith(t.Context(), stdin, append([]string{"connect", p.address, "--cafile", p.cafile}, local...)...)
	require.Equal(t, exitDone, r.code, r.stderr)
	require.Equal(t, "bye", r.stdout)
}

func TestConnectTruncated(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(*tls.Conn){
		"between records": tlstest.Truncate,
		"in a record":     func(conn *tls.Conn) { tlstest.TruncateRecord(conn, 20) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := startPeer(t, func(conn *tls.Conn) {
				_, _ = conn.Write([]byte("half of it"))
				end(conn)
			})
			r := runLocal(t, "connect", p.address, "--cafile", p.cafile)
			require.Equal(t, exitTruncated, r.code, r.stderr)
			require.Equal(t, "half of it", r.stdout)
			require.Contains(t, r.stderr, "(PEER_TRUNCATED)")
			r = runLocal(t, "connect --no-half-close", p.address, "--cafile", p.cafile)
			require.Equal(t, exitTruncated, r.code, r.stderr)
			require.NotContains(t, r.stderr, "--no-half-close", "it was not that")
		})
	}
}

func TestConnectReset(t *testing.T) {
	t.Parallel()
	p := startPeer(t, tlstest.Reset)
	r := runLocal(t, "connect", p.address, "--cafile", p.cafile)
	require.Equal(t, exitNetwork, r.code, r.stderr)
	require.Contains(t, r.stderr, "(PEER_RESET)")
}

func TestConnectTellsEvents(t *testing.T) {
	t.Parallel()
	p := startPeer(t, tlstest.Echo)
	r := runLocal(t, "connect -v --alpn other --alpn demo/1", p.address, "--cafile", p.cafile)
	require.Equal(t, exitDone, r.code, r.stderr)
	var names []string
	for line := range strings.Lines(r.stderr) {
		fields := strings.Fields(line)
		require.Greater(t, len(fields), 3, line)
		at, err := strconv.ParseFloat(fields[0], 64)
		require.NoError(t, err, line)
		require.Positive(t, at)
		names = append(names, fields[2])
		if fields[2] == "secure_connected" {
			require.Contains(t, line, "demo/1")
			require.Contains(t, line, "TRUSTED")
		}
	}
	for _, name := range []string{"host_found", "tcp_connected", "secure_connected", "remote_closed", "closed"} {
		require.Contains(t, names, name)
	}
	require.Equal(t, "closed", names[len(names)-1])
}

// A signal resets the connection; the peer must not take it for a clean end.
func TestConnectInterrupted(t *testing.T) {
	t.Parallel()
	ended := make(chan error, 1)
	p := startPeer(t, func(conn *tls.Conn) {
		_, _ = conn.Write([]byte("x"))
		_, err := io.ReadAll(conn)
		ended <- err
	})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	stdin, hold := io.Pipe()
	defer hold.Close()
	stdout, output := io.Pipe()
	go func() {
		_, _ = io.ReadFull(stdout, make([]byte, 1)) // connected
		cancel()
		_, _ = io.Copy(io.Discard, stdout)
	}()
	var stderr bytes.Buffer
	code := run(ctx, append([]string{"connect", p.address, "--cafile", p.cafile}, local...), stdin, output, &stderr)
	output.Close()
	require.Equal(t, exitInterrupted, code, stderr.String())
	require.Error(t, <-ended)
}

func TestInterruptedWhileConnecting(t *testing.T) {
	t.Parallel()
	accepted := make(chan struct{}, 3)
	silent := tlstest.ServeRaw(t, func(conn net.Conn) {
		accepted <- struct{}{}
		_, _ = io.Copy(io.Discard, conn)
	})
	for _, command := range []string{"connect", "status", "diagnose"} {
		ctx, cancel := context.WithCancel(t.Context())
		go func() { <-accepted; cancel() }()
		r := runWith(ctx, strings.NewReader(""), append([]string{command, silent}, local...)...)
		require.Equal(t, exitInterrupted, r.code, r.stderr)
	}
}

func TestTimeout(t *testing.T) {
	t.Parallel()
	silent := tlstest.ServeRaw(t, func(conn net.Conn) { _, _ = io.Copy(io.Discard, conn) })
	for _, command := range []string{"connect", "status", "diagnose"} {
		began := time.Now()
		r := runLocal(t, command+" --timeout 300ms", silent)
		require.Contains(t, []int{exitNetwork, exitHandshake}, r.code, r.stderr)
		require.Less(t, time.Since(began), 10*time.Second, "the clock that ends it otherwise")
	}
}

// A reader of stdout that goes away is no error.
func TestBrokenStdoutEndsQuietly(t *testing.T) {
	t.Parallel()
	p := startPeer(t, func(conn *tls.Conn) {
		for {
			if _, err := conn.Write(make([]byte, 10_000)); err != nil {
				return
			}
		}
	})
	stdin, hold := io.Pipe()
	defer hold.Close()
	stdout, output := io.Pipe()
	go func() {
		_, _ = io.ReadFull(stdout, make([]byte, 1))
		stdout.Close()
	}()
	var stderr bytes.Buffer
	code := run(t.Context(), append([]string{"connect", p.address, "--cafile", p.cafile}, local...), stdin, output, &stderr)
	require.Equal(t, exitDone, code)
	require.Empty(t, stderr.String())
}

// What cannot be read to its end must not look complete to the peer.
func TestBrokenStdinAborts(t *testing.T) {
	t.Parallel()
	ended := make(chan error, 1)
	p := startPeer(t, func(conn *tls.Conn) {
		_, err := io.ReadAll(conn)
		ended <- err
	})
	stdin := io.MultiReader(strings.NewReader("some"), iotest.ErrReader(errors.New("a bad disk")))
	r := runWith(t.Context(), stdin, append([]string{"connect", p.address, "--cafile", p.cafile}, local...)...)
	require.Equal(t, exitOther, r.code)
	require.Contains(t, r.stderr, "stdin")
	require.Error(t, <-ended)
}

// Through a daemon's socket it is the same, and no session stays.
func TestConnectThroughASocket(t *testing.T) {
	t.Parallel()
	address, c := startService(t)
	p := startPeer(t, tlstest.Echo)
	for _, command := range []string{"connect", "status"} {
		r := runWith(t.Context(), strings.NewReader("hello"), command, p.address, "--cafile", p.cafile, "--server", address)
		require.Equal(t, exitDone, r.code, r.stderr)
	}
	left, err := c.Service().ListSessions(t.Context(), &pb.ListSessionsRequest{})
	require.NoError(t, err)
	require.Empty(t, left.GetSessions())
}
