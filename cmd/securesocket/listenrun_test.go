package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"securesocket/tlsengine/tlstest"
)

// patience is more than anything here takes.
const patience = 30 * time.Second

// listenRun is a listen under way.
type listenRun struct {
	address string
	ca      *tlstest.CA // of its certificate
	cancel  context.CancelFunc

	mu             sync.Mutex
	stdout, stderr bytes.Buffer
	once           sync.Once
	began          chan struct{} // closed with the first line on stderr
	done           chan int      // depth 1: its exit code
}

// startListen runs listen at a port of the loopback, with an embedded service unless args name another, and waits until
// it listens. It is interrupted with the test.
func startListen(t *testing.T, stdin io.Reader, args ...string) *listenRun {
	t.Helper()
	l := &listenRun{ca: tlstest.NewCA(t), began: make(chan struct{}), done: make(chan int, 1)}
	if !strings.Contains(strings.Join(args, " "), "--plain") {
		cert, key := l.ca.Leaf().WriteFiles(t.TempDir())
		args = append([]string{"--cert", cert, "--key", key}, args...)
	}
	if !strings.Contains(strings.Join(args, " "), "--server") {
		args = append(args, local...)
	}
	ctx, cancel := context.WithCancel(t.Context())
	l.cancel = cancel
	go func() {
		l.done <- run(ctx, append([]string{"listen", "127.0.0.1:0"}, args...), stdin, output{l, &l.stdout}, output{l, &l.stderr})
	}()
	t.Cleanup(func() {
		cancel()
		code := <-l.done
		l.done <- code
	})
	select {
	case <-l.began:
	case code := <-l.done:
		l.done <- code
		require.Fail(t, "it does not listen", l.said())
	}
	first, _, _ := strings.Cut(l.said(), "\n")
	address, ok := strings.CutPrefix(first, "listening ")
	require.True(t, ok, first)
	l.address = address
	return l
}

// output is one of the outputs of a listen.
type output struct {
	l   *listenRun
	out *bytes.Buffer
}

func (o output) Write(p []byte) (int, error) {
	o.l.mu.Lock()
	defer o.l.mu.Unlock()
	o.out.Write(p)
	if o.out == &o.l.stderr {
		o.l.once.Do(func() { close(o.l.began) }) // lines come whole
	}
	return len(p), nil
}

// said is what is on stderr so far.
func (l *listenRun) said() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.stderr.String()
}

// wrote is what is on stdout so far.
func (l *listenRun) wrote() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.stdout.String()
}

// exit waits for the end and returns the exit code.
func (l *listenRun) exit(t *testing.T) int {
	t.Helper()
	select {
	case code := <-l.done:
		l.done <- code
		return code
	case <-time.After(patience):
		require.Fail(t, "still running", l.said())
		return -1
	}
}

// dial connects as a client that trusts the listener.
func (l *listenRun) dial(t *testing.T, config *tls.Config) (*tls.Conn, error) {
	t.Helper()
	config = config.Clone()
	if config == nil {
		config = &tls.Config{}
	}
	config.RootCAs = l.ca.Pool()
	dialer := &tls.Dialer{Config: config, NetDialer: &net.Dialer{Timeout: patience}}
	conn, err := dialer.DialContext(t.Context(), "tcp", l.address)
	if err != nil {
		return nil, err
	}
	t.Cleanup(func() { conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(patience))
	return conn.(*tls.Conn), nil
}

// converse sends text, half-closes, and returns all that comes, and how it ended.
func converse(conn interface {
	io.ReadWriter
	CloseWrite() error
}, text string) (string, error) {
	if _, err := io.WriteString(conn, text); err != nil {
		return "", err
	}
	if err := conn.CloseWrite(); err != nil {
		return "", err
	}
	all, err := io.ReadAll(conn)
	return string(all), err
}
