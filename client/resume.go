package client

import (
	"errors"
	"io"
	"maps"
	"math/rand/v2"
	"strconv"
	"time"

	"google.golang.org/grpc/codes"

	pb "securesocket/gen/securesocket/v1"
)

const (
	// backoffBase and backoffMax bound the wait before a try: full jitter below the first, which doubles, up to the second.
	backoffBase = 100 * time.Millisecond
	backoffMax  = 5 * time.Second
	// attachWait is how long the service may take to answer a try.
	attachWait = 10 * time.Second
	// defaultGrace is that of the service, until it says otherwise.
	defaultGrace = time.Minute
	// graceSlack is how much longer than the grace the service is asked: it says itself what had become of the bytes.
	graceSlack = 5 * time.Second
	// maxGrace is the contract's longest detach_grace.
	maxGrace = 10 * time.Minute
	// maxOvertaken is how often a try goes on whose attach_seq was used already.
	maxOvertaken = 5
)

// Resumed says how a resumable connection came back.
type Resumed struct {
	// Away is how long it was without a stream.
	Away time.Duration
	// Tries is how many attempts it took, the successful one included.
	Tries int
	// Err is what ended the stream before, an *Error.
	Err error
}

// resumption is what it takes to come back. It is the receive goroutine's own.
type resumption struct {
	open   *pb.Open // sent until it is answered; nil: the session was there before this Conn
	token  []byte
	seq    int64 // the last attach_seq that was used
	grace  time.Duration
	events int64 // the last event that was told
	waits  tries
	heard  bool   // the stream had a frame
	vain   int    // streams in a row that brought nothing else
	taken  *taken // until the first attach of a session that another process had
}

// tries counts those that were in vain.
type tries int

// next is how long to wait before the next try: not at all before the first.
func (t *tries) next() time.Duration {
	n := *t
	*t++
	if n == 0 {
		return 0
	}
	limit := backoffMax
	if shift := int(n) - 1; shift < 10 {
		limit = min(limit, backoffBase<<shift)
	}
	return rand.N(limit)
}

// establish makes a stream that is attached. broke is what ended the one before; nil: there was none.
func (c *Conn) establish(broke error) (*link, error) {
	if !c.resumable {
		return c.openOnce()
	}
	r := &c.resume
	began, last := time.Now(), broke
	overtaken := 0
	for n := 1; ; n++ {
		if err := c.sleep(r.waits.next()); err != nil {
			return nil, err
		}
		l, possible, err := c.attach()
		if err == nil {
			if broke != nil && c.hooks.onResume != nil {
				c.hooks.onResume(Resumed{Away: time.Since(began), Tries: n, Err: FromError(broke)})
			}
			return l, nil
		}
		e := FromError(err)
		switch {
		case c.ctx.Err() != nil, last == nil && !possible:
			return nil, e // given up, or never begun: there is no service
		case e.Reason == pb.ErrorReason_ERROR_REASON_SUPERSEDED && overtaken < maxOvertaken && c.overtaken(e):
			overtaken++
			r.waits = 0
			continue
		case e.Reason == pb.ErrorReason_ERROR_REASON_SESSION_EXPIRED:
			if written, err := strconv.ParseInt(e.Metadata["written_bytes"], 10, 64); err == nil {
				c.delivered.Store(written) // the last word about it
			}
			return nil, e
		case e.Reason == pb.ErrorReason_ERROR_REASON_SESSION_NOT_FOUND && broke != nil:
			return nil, c.lost(e, broke)
		case !passing(e), c.facts.sessionID == "" && e.Reason == pb.ErrorReason_ERROR_REASON_DRAINING:
			return nil, e
		}
		last = e
		left := r.grace + graceSlack - time.Since(began)
		if left <= 0 {
			return nil, c.expired(e)
		}
		if err := c.sleep(min(e.RetryAfter, left)); err != nil {
			return nil, err
		}
	}
}

// openOnce makes the one stream of a Conn that does not come back. Why it is refused shows when it is received from.
func (c *Conn) openOnce() (*link, error) {
	c.resume.seq = 1
	l, _, err := c.newLink(c.first())
	if err != nil {
		return nil, err
	}
	return l, c.write.attach(l, 0, 0)
}

// attach makes one try. possible: the service may have got it although there is an error.
func (c *Conn) attach() (l *link, possible bool, err error) {
	c.resume.seq++
	l, possible, err = c.newLink(c.first())
	if err != nil {
		return nil, possible, err
	}
	patience := time.AfterFunc(attachWait, l.cancel)
	frame := new(inFrame)
	err = l.stream.RecvMsg(frame)
	if !patience.Stop() && err != nil && c.ctx.Err() == nil {
		l.place.distrust()
		err = &Error{Code: codes.Unavailable, Message: "the service has not answered", cause: err}
	}
	if err == nil {
		err = c.attached(l, frame.response.GetAttached())
	}
	frame.drop()
	if err != nil {
		l.end()
		return nil, true, err
	}
	return l, true, nil
}

// first is the first frame of a stream.
func (c *Conn) first() *pb.AttachRequest {
	r := &c.resume
	if r.open != nil && len(r.token) == 0 {
		r.open.AttachSeq = r.seq
		return &pb.AttachRequest{Frame: &pb.AttachRequest_Open{Open: r.open}}
	}
	c.rewindToStart()
	return &pb.AttachRequest{Frame: &pb.AttachRequest_Attach{Attach: &pb.AttachSession{
		SessionId: c.facts.sessionID, ResumeToken: r.token, AttachSeq: r.seq,
		ReceivedOffset: c.facts.received, ReceivedEventSeq: r.events, Generation: c.write.generation,
	}}}
}

// overtaken reports whether a try was refused because of a copy of one of this Conn's own: its attach_seq is used up, and
// no larger one. Otherwise another process has the session, and keeps it, unless this Conn is about to take it for the
// first time.
func (c *Conn) overtaken(e *Error) bool {
	last, err := strconv.ParseInt(e.Metadata["attach_seq"], 10, 64)
	r := &c.resume
	// Nothing of this Conn's own can be before its very first try, unless it opens the session or means to take it.
	if err != nil || last > r.seq && c.isReady() || r.seq == 1 && r.open == nil && r.taken == nil {
		return false
	}
	c.resume.seq = max(c.resume.seq, last)
	return true
}

// passing reports whether another try may do better.
func passing(e *Error) bool {
	switch e.Reason {
	case pb.ErrorReason_ERROR_REASON_LIMIT:
		return e.RetryAfter > 0 // otherwise it is no matter of time
	case pb.ErrorReason_ERROR_REASON_DRAINING:
		return true
	case pb.ErrorReason_ERROR_REASON_UNSPECIFIED:
		switch e.Code {
		// What a broken way looks like to gRPC, or to a proxy.
		case codes.Unavailable, codes.Canceled, codes.DeadlineExceeded, codes.Unknown, codes.Internal, codes.Aborted:
			return true
		}
	}
	return false
}

// expired is the end of a Conn that could not come back within its grace. It has what the service would say, as far as this
// side knows.
func (c *Conn) expired(last *Error) *Error {
	if c.facts.sessionID == "" {
		return last // a dial: there is nothing to lose yet
	}
	return &Error{
		Code: codes.NotFound, Reason: pb.ErrorReason_ERROR_REASON_SESSION_EXPIRED, Phase: pb.Phase_PHASE_DATA,
		Message:  "the service could not be reached for longer than the session is kept",
		Metadata: c.howFar(), cause: last,
	}
}

// lost is the end of a Conn that came back in time to a service that does not know its session: those that expired it
// remembers.
func (c *Conn) lost(refusal *Error, broke error) *Error {
	e := *refusal
	e.Phase, e.Message = pb.Phase_PHASE_DATA, "the service does not know the session any more: it was started again, or somebody has deleted the session"
	e.remedy, e.cause = &lostAdvice, broke
	e.Metadata = c.howFar()
	maps.Copy(e.Metadata, refusal.Metadata)
	return &e
}

// howFar is how far the bytes had come, as metadata and as far as this side knows.
func (c *Conn) howFar() map[string]string {
	number := func(n int64) string { return strconv.FormatInt(n, 10) }
	return map[string]string{
		"generation": number(c.write.generation), "accepted_bytes": number(c.write.confirmed()),
		"written_bytes": number(c.delivered.Load()), "received_bytes": number(c.facts.received),
	}
}

// sleep waits, unless the Conn or its Client is given up.
func (c *Conn) sleep(d time.Duration) error { return c.places.sleep(c.ctx, d) }

// comesBack reports whether a stream that ended with err is followed by another.
func (c *Conn) comesBack(err error) bool {
	if !c.resumable || c.facts.over || c.ctx.Err() != nil {
		return false
	}
	return isEOF(err) || passing(FromError(err))
}

// isEOF reports whether a stream has ended with OK.
func isEOF(err error) bool { return errors.Is(err, io.EOF) }
