package client

import (
	"context"
	"net"
	"strconv"
	"time"

	"google.golang.org/grpc/codes"

	pb "securesocket/gen/securesocket/v1"
)

// accept is the goroutine that has the service give out sessions, on one stream after the other.
func (l *Listener) accept() {
	var waits tries
	// When the service is known to have had an Accept; it keeps the listener from then on.
	last := time.Now()
	for {
		if err := l.sleep(waits.next()); err != nil {
			l.end(err)
			return
		}
		began := time.Now()
		heard, err := l.take()
		e := FromError(err)
		if isEOF(err) {
			e = &Error{Code: codes.Unavailable, Message: "the service ended the stream"}
		}
		if heard || time.Since(began) >= backoffMax {
			waits, last = 0, time.Now()
		}
		left := l.grace + graceSlack - time.Since(last)
		switch {
		case l.ctx.Err() != nil:
			return // somebody has ended it
		case !passing(e):
			l.end(e)
			return
		case left <= 0:
			l.end(l.lost(e))
			return
		}
		if err := l.sleep(min(e.RetryAfter, left)); err != nil {
			l.end(err)
			return
		}
	}
}

// sleep waits, unless the Listener or its Client has ended.
func (l *Listener) sleep(d time.Duration) error {
	return l.dialer.Client.streams.sleep(l.ctx, d)
}

// take receives sessions from one stream until that ends, which is its error. heard: there was one.
func (l *Listener) take() (heard bool, err error) {
	place, err := l.dialer.Client.streams.acquire(l.ctx, nil)
	if err != nil {
		return false, err
	}
	defer place.release()
	ctx, cancel := context.WithCancel(l.ctx)
	defer cancel()
	stream, err := pb.NewListenerServiceClient(place.grpc).Accept(ctx, &pb.AcceptRequest{ListenerId: l.id, Credit: l.credit})
	if err != nil {
		return false, err
	}
	for {
		given, err := stream.Recv()
		if err != nil {
			return heard, err
		}
		heard = true
		select {
		case l.places <- struct{}{}:
		case <-l.ctx.Done():
			return heard, l.ctx.Err()
		}
		if !l.reserve(given.GetSession().GetSessionId()) {
			<-l.places // it was given out already
			continue
		}
		l.running.Go(func() { l.adopt(given) })
	}
}

// reserve notes a session, and reports whether it is a new one: after a stream that broke the service gives out again what
// it does not know to be attached.
func (l *Listener) reserve(id string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.pending[id] {
		return false
	}
	l.pending[id] = true
	return true
}

// release gives back the place of a session that does not wait any more.
func (l *Listener) release(id string) {
	l.mu.Lock()
	delete(l.pending, id)
	l.mu.Unlock()
	<-l.places
}

// adopt attaches to an accepted session and, when that is ready, lets it be handed out. What fails before is dropped.
func (l *Listener) adopt(given *pb.AcceptResponse) {
	conn, err := l.dialer.adopt(l.ctx, given, l.resumable, l.plain)
	if err != nil {
		l.release(given.GetSession().GetSessionId())
		return
	}
	l.ready <- conn // there is room: it has a place
}

// adopt makes the Conn of an accepted session, and returns it when it is ready. The end of ctx until then ends it.
func (d *Dialer) adopt(ctx context.Context, given *pb.AcceptResponse, resumable, plain bool) (*Conn, error) {
	session := given.GetSession()
	address := net.JoinHostPort(session.GetHost(), strconv.Itoa(int(session.GetPort())))
	conn, unbind, err := d.newConn(ctx, d.hooks(address), resumable, plain)
	if err != nil {
		return nil, err
	}
	conn.fresh = true
	conn.resume.token = given.GetResumeToken()
	conn.facts.sessionID, conn.write.generation = session.GetSessionId(), max(session.GetGeneration(), 1)
	conn.facts.local, conn.facts.remote = tcpAddr(session.GetLocal()), tcpAddr(session.GetRemote())
	conn.start()
	select {
	case <-conn.ready:
	case <-conn.ended:
	}
	bound := unbind()
	select {
	case <-conn.ready:
		if bound {
			return conn, nil
		}
		conn.Abort()
	default:
	}
	<-conn.ended
	return nil, dialError(ctx, conn.failure(), conn.facts.phase)
}
