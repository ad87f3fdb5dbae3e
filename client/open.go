package client

import (
	"context"
	"crypto/rand"
	"net"
	"net/netip"

	pb "securesocket/gen/securesocket/v1"
)

// dial makes the connection that request describes: a stream of its own, with a session of its own that goes with it.
// ctx bounds it until it returns. The error is an *Error.
func (d *Dialer) dial(ctx context.Context, request *pb.Open, with hooks) (*Conn, error) {
	resumable := request.GetSettings().GetResumable()
	conn, unbind, err := d.newConn(ctx, with, resumable, request.GetPlain())
	if err != nil {
		return nil, dialError(ctx, err, pb.Phase_PHASE_UNSPECIFIED)
	}
	conn.fresh = true
	if resumable {
		request.RequestId = rand.Text()
	}
	conn.resume.open = request
	conn.start()
	select {
	case <-conn.ready:
	case <-conn.ended:
	}
	bound := unbind()
	if !bound {
		<-conn.ended
	}
	select {
	case <-conn.ready:
		// It may have ended since: what came over it can still be read, and Read says how it ended.
		if bound {
			conn.returned.Store(true)
			return conn, nil
		}
		return nil, fromContext(ctx, conn.facts.phase)
	default:
	}
	if conn.facts.failure != nil {
		return nil, conn.facts.failure
	}
	e := dialError(ctx, conn.facts.err, conn.facts.phase)
	if e.Phase == pb.Phase_PHASE_UNSPECIFIED {
		e.Phase = conn.facts.phase
	}
	return nil, e
}

// newConn makes a Conn that is not started. Until unbind is called, the end of ctx ends it; false: it has. The values of
// ctx go along for good, such as metadata for the calls.
func (d *Dialer) newConn(ctx context.Context, with hooks, resumable, plain bool) (conn *Conn, unbind func() bool, err error) {
	c := d.Client
	conn = &Conn{
		places: c.streams, service: c.service, hooks: with, resumable: resumable, plain: plain,
		ready: make(chan struct{}), ended: make(chan struct{}),
		facts: facts{local: &net.TCPAddr{}, remote: &net.TCPAddr{}},
	}
	conn.resume.grace = defaultGrace
	unread := maxUnread
	if resumable {
		unread = maxUnreadResumable
	}
	conn.read.init(unread)
	conn.write.init(resumable)
	conn.write.broken = conn.read.release
	conn.write.ending = func() { conn.cancelAfter(endWait) }
	conn.write.acks.on.Store(resumable || plain)
	conn.write.acks.manual, conn.write.acks.step = resumable && d.ManualAck, maxAckStep
	if d.Dedicated {
		if conn.dedicated, err = c.streams.own(); err != nil {
			return nil, nil, err
		}
	}
	conn.ctx, conn.cancel = context.WithCancel(context.WithoutCancel(ctx))
	conn.asking, conn.answered = context.WithCancel(conn.ctx)
	return conn, context.AfterFunc(ctx, conn.cancel), nil
}

// start starts the goroutines.
func (c *Conn) start() {
	go c.receive()
	go c.send()
}

// dialError is the error of a dial that ended with err in that phase: the caller's context where that is done, as
// anything else is then only its consequence.
func dialError(ctx context.Context, err error, phase pb.Phase) *Error {
	if ctx.Err() != nil {
		return fromContext(ctx, phase)
	}
	return FromError(err)
}

// tcpAddr is an endpoint as package net has it.
func tcpAddr(endpoint *pb.Endpoint) net.Addr {
	addr, _ := netip.ParseAddr(endpoint.GetAddress()) // the zero address where there is none
	return net.TCPAddrFromAddrPort(netip.AddrPortFrom(addr, uint16(endpoint.GetPort())))
}
