package gallery

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"sync"
	"time"
)

const (
	// patience bounds every visit: a visitor who says nothing, and a host that says nothing.
	patience = time.Minute
	// recordHandshake begins every ClientHello (RFC 8446, section 5.1), and no request of HTTP.
	recordHandshake = 22
)

// tlsServer is the server's end of a secure connection, with the wire under it.
type tlsServer struct {
	*tls.Conn
	wire *wire
}

// Serve shows the gallery on l until ctx ends, then closes l and every connection, and waits for them. It returns nil, or
// what accepting failed with.
func (g *Gallery) Serve(ctx context.Context, l net.Listener) error {
	pages := newHandover(l.Addr())
	web := &http.Server{Handler: g.web, ReadHeaderTimeout: patience, IdleTimeout: patience, ErrorLog: log.New(io.Discard, "", 0)}
	var running sync.WaitGroup
	running.Go(func() { _ = web.Serve(pages) }) // ends when pages is closed
	stop := context.AfterFunc(ctx, func() { _ = l.Close() })
	err := func() error {
		for {
			conn, err := l.Accept()
			if errors.Is(err, net.ErrClosed) || ctx.Err() != nil {
				if conn != nil {
					_ = conn.Close()
				}
				return err
			}
			if err != nil {
				return err
			}
			running.Go(func() { g.welcome(ctx, conn, pages) })
		}
	}()
	stop()
	_ = l.Close()
	if ctx.Err() != nil {
		err = nil
	}
	_ = pages.Close()
	_ = web.Close()
	running.Wait()
	return err
}

// welcome tells by the first byte what a visitor wants.
func (g *Gallery) welcome(ctx context.Context, conn net.Conn, pages *handover) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	release := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer release()
	first := make([]byte, 1)
	if _, err := io.ReadFull(conn, first); err != nil {
		_ = conn.Close()
		return
	}
	w := &wire{Conn: conn, head: first}
	if first[0] != recordHandshake {
		if !release() || !pages.give(w) { // from now on it is the web server's
			_ = conn.Close()
		}
		return
	}
	defer conn.Close()
	name, seen := serverName(ctx, w)
	w.head = seen
	e, ok := g.byName[name]
	if !ok {
		e = g.exhibits[0]
	}
	e.show(ctx, w)
}

// show is one visit of the host.
func (e *exhibit) show(ctx context.Context, w *wire) {
	if e.act != nil {
		e.act(w)
		return
	}
	if e.dress != nil {
		e.dress(w)
	}
	s := &tlsServer{tls.Server(w, e.config), w}
	if s.HandshakeContext(ctx) != nil {
		w.finish() // the alert is read before the end is seen
		return
	}
	if !e.answer(s) {
		return
	}
	if e.end != nil {
		e.end(s)
		return
	}
	_ = s.CloseWrite() // close_notify
	w.finish()
}

// handover is a listener for connections that another one has accepted.
type handover struct {
	addr  net.Addr
	conns chan net.Conn // sent by give, closed by nobody
	done  chan struct{} // closed by Close
	once  sync.Once
}

func newHandover(addr net.Addr) *handover {
	return &handover{addr: addr, conns: make(chan net.Conn), done: make(chan struct{})}
}

// give is false after Close; the connection is still the caller's then.
func (h *handover) give(conn net.Conn) bool {
	select {
	case h.conns <- conn:
		return true
	case <-h.done:
		return false
	}
}

func (h *handover) Accept() (net.Conn, error) {
	select {
	case conn := <-h.conns:
		return conn, nil
	case <-h.done:
		return nil, net.ErrClosed
	}
}

func (h *handover) Close() error {
	h.once.Do(func() { close(h.done) })
	return nil
}

func (h *handover) Addr() net.Addr { return h.addr }
