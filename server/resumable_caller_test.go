package server_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	pb "securesocket/gen/securesocket/v1"
)

// resumer is an honest caller of a resumable session that it opens: it attaches
// again until the session has ended and all of it was told, and checks every
// promise on its way. It sends out, then finishes.
type resumer struct {
	// Set before run.
	dial    func() (c pb.SecureSocketServiceClient, done func()) // for each try
	open    *pb.Open                                             // with a request_id
	out     []byte
	chunk   int           // bytes of one frame; 0: 64 KiB
	giveUp  time.Duration // a stream that says nothing for so long is left; 0: never
	holding bool          // no bytes are acked before release
	noEnd   bool          // no finish before release

	mu       sync.Mutex
	moved    *sync.Cond
	tries    int
	id       string
	token    []byte
	in       []byte // what the peer sent
	sent     int64  // on any stream
	accepted int64
	written  int64
	limit    int64
	events   []*pb.Event
	closed   *pb.Closed
	refused  []*pb.Refused
	told     bool // an ack of `closed` and of all bytes was sent

	// Of the present stream.
	over      bool
	next      int64 // byte to send
	finished  bool
	acked     int64
	ackedSeq  int64
	attaching bool // no `attached` yet
}

// fault is a broken promise of the service.
type fault struct{ why string }

func (e *fault) Error() string { return "broken promise: " + e.why }

func faultf(format string, args ...any) error { return &fault{fmt.Sprintf(format, args...)} }

// backOff is how long a caller waits between tries; shorter than a polite one.
const backOff = 2 * time.Millisecond

// run attaches until the session is over. The error is a fault, ctx's, or the
// status that refused an attach.
func (r *resumer) run(ctx context.Context) error {
	r.moved = sync.NewCond(&r.mu)
	for {
		err := r.try(ctx)
		retry, reason := retryOf(err)
		switch {
		case err == nil:
			return r.complete()
		case ctx.Err() != nil:
			return fmt.Errorf("after %d tries, %d of %d bytes accepted, %d received, events %d, closed %v: %w",
				r.tries, r.accepted, len(r.out), len(r.in), len(r.events), r.closed != nil, ctx.Err())
		case errors.As(err, new(*fault)):
			return err
		case reason == "SESSION_NOT_FOUND" && r.told: // the OK was lost
			return r.complete()
		case reason != "" && reason != "LIMIT":
			return fmt.Errorf("try %d: %w", r.tries, err)
		}
		timer := time.NewTimer(max(retry, backOff))
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
		}
	}
}

// retryOf reads a RetryInfo and the reason; "": the stream was cut.
func retryOf(err error) (retry time.Duration, reason string) {
	for _, d := range status.Convert(err).Details() {
		switch d := d.(type) {
		case *errdetails.ErrorInfo:
			reason = d.GetReason()
		case *errdetails.RetryInfo:
			retry = d.GetRetryDelay().AsDuration()
		}
	}
	if reason == "" && err != nil && !errors.As(err, new(*fault)) {
		switch c := status.Code(err); c {
		case codes.Unavailable, codes.Canceled, codes.DeadlineExceeded:
		default:
			reason = "status " + c.String()
		}
	}
	return retry, reason
}

func (r *resumer) complete() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.closed == nil:
		return faultf("the stream ended with OK before closed")
	case !r.told:
		return faultf("the session was over before all of it was acked")
	}
	return nil
}

// try is one stream, to its end; nil is OK.
func (r *resumer) try(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	c, done := r.dial()
	defer done()
	stream, err := c.Attach(ctx)
	if err != nil {
		return err
	}
	if err := stream.Send(r.first()); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	silence := time.AfterFunc(time.Hour, cancel)
	defer silence.Stop()
	var wg sync.WaitGroup
	defer func() {
		r.leave()
		cancel()
		wg.Wait()
	}()
	for {
		if r.giveUp > 0 {
			silence.Reset(r.giveUp)
		}
		m, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		starts := r.attaching
		if err := r.take(m); err != nil {
			return err
		}
		if starts {
			wg.Go(func() { r.send(stream) })
		}
	}
}

// first is the frame of a new try.
func (r *resumer) first() *pb.AttachRequest {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.tries++
	r.over, r.finished, r.attaching = false, false, true
	r.acked, r.ackedSeq = 0, 0
	if r.id == "" {
		r.open.AttachSeq = int64(r.tries)
		return openFrame(r.open)
	}
	return attachFrame(&pb.AttachSession{
		SessionId: r.id, ResumeToken: r.token, AttachSeq: int64(r.tries),
		ReceivedOffset: int64(len(r.in)), ReceivedEventSeq: int64(len(r.events)), Generation: 1,
	})
}

// send is the stream's sender.
func (r *resumer) send(stream pb.SecureSocketService_AttachClient) {
	for {
		m := r.following()
		if m == nil || stream.Send(m) != nil {
			return
		}
	}
}

// following waits for what is to be sent next; nil: the stream is over.
func (r *resumer) following() *pb.AttachRequest {
	r.mu.Lock()
	defer r.mu.Unlock()
	for {
		got, seq := int64(len(r.in)), int64(len(r.events))
		if r.holding {
			got = 0
		}
		end := min(r.limit, int64(len(r.out)))
		switch {
		case r.over:
			return nil
		case got > r.acked || seq > r.ackedSeq:
			r.acked, r.ackedSeq = got, seq
			r.told = r.told || r.closed != nil && !r.holding
			return &pb.AttachRequest{Frame: &pb.AttachRequest_Ack{Ack: &pb.Ack{ReceivedOffset: got, EventSeq: seq, Generation: 1}}}
		case r.closed != nil:
		case r.next < end:
			n := min(end-r.next, int64(r.chunk))
			if r.chunk == 0 {
				n = min(end-r.next, 64<<10)
			}
			m := &pb.Data{Offset: r.next, Generation: 1, Payload: r.out[r.next : r.next+n]}
			r.next += n
			r.sent = max(r.sent, r.next)
			return &pb.AttachRequest{Frame: &pb.AttachRequest_Data{Data: m}}
		case r.next == int64(len(r.out)) && !r.finished && !r.noEnd:
			r.finished = true
			return finishFrame(1, r.next)
		}
		r.moved.Wait()
	}
}

func (r *resumer) leave() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.over = true
	r.moved.Broadcast()
}

// release lets the acks and the finish go that were held back.
func (r *resumer) release() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.holding, r.noEnd = false, false
	r.moved.Broadcast()
}

// look runs f when nothing of r moves.
func (r *resumer) look(f func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	f()
}

// eventually waits until a condition holds that f tells of r at rest.
func (r *resumer) eventually(tb testing.TB, f func() bool, what string) {
	tb.Helper()
	require.Eventually(tb, func() (ok bool) { r.look(func() { ok = f() }); return ok }, patience, 5*time.Millisecond, what)
}
