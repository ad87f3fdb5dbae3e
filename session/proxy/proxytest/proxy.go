package proxytest

import (
	"context"
	"net"
	"slices"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// Proxy is one that listens. Made by StartHTTP or StartSOCKS5.
type Proxy struct {
	listener net.Listener
	options  options
	ctx      context.Context // done when the test ends
	wg       sync.WaitGroup

	mu      sync.Mutex
	open    map[net.Conn]bool // both sides of every connection
	ended   bool
	targets []string
}

// StartHTTP starts one that speaks HTTP CONNECT.
func StartHTTP(tb testing.TB, opts ...Option) *Proxy {
	tb.Helper()
	return start(tb, (*Proxy).serveHTTP, opts)
}

// StartSOCKS5 starts one that speaks SOCKS version 5.
func StartSOCKS5(tb testing.TB, opts ...Option) *Proxy {
	tb.Helper()
	return start(tb, (*Proxy).serveSOCKS5, opts)
}

func start(tb testing.TB, serve func(*Proxy, net.Conn), opts []Option) *Proxy {
	tb.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(tb, err)
	ctx, cancel := context.WithCancel(context.Background())
	p := &Proxy{listener: l, ctx: ctx, open: make(map[net.Conn]bool)}
	for _, o := range opts {
		o(&p.options)
	}
	tb.Cleanup(func() {
		cancel()
		p.end()
	})
	p.wg.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			if !p.hold(conn) {
				return
			}
			p.wg.Go(func() {
				defer p.release(conn)
				serve(p, conn)
			})
		}
	})
	return p
}

// Addr is where the proxy listens, as 127.0.0.1:port.
func (p *Proxy) Addr() string { return p.listener.Addr().String() }

// Targets returns what the proxy was asked to connect to, as host:port, in order:
// by those who gave the credentials it wants, and whether or not it connected. A
// target is there before its client has an answer.
func (p *Proxy) Targets() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.targets)
}

func (p *Proxy) asked(target string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.targets = append(p.targets, target)
}

// dial connects to a target. The caller releases what it returns.
func (p *Proxy) dial(target string) (*net.TCPConn, error) {
	var d net.Dialer
	conn, err := d.DialContext(p.ctx, "tcp", target)
	if err != nil {
		return nil, err
	}
	if !p.hold(conn) {
		return nil, net.ErrClosed
	}
	return conn.(*net.TCPConn), nil
}

// hold takes conn in, to be closed when the test ends; if it has, conn is closed.
func (p *Proxy) hold(conn net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ended {
		_ = conn.Close()
		return false
	}
	p.open[conn] = true
	return true
}

func (p *Proxy) release(conn net.Conn) {
	_ = conn.Close()
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.open, conn)
}

func (p *Proxy) end() {
	_ = p.listener.Close()
	p.mu.Lock()
	p.ended = true
	for conn := range p.open {
		_ = conn.Close()
	}
	p.mu.Unlock()
	p.wg.Wait()
}
