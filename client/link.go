package client

import (
	"context"
	"errors"
	"io"
	"slices"

	"google.golang.org/grpc"

	pb "securesocket/gen/securesocket/v1"
)

// link is one stream. A Conn has one at a time; one that comes back has several in its life.
type link struct {
	stream grpc.ClientStream
	cancel context.CancelFunc
	place  *place // its place on an HTTP/2 connection

	// The receive goroutine's own.

	detached *Error // what the service said was about to end it

	// Under the lock of the sendBuffer.

	frames   int64     // sent, the first one included
	excused  [64]int64 // the numbers of the last frames whose refusal does no harm
	excusals int
}

// newLink makes a stream that begins with first. possible: the service may have got that although there is an error.
func (c *Conn) newLink(first *pb.AttachRequest) (l *link, possible bool, err error) {
	place, err := c.places.acquire(c.ctx, c.dedicated)
	if err != nil {
		return nil, false, err
	}
	ctx, cancel := context.WithCancel(c.ctx)
	l = &link{cancel: cancel, place: place, frames: 1}
	stream, err := place.service().Attach(ctx, grpc.ForceCodecV2(newCodec()))
	if err != nil {
		l.end()
		return nil, false, err
	}
	l.stream = stream
	if err := stream.SendMsg(first); err != nil {
		// io.EOF where the service has refused already: then receiving has the status.
		if errors.Is(err, io.EOF) {
			if received := stream.RecvMsg(new(inFrame)); received != nil {
				err = received
			}
		}
		l.end()
		return nil, true, err
	}
	return l, true, nil
}

// end ends the stream, if it has not ended, and gives back its place.
func (l *link) end() {
	l.cancel()
	l.place.release()
}

// send sends a frame. last: nothing more will be sent.
func (l *link) send(message any, last bool) error {
	err := l.stream.SendMsg(message)
	if last && err == nil {
		err = l.stream.CloseSend()
	}
	return err
}

// number counts a frame. harm: it is lost if it is refused.
func (l *link) number(harm bool) {
	l.frames++
	if !harm {
		l.excused[l.excusals%len(l.excused)] = l.frames
		l.excusals++
	}
}

// harmless reports whether that frame may be refused.
func (l *link) harmless(number int64) bool { return slices.Contains(l.excused[:], number) }
