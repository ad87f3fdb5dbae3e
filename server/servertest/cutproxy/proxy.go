package cutproxy

import (
	"context"
	"net"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
)

// Dialer connects to the service. The network and the address are up to it.
type Dialer func(ctx context.Context, address string) (net.Conn, error)

// Proxy listens, and forwards what it accepts. Made by Start or Serve.
type Proxy struct {
	listener net.Listener
	dial     Dialer
	ctx      context.Context // done when the proxy is closed
	cancel   context.CancelFunc
	wg       sync.WaitGroup // accept, and both directions of every link
	cuts     atomic.Int64

	mu    sync.Mutex
	plan  func() Cut
	links map[*link]bool // that have not ended
}

// Start listens on a free port of 127.0.0.1 until the test ends.
func Start(tb testing.TB, dial Dialer) *Proxy {
	tb.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(tb, err)
	return Serve(tb, l, dial)
}

// Serve forwards what l accepts, TCP or Unix sockets, until the test ends.
func Serve(tb testing.TB, l net.Listener, dial Dialer) *Proxy {
	tb.Helper()
	p := New(l, dial)
	tb.Cleanup(p.Close)
	return p
}

// New forwards what l accepts until Close.
func New(l net.Listener, dial Dialer) *Proxy {
	p := &Proxy{listener: l, dial: dial, plan: func() Cut { return Cut{} }, links: make(map[*link]bool)}
	p.ctx, p.cancel = context.WithCancel(context.Background())
	p.wg.Go(p.accept)
	return p
}

// Close ends every connection, and waits until that is done. It may be called
// more than once.
func (p *Proxy) Close() {
	p.cancel()
	_ = p.listener.Close()
	p.each(func(l *link) { l.close(FIN) })
	p.wg.Wait()
}

// Addr is where the proxy listens.
func (p *Proxy) Addr() string { return p.listener.Addr().String() }

// Dial connects to the proxy; the address is ignored. It fits
// grpc.WithContextDialer.
func (p *Proxy) Dial(ctx context.Context, _ string) (net.Conn, error) {
	var d net.Dialer
	return d.DialContext(ctx, p.listener.Addr().Network(), p.Addr())
}

// Plan asks plan about every connection from now on. It runs beside nothing but
// connections that were accepted before.
func (p *Proxy) Plan(plan func() Cut) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.plan = plan
}

// CutAll cuts every connection that there is.
func (p *Proxy) CutAll(how How) {
	p.each(func(l *link) { l.cut(how) })
}

// Heal lets connections that fell silent go on, with what was held back.
func (p *Proxy) Heal() {
	p.each(func(l *link) { l.heal() })
}

// Cuts is how many connections were cut so far.
func (p *Proxy) Cuts() int64 { return p.cuts.Load() }

// Links is how many connections have not ended.
func (p *Proxy) Links() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.links)
}

// Counts are the bytes that were forwarded over the connections that have not
// ended.
func (p *Proxy) Counts() (up, down int64) {
	p.each(func(l *link) {
		u, d := l.counts()
		up, down = up+u, down+d
	})
	return up, down
}

func (p *Proxy) each(f func(*link)) {
	p.mu.Lock()
	var all []*link
	for l := range p.links {
		all = append(all, l)
	}
	p.mu.Unlock()
	for _, l := range all {
		f(l)
	}
}

func (p *Proxy) accept() {
	for {
		conn, err := p.listener.Accept()
		if err != nil {
			return
		}
		p.mu.Lock()
		plan := p.plan
		p.mu.Unlock()
		cut := plan()
		p.wg.Go(func() { p.forward(conn, cut) })
	}
}

// forward runs one connection to its end.
func (p *Proxy) forward(near net.Conn, cut Cut) {
	far, err := p.dial(p.ctx, "")
	if err != nil {
		_ = near.Close()
		return
	}
	l := newLink(p, near, far, cut)
	p.mu.Lock()
	p.links[l] = true
	p.mu.Unlock()
	if p.ctx.Err() != nil { // Close has not seen it
		l.close(FIN)
	}
	l.run()
	p.mu.Lock()
	delete(p.links, l)
	p.mu.Unlock()
}
