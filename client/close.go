package client

import (
	"context"
	"net"
	"time"

	pb "securesocket/gen/securesocket/v1"
)

const (
	// closeWait is how long Close waits for the end of the stream.
	closeWait = 5 * time.Second
	// closeLinger is how long what was written may then go on being delivered behind Close's back.
	closeLinger = 15 * time.Second
	// forgetWait is how long the service may take to hear that a resumable session is aborted.
	forgetWait = 3 * time.Second
)

// Close ends the connection after what has been written is delivered; what was received and not read is discarded. It
// unblocks Read and Write at once, and waits for the end, 5 s at most; then it returns nil, delivery goes on for at most
// 15 s, and what is left is aborted. The error says that bytes written did not reach the peer's socket. It must not be
// called from Dialer.OnEvent. While a resumable connection is without a stream, it goes on coming back meanwhile. Again, it waits as well and returns the same.
func (c *Conn) Close() error {
	c.startClose()
	patience := time.NewTimer(closeWait)
	defer patience.Stop()
	select {
	case <-c.ended:
	case <-patience.C:
		return nil
	}
	if c.aborted.Load() {
		return nil
	}
	return c.write.undelivered(c.delivered.Load())
}

// startClose is Close without the wait.
func (c *Conn) startClose() {
	c.closing.Do(func() {
		c.closed.Store(true)
		c.read.close()
		c.write.acked(c.arrived.Load(), true)
		c.write.close()
		c.cancelAfter(closeWait + closeLinger)
	})
}

// Abort ends the connection at once with a TCP reset; what was written and not yet sent is dropped, and so is what was
// received and not read. It unblocks Read and Write, which return net.ErrClosed, and waits for nothing. It may be called
// at any time, also while a Close waits and from Dialer.OnEvent. While a resumable connection is without a stream, it is up
// to the way to the service whether the peer learns of it before the grace is over.
func (c *Conn) Abort() {
	c.aborted.Store(true)
	c.read.close()
	c.write.stop(net.ErrClosed) // before close, which would send the frame of a graceful one
	c.write.close()
	c.cancel()
}

// cancelAfter ends the stream after d, unless it ends before.
func (c *Conn) cancelAfter(d time.Duration) {
	timer := time.AfterFunc(d, c.cancel)
	context.AfterFunc(c.ctx, func() { timer.Stop() })
}

// forget tells the service that a resumable session is not coming back to: its stream alone does not say so.
func (c *Conn) forget() {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(c.ctx), forgetWait)
	defer cancel()
	// What cannot be told is found out by the service when the grace is over.
	id := c.facts.sessionID
	_, _ = c.service.Close(ctx, &pb.CloseRequest{SessionId: id, Close: &pb.CloseSocket{
		How: pb.CloseSocket_HOW_ABORT, Generation: c.write.generation,
	}})
	_, _ = c.service.DeleteSession(ctx, &pb.DeleteSessionRequest{SessionId: id})
}
