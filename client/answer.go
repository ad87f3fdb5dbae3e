package client

import (
	"context"
	"fmt"
	"runtime/debug"
	"slices"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	pb "securesocket/gen/securesocket/v1"
)

// hooks are what of the caller's takes part in a connection.
type hooks struct {
	address  string // host and port, for Question
	onEvent  func(Event)
	onResume func(Resumed)
	decide   func(context.Context, *Question) Answer
	keys     []*callerKey
}

// PanicError is what became of a Dialer.Decide, or of a key, that panicked: a refusal, with this as the cause of the
// dial's *Error.
type PanicError struct {
	// Where is "Dialer.Decide" or "crypto.Signer".
	Where string
	// Value is what it panicked with.
	Value any
	// Stack is the stack of its goroutine, as by debug.Stack.
	Stack []byte
}

// Error returns one line, without the stack.
func (e *PanicError) Error() string { return fmt.Sprintf("%s panicked: %v", e.Where, e.Value) }

// Unwrap returns Value if it is an error.
func (e *PanicError) Unwrap() error {
	err, _ := e.Value.(error)
	return err
}

// question names what the service has asked.
type question struct {
	signature bool
	id        int64
}

// ask notes a question, and reports whether it is a new one. The answer to one that was asked before is sent again: it may
// have been lost with its stream.
func (w *sendBuffer) ask(q question) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	answer, asked := w.asked[q]
	if !asked && w.asked == nil {
		w.asked = map[question]*pb.AttachRequest{}
	}
	switch {
	case !asked:
		w.asked[q] = nil
	case answer != nil && w.resumable && !slices.Contains(w.answers, answer):
		w.answers = append(w.answers, answer)
		w.work.Signal()
	}
	return !asked
}

// answer sends the answer to a question, if the stream still goes on.
func (w *sendBuffer) answer(q question, request *pb.AttachRequest) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.stopped {
		return
	}
	w.asked[q] = request
	w.answers = append(w.answers, request)
	w.work.Signal()
}

// answer runs think, which is the caller's code, on a goroutine of its own: nothing waits for it, neither the frames that
// come meanwhile nor a dial that is given up. Its context ends at the deadline and when the handshake is over; after that
// there is nobody to answer. A question that comes again, on another stream, is not thought about again. frame makes the answer, also if think panics or ends its goroutine. where is for PanicError.
func (c *Conn) answer(q question, where string, deadline *timestamppb.Timestamp, think func(context.Context) error, frame func(error) *pb.AttachRequest) {
	if !c.write.ask(q) {
		return
	}
	ctx, cancel := c.asking, context.CancelFunc(func() {})
	if deadline != nil {
		// The deadline is by the service's clock, which the last event has told.
		ctx, cancel = context.WithDeadline(ctx, deadline.AsTime().Add(c.facts.clockAhead))
	}
	go func() {
		defer cancel()
		var err error
		defer func() {
			if value := recover(); value != nil {
				err = &PanicError{Where: where, Value: value, Stack: debug.Stack()}
			}
			if ctx.Err() != nil {
				return
			}
			if err != nil {
				c.declined.Store(&err)
			}
			c.write.answer(q, frame(err))
		}()
		err = think(ctx)
	}()
}

// noteClock learns from an event that has just arrived how far this machine's clock is ahead of the service's.
func (f *facts) noteClock(event *pb.Event) {
	if event.GetEventTime() == nil {
		return
	}
	// The least: an event that comes again, or late, tells less.
	if ahead := time.Since(event.GetEventTime().AsTime()); !f.clockKnown || ahead < f.clockAhead {
		f.clockAhead, f.clockKnown = ahead, true
	}
}

// declinedBy is the error of the caller's own code behind a failure of that reason; nil if there is none.
func (c *Conn) declinedBy(reason pb.ErrorReason) error {
	switch reason {
	case pb.ErrorReason_ERROR_REASON_DECISION_REFUSED, pb.ErrorReason_ERROR_REASON_SIGNATURE_FAILED:
		if err := c.declined.Load(); err != nil {
			return *err
		}
	}
	return nil
}
