package client

import (
	"context"
	"net"
	"strconv"

	pb "securesocket/gen/securesocket/v1"
)

// Bookmark is what another process needs to go on with a resumable connection: see Conn.Bookmark and Dialer.Resume. It is
// plain data, for encoding/json and the like.
//
// The token in it is a secret: whoever has it, and is the same caller to the service, can take the connection.
type Bookmark struct {
	// SessionID is Conn.SessionID.
	SessionID string
	// ResumeToken proves that the session may be attached.
	ResumeToken []byte
	// Generation is the number of the connection in its session.
	Generation int64
	// ReceivedOffset is where reading goes on: how many bytes Read has returned. With Dialer.ManualAck it may be set to
	// what the program has dealt with, which is what it has acked or more. Less than what was acked is refused.
	ReceivedOffset int64
}

// Bookmark returns what it takes to Resume, as of now. The service keeps a connection for its detach_grace, 60 s unless
// Settings says otherwise, after the process was killed. What Read has returned is acked soon and then gone from the
// service: a Bookmark that is older than the last ack is refused with OFFSET_MISMATCH, so a program that cannot save one
// with each Read needs Dialer.ManualAck. Without Dialer.Resumable it is zero.
func (c *Conn) Bookmark() Bookmark {
	if !c.resumable {
		return Bookmark{}
	}
	return Bookmark{
		SessionID: c.facts.sessionID, ResumeToken: c.resume.token,
		Generation: c.write.generation, ReceivedOffset: c.read.returned(),
	}
}

// taken is what a Conn that takes a session over knows about it beforehand.
type taken struct{ basis TrustBasis }

// Resume takes over a connection of another process, or of this one: its Conn, if it still lives, ends with SUPERSEDED.
// Reading goes on at b.ReceivedOffset, writing at Conn.SentOffset: the bytes of the other process before it are with the
// service, those behind it were lost with the process and are to be written again. Of the fields Client, Dedicated,
// ManualAck, OnEvent and OnResume count; events that the other process had not acked are told again. A plain connection
// comes back as a plain one. Where the other process has begun a StartTLS, Resume waits for it, and Decide and Identities
// answer its questions. ctx bounds the call and has no influence afterwards; its values go with the streams.
//
// The error is an *Error: SESSION_EXPIRED where the grace is over, with what had become of the bytes; SESSION_NOT_FOUND;
// RESUME_TOKEN; OFFSET_MISMATCH.
func (d *Dialer) Resume(ctx context.Context, b Bookmark) (*Conn, error) {
	switch {
	case d.Client == nil:
		return nil, invalidField("Dialer.Client", "is nil")
	case len(b.ResumeToken) == 0:
		return nil, invalidField("Bookmark.ResumeToken", "is missing")
	case b.Generation < 1:
		return nil, invalidField("Bookmark.Generation", "is missing")
	case b.ReceivedOffset < 0:
		return nil, invalidField("Bookmark.ReceivedOffset", "is negative")
	}
	ctx, cancel := d.bound(ctx)
	defer cancel()
	answer, err := call(ctx, d.Client.service.GetSession, &pb.GetSessionRequest{SessionId: b.SessionID})
	if err != nil {
		return nil, err
	}
	session := answer.GetSession()
	switch {
	case session.GetEffectiveSettings() != nil && !session.GetEffectiveSettings().GetResumable():
		return nil, invalidField("Bookmark.SessionID", "names a session that is not resumable")
	case session.GetGeneration() != b.Generation:
		return nil, fromCause(pb.CloseCause_CLOSE_CAUSE_RECONNECT)
	}
	var basis TrustBasis
	if wasSecure(session) {
		if basis, err = d.basis(ctx, b); err != nil {
			return nil, err
		}
	}
	address := net.JoinHostPort(session.GetHost(), strconv.Itoa(int(session.GetPort())))
	conn, unbind, err := d.newConn(ctx, d.hooks(address), true, session.GetMode() == pb.Mode_MODE_PLAIN)
	if err != nil {
		return nil, dialError(ctx, err, pb.Phase_PHASE_UNSPECIFIED)
	}
	conn.resume.taken = &taken{basis}
	conn.resume.token, conn.resume.seq = b.ResumeToken, session.GetAttachSeq()
	conn.facts.sessionID, conn.write.generation = b.SessionID, b.Generation
	conn.facts.received, conn.read.taken = b.ReceivedOffset, b.ReceivedOffset
	conn.arrived.Store(b.ReceivedOffset)
	conn.write.acks.offset = b.ReceivedOffset
	conn.start()
	select {
	case <-conn.ready:
	case <-conn.ended:
	}
	if !unbind() {
		<-conn.ended
		return nil, fromContext(ctx, conn.facts.phase)
	}
	select {
	case <-conn.ready:
		if s := conn.security.Load(); s != nil && s.basis == pb.CertificateReport_TRUST_BASIS_UNSPECIFIED && !wasSecure(session) {
			later := *s // it has become secure meanwhile
			if later.basis, err = d.basis(ctx, b); err == nil {
				conn.security.Store(&later)
			}
		}
		return conn, nil
	default:
		return nil, dialError(ctx, conn.facts.err, conn.facts.phase)
	}
}

// basis asks what the trust in the peer rests on, which the session does not say.
func (d *Dialer) basis(ctx context.Context, b Bookmark) (TrustBasis, error) {
	verdict, err := call(ctx, d.Client.service.GetCertificateStatus, &pb.GetCertificateStatusRequest{
		SessionId: b.SessionID, Generation: b.Generation,
	})
	return verdict.GetReport().GetTrustBasis(), err
}
