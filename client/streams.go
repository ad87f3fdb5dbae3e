package client

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"

	pb "securesocket/gen/securesocket/v1"
)

// defaultMaxStreams is for a service that names no limit: what HTTP/2 servers commonly allow.
const defaultMaxStreams = 100

// streamPool spreads streams over HTTP/2 connections. gRPC queues a stream beyond the limit of its connection in
// silence until another one ends, which for sockets may be never; so the pool counts and makes further connections.
type streamPool struct {
	newConn func() (*grpc.ClientConn, error)
	// limit asks how many streams one connection takes. It is called until it has succeeded once.
	limit func(context.Context) (int, error)
	// ended is closed by close.
	ended chan struct{}

	mu     sync.Mutex
	max    int            // 0 = not yet known
	asking *limitQuestion // nil unless limit is being called
	conns  []*pooledConn
	closed bool
}

// limitQuestion is a call of limit that others wait for.
type limitQuestion struct {
	done chan struct{} // closed by who asked

	// Written before done is closed.

	err    error
	gaveUp bool // the context of who asked was over
}

// pooledConn is one HTTP/2 connection and how many streams are on it, under the pool's lock.
type pooledConn struct {
	conn    *grpc.ClientConn
	streams int
	own     bool // it is for one Conn alone
	calls   bool // it is the Client's, for its unary calls too, and ended by that
	// It has not answered: no further stream is put on it.
	distrusted bool
}

func newStreamPool(newConn func() (*grpc.ClientConn, error), limit func(context.Context) (int, error)) *streamPool {
	return &streamPool{newConn: newConn, limit: limit, ended: make(chan struct{})}
}

// share has the connection for unary calls take streams before any other does. It is called before the first acquire.
func (p *streamPool) share(unary *grpc.ClientConn) {
	p.conns = append(p.conns, &pooledConn{conn: unary, calls: true})
}

// mayTakeLocked is how many streams may be on c, of whoever comes.
func (p *streamPool) mayTakeLocked(c *pooledConn) int {
	switch {
	case c.own || c.distrusted:
		return 0
	case c.calls:
		return p.max / 2 // a call is a stream too
	}
	return p.max
}

// place is a stream's place on a connection.
type place struct {
	pool *streamPool
	conn *pooledConn
	grpc *grpc.ClientConn
}

func (p *place) service() pb.SecureSocketServiceClient {
	return pb.NewSecureSocketServiceClient(p.grpc)
}

// acquire returns a place on own, or where that is nil on a connection with room for one more stream. It is to be
// released once, when the stream has ended. ctx bounds only the question for the limit.
func (p *streamPool) acquire(ctx context.Context, own *pooledConn) (*place, error) {
	if own == nil {
		if err := p.learnLimit(ctx); err != nil {
			return nil, err
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil, errClientClosed()
	}
	chosen := own
	if own == nil {
		// The first with room: later ones run empty and are closed.
		i := slices.IndexFunc(p.conns, func(c *pooledConn) bool { return c.streams < p.mayTakeLocked(c) })
		if i < 0 {
			var err error
			if chosen, err = p.addLocked(false); err != nil {
				return nil, err
			}
		} else {
			chosen = p.conns[i]
		}
	}
	chosen.streams++
	return &place{p, chosen, chosen.conn}, nil
}

// own makes a connection for one Conn, which disowns it in the end.
func (p *streamPool) own() (*pooledConn, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil, errClientClosed()
	}
	return p.addLocked(true)
}

func (p *streamPool) addLocked(own bool) (*pooledConn, error) {
	conn, err := p.newConn()
	if err != nil {
		return nil, err
	}
	c := &pooledConn{conn: conn, own: own}
	p.conns = append(p.conns, c)
	return c, nil
}

// disown closes a connection that was for one Conn.
func (p *streamPool) disown(c *pooledConn) {
	p.mu.Lock()
	p.removeLocked(c)
	p.mu.Unlock()
	_ = c.conn.Close()
}

func (p *streamPool) removeLocked(c *pooledConn) {
	p.conns = slices.DeleteFunc(p.conns, func(other *pooledConn) bool { return other == c })
}

func errClientClosed() error {
	return &Error{Code: codes.Canceled, Reason: pb.ErrorReason_ERROR_REASON_CANCELLED, Message: "the client is closed"}
}

// release gives the place back.
func (p *place) release() {
	pool, c := p.pool, p.conn
	pool.mu.Lock()
	c.streams--
	// The last connection stays for the next stream; gRPC ends it when it is idle for long.
	spare := c.streams == 0 && !c.own && !c.calls && !pool.closed &&
		(c.distrusted || slices.ContainsFunc(pool.conns, func(other *pooledConn) bool { return other != c && pool.mayTakeLocked(other) > 0 }))
	if spare {
		pool.removeLocked(c)
	}
	pool.mu.Unlock()
	if spare {
		_ = p.grpc.Close()
	}
}

// distrust has no further stream put on the connection: it has not answered, and may be dead without anybody knowing. A
// Conn's own is replaced.
func (p *place) distrust() {
	pool, c := p.pool, p.conn
	pool.mu.Lock()
	defer pool.mu.Unlock()
	switch {
	case pool.closed || c.conn != p.grpc:
	case !c.own:
		c.distrusted = true
	default:
		if conn, err := pool.newConn(); err == nil {
			_ = p.grpc.Close()
			c.conn = conn
		}
	}
}

// learnLimit returns when the limit is known. Who comes while it is asked for waits for that answer and shares its
// error, unless that is only about the time of who asked.
func (p *streamPool) learnLimit(ctx context.Context) error {
	for {
		p.mu.Lock()
		known, asking := p.max > 0, p.asking
		if !known && asking == nil {
			asking = &limitQuestion{done: make(chan struct{})}
			p.asking = asking
			p.mu.Unlock()
			return p.ask(ctx, asking)
		}
		p.mu.Unlock()
		if known {
			return nil
		}
		select {
		case <-asking.done:
			if asking.err != nil && !asking.gaveUp {
				return asking.err
			}
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

func (p *streamPool) ask(ctx context.Context, q *limitQuestion) error {
	n, err := p.limit(ctx)
	if err == nil && n < 1 {
		n = defaultMaxStreams
	}
	q.err, q.gaveUp = err, ctx.Err() != nil
	p.mu.Lock()
	p.max = n
	p.asking = nil
	p.mu.Unlock()
	close(q.done)
	return err
}

// close ends every connection, and with it its streams. It is called once.
func (p *streamPool) close() error {
	p.mu.Lock()
	p.closed = true
	close(p.ended)
	conns := p.conns
	p.conns = nil
	p.mu.Unlock()
	var errs []error
	for _, c := range conns {
		if !c.calls {
			errs = append(errs, c.conn.Close())
		}
	}
	return errors.Join(errs...)
}

// sleep waits, unless ctx or the pool ends.
func (p *streamPool) sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-p.ended:
		return errClientClosed()
	case <-ctx.Done():
		return ctx.Err()
	}
}
