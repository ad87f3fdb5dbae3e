package main

import (
	"context"
	"errors"
	"sync"

	"securesocket/client"
	"securesocket/cmd/securesocket/internal/wording"
	pb "securesocket/gen/securesocket/v1"
)

// handler carries one session to its end, closes it, and returns what went wrong. It ends soon after ctx.
type handler func(ctx context.Context, conn *client.Conn) error

// serveAll hands every session that l accepts to handle, at most so many at once. It ends when nothing more is accepted
// and the last session is over; when ctx is done, all are. What goes wrong with a session is told, and ends nothing else.
func (p *program) serveAll(ctx context.Context, l *client.Listener, most int, handle handler) error {
	var running sync.WaitGroup
	defer running.Wait()
	slots := make(chan struct{}, most) // one of them is taken for each session
	for {
		select {
		case slots <- struct{}{}:
		case <-ctx.Done():
			return errInterrupted
		}
		conn, err := l.AcceptConn(ctx)
		if err != nil {
			return err
		}
		running.Go(func() {
			defer func() { <-slots }()
			if err := handle(ctx, conn); err != nil && ctx.Err() == nil {
				p.warn("session with %v: %s", conn.RemoteAddr(), briefly(err))
			}
		})
	}
}

// briefly is an error in one line, with its reason.
func briefly(err error) string {
	e, ok := errors.AsType[*client.Error](err)
	switch {
	case !ok:
		return err.Error()
	case e.Reason == pb.ErrorReason_ERROR_REASON_UNSPECIFIED:
		return e.Message + " (" + e.Code.String() + ")"
	}
	return e.Message + " (" + wording.Reason(e.Reason) + ")"
}
