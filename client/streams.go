package client

import (
	"context"
	"errors"
	"slices"
	"sync"

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

	mu     sync.Mutex
	max    int       // 0 = not yet known
	asking *question // nil unless limit is being called
	conns  []*pooledConn
	closed bool
}

// question is a call of limit that others wait for.
type question struct {
	done chan struct{} // closed by who asked

	// Written before done is closed.

	err    error
	gaveUp bool // the context of who asked was over
}

// pooledConn is one HTTP/2 connection and how many streams are on it, under the pool's lock.
type pooledConn struct {
	conn    *grpc.ClientConn
	streams int
}

func newStreamPool(newConn func() (*grpc.ClientConn, error), limit func(context.Context) (int, error)) *streamPool {
	return &streamPool{newConn: newConn, limit: limit}
}

// acquire returns a connection with room for one more stream, and the function that gives the room back, to be called
// once when the stream has ended. ctx bounds only the question for the limit.
func (p *streamPool) acquire(ctx context.Context) (pb.SecureSocketServiceClient, func(), error) {
	if err := p.learnLimit(ctx); err != nil {
		return nil, nil, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil, nil, &Error{Code: codes.Canceled, Reason: pb.ErrorReason_ERROR_REASON_CANCELLED, Message: "the client is closed"}
	}
	// The first with room: later ones run empty and are closed.
	i := slices.IndexFunc(p.conns, func(c *pooledConn) bool { return c.streams < p.max })
	if i < 0 {
		conn, err := p.newConn()
		if err != nil {
			return nil, nil, err
		}
		p.conns = append(p.conns, &pooledConn{conn: conn})
		i = len(p.conns) - 1
	}
	chosen := p.conns[i]
	chosen.streams++
	return pb.NewSecureSocketServiceClient(chosen.conn), func() { p.release(chosen) }, nil
}

func (p *streamPool) release(c *pooledConn) {
	p.mu.Lock()
	c.streams--
	// The last connection stays for the next stream; gRPC ends it when it is idle for long.
	spare := c.streams == 0 && len(p.conns) > 1 && !p.closed
	if spare {
		p.conns = slices.DeleteFunc(p.conns, func(other *pooledConn) bool { return other == c })
	}
	p.mu.Unlock()
	if spare {
		_ = c.conn.Close()
	}
}

// learnLimit returns when the limit is known. Who comes while it is asked for waits for that answer and shares its
// error, unless that is only about the time of who asked.
func (p *streamPool) learnLimit(ctx context.Context) error {
	for {
		p.mu.Lock()
		known, asking := p.max > 0, p.asking
		if !known && asking == nil {
			asking = &question{done: make(chan struct{})}
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

func (p *streamPool) ask(ctx context.Context, q *question) error {
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

// close ends every connection, and with it its streams.
func (p *streamPool) close() error {
	p.mu.Lock()
	p.closed = true
	conns := p.conns
	p.conns = nil
	p.mu.Unlock()
	var errs []error
	for _, c := range conns {
		errs = append(errs, c.conn.Close())
	}
	return errors.Join(errs...)
}
