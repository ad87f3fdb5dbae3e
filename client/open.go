package client

import (
	"context"
	"net"
	"net/netip"

	"google.golang.org/grpc"

	pb "securesocket/gen/securesocket/v1"
)

// open makes the connection that request describes: a stream of its own, with a session of its own that goes with it.
// ctx bounds it until it returns. The error is an *Error.
func (c *Client) open(ctx context.Context, request *pb.Open, with hooks) (*Conn, error) {
	request.AttachSeq = 1
	service, release, err := c.streams.acquire(ctx)
	if err != nil {
		return nil, dialError(ctx, err, pb.Phase_PHASE_UNSPECIFIED)
	}
	// The values of ctx go along, such as metadata for the call; its end does so only until the connection is there.
	streamContext, cancel := context.WithCancel(context.WithoutCancel(ctx))
	unbind := context.AfterFunc(ctx, cancel)
	fail := func(err error) (*Conn, error) {
		unbind()
		cancel()
		release()
		return nil, dialError(ctx, err, pb.Phase_PHASE_UNSPECIFIED)
	}
	stream, err := service.Attach(streamContext, grpc.ForceCodecV2(newCodec()))
	if err != nil {
		return fail(err)
	}
	first := &pb.AttachRequest{Frame: &pb.AttachRequest_Open{Open: request}}
	if err := stream.Send(first); err != nil {
		// io.EOF where the service has refused already: then Recv has the status.
		if _, received := stream.Recv(); received != nil {
			err = received
		}
		return fail(err)
	}
	conn := &Conn{
		stream: stream, cancel: cancel, hooks: with, service: c.service,
		secure: make(chan struct{}), ended: make(chan struct{}),
		facts: facts{local: &net.TCPAddr{}, remote: &net.TCPAddr{}},
	}
	conn.read.init()
	conn.write.init()
	conn.asking, conn.answered = context.WithCancel(streamContext)
	go conn.receive(release)
	go conn.send()
	select {
	case <-conn.secure:
	case <-conn.ended:
	}
	bound := unbind()
	if !bound {
		<-conn.ended
	}
	select {
	case <-conn.secure:
		// It may have ended since: what came over it can still be read, and Read says how it ended.
		if bound {
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
