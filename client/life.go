package client

import (
	"errors"
	"io"
	"time"

	"google.golang.org/grpc/codes"

	pb "securesocket/gen/securesocket/v1"
)

// receive is the goroutine that makes the streams and alone receives from them. It ends with the last one.
func (c *Conn) receive() {
	err := c.live()
	if c.facts.err == nil {
		c.facts.err = err
	}
	c.read.end(c.facts.err)
	c.write.stop(c.facts.err)
	c.settle(c.failure(), false)
	c.write.end()
	// A session that is not resumable goes with its stream. One that was to be taken over stays where that failed.
	unwanted := c.closed.Load() || c.aborted.Load() || c.fresh && !c.returned.Load()
	givenUp := c.resumable && c.facts.attached && !c.write.hasEnded() &&
		(unwanted && (c.ctx.Err() != nil || c.facts.over) || errors.Is(err, errBreach))
	c.cancel() // and asking with it
	if c.dedicated != nil {
		c.places.disown(c.dedicated)
	}
	close(c.ended)
	if givenUp {
		c.forget()
	}
}

// isReady reports whether the connection has ever been ready.
func (c *Conn) isReady() bool {
	select {
	case <-c.ready:
		return true
	default:
		return false
	}
}

// makeReady says that there is a connection to use.
func (c *Conn) makeReady() {
	if !c.isReady() {
		close(c.ready)
	}
}

// live is the life of the Conn over all its streams. Its error is why the last one ended.
func (c *Conn) live() error {
	var broke error
	for {
		l, err := c.establish(broke)
		if err != nil {
			return c.streamError(err)
		}
		since, had := time.Now(), c.moved()
		c.resume.heard = false
		broke = c.serve(l)
		c.write.detach(l)
		l.end()
		if e := FromError(broke); l.detached != nil && (isEOF(broke) || e.Reason == pb.ErrorReason_ERROR_REASON_UNSPECIFIED) {
			broke = l.detached
		}
		if !c.comesBack(broke) {
			return c.streamError(broke)
		}
		if isEOF(broke) {
			broke = &Error{Code: codes.Unavailable, Message: "the service ended the stream"}
		}
		switch r := &c.resume; {
		case time.Since(since) >= backoffMax, c.moved() > had:
			r.waits, r.vain = 0, 0
		case r.heard && r.vain < maxVain:
			r.waits = 0
			r.vain++
		}
	}
}

// maxVain is how many streams in a row may break, with nothing moved but a frame, before the next ones are spaced.
const maxVain = 8

// moved counts the bytes that have come or were accepted, and the events.
func (c *Conn) moved() int64 { return c.facts.received + c.write.confirmed() + c.resume.events }

// serve receives until the stream ends, which is its error; a breach of the contract by the service is one as well.
func (c *Conn) serve(l *link) error {
	frame := new(inFrame)
	defer frame.drop()
	for {
		if err := l.stream.RecvMsg(frame); err != nil {
			return err
		}
		if err := c.handle(l, frame); err != nil {
			return err
		}
		c.resume.heard = true
	}
}

// streamError is the error for both halves when the stream ends before the connection was reported to have ended.
func (c *Conn) streamError(err error) error {
	if errors.Is(err, io.EOF) {
		return &Error{Code: codes.Unavailable, Message: "the service ended the stream without saying how the connection ended"}
	}
	e := FromError(err)
	if e.Reason == pb.ErrorReason_ERROR_REASON_UNSPECIFIED && c.facts.failure != nil {
		return c.facts.failure
	}
	if e.Reason == pb.ErrorReason_ERROR_REASON_UNSPECIFIED && e.Code == codes.Unavailable && e.remedy == nil && c.isReady() {
		broken := *e
		broken.Phase, broken.remedy = pb.Phase_PHASE_DATA, &brokenAdvice
		broken.Message = "the way to the service broke, or the service has ended: " + e.Message
		return &broken
	}
	return e
}
