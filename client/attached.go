package client

import pb "securesocket/gen/securesocket/v1"

// attachedOnce obeys the first frame of the only stream of a session that is not resumable. The error is a breach.
func (c *Conn) attachedOnce(a *pb.Attached) error {
	session, facts := a.GetSession(), &c.facts
	if facts.sessionID != "" && session.GetSessionId() != facts.sessionID {
		return breach("attached to another session")
	}
	facts.sessionID, facts.attached = session.GetSessionId(), true
	facts.phase, facts.mode = pb.Phase_PHASE_POLICY, session.GetMode()
	c.fitAcks(session)
	return nil
}

// fitAcks fits the acks to the buffer in which the service keeps what is not acked.
func (c *Conn) fitAcks(session *pb.Session) {
	if size := session.GetEffectiveSettings().GetReceiveBufferBytes(); size > 0 {
		c.write.setAckStep(int64(size))
	}
}

// attached obeys the first frame of a stream of a resumable session. The error is a breach of the contract, or says that
// the session has another connection now.
func (c *Conn) attached(l *link, a *pb.Attached) error {
	if a == nil {
		return breach("the first frame is not attached")
	}
	r, session := &c.resume, a.GetSession()
	first := len(r.token) == 0
	switch {
	case first && len(a.GetResumeToken()) == 0:
		return breach("attached without a resume_token")
	case first:
		r.token = a.GetResumeToken()
		c.facts.sessionID = session.GetSessionId()
	case session.GetSessionId() != c.facts.sessionID:
		return breach("attached to another session")
	case session.GetGeneration() > c.write.generation:
		return fromCause(pb.CloseCause_CLOSE_CAUSE_RECONNECT)
	}
	if a.GetDetachGrace() != nil {
		r.grace = min(a.GetDetachGrace().AsDuration(), maxGrace)
	}
	if c.fitAcks(session); !c.facts.attached {
		c.facts.attached, c.facts.phase = true, pb.Phase_PHASE_POLICY
	}
	if session.GetMode() != pb.Mode_MODE_UNSPECIFIED {
		c.facts.mode = session.GetMode()
	}
	if at := a.GetSocketDataOffset(); at > c.facts.received {
		return breach("it goes on at %d, and %d bytes have come", at, c.facts.received)
	}
	if r.taken != nil {
		c.write.start(a.GetAcceptedOffset())
	}
	c.write.startAgain(session.GetState() == pb.State_STATE_CONNECTED)
	if err := c.write.attach(l, a.GetAcceptedOffset(), a.GetSendLimit()); err != nil {
		return err
	}
	if r.taken != nil {
		c.takeOver(session)
		r.taken = nil
	}
	return nil
}

// takeOver learns from the session what another process knew.
func (c *Conn) takeOver(session *pb.Session) {
	facts := &c.facts
	facts.local, facts.remote = tcpAddr(session.GetLocal()), tcpAddr(session.GetRemote())
	facts.state, facts.hasPeer = session.GetState(), true
	c.delivered.Store(session.GetSentBytes())
	switch {
	case session.GetState() == pb.State_STATE_HANDSHAKING:
		facts.phase = pb.Phase_PHASE_HANDSHAKE
		return // the other process has begun to StartTLS; an event will say how it went
	case wasSecure(session):
		c.security.Store(&security{
			tls: session.GetTls(), leaf: session.GetPeerCertificate(),
			status: session.GetCertificateStatus(), basis: c.resume.taken.basis, greeting: session.GetGreeting(),
		})
		c.answered()
	}
	facts.phase = pb.Phase_PHASE_DATA
	c.makeReady()
	// The other process may have been told how it ended, and have acked that.
	switch {
	case session.GetState() == pb.State_STATE_UNCONNECTED:
		facts.endsAt, facts.ends = session.GetReceivedBytes(), func() {
			c.handleClosed(&pb.Closed{
				Cause: session.GetCloseCause(), Failure: session.GetLastError(),
				ReceivedBytes: session.GetReceivedBytes(), SentBytes: session.GetSentBytes(),
				ReadCause: session.GetReadCause(), WriteCause: session.GetWriteCause(),
			})
		}
	case session.GetReadCause() != pb.CloseCause_CLOSE_CAUSE_UNSPECIFIED:
		facts.endsAt, facts.ends = session.GetReceivedBytes(), func() { c.read.end(c.endOf(session.GetReadCause())) }
	}
	c.checkEnd()
}

// wasSecure reports whether TLS is, or was, up in the session.
func wasSecure(session *pb.Session) bool {
	switch {
	case session.GetMode() == pb.Mode_MODE_PLAIN, session.GetState() == pb.State_STATE_HANDSHAKING:
		return false
	case session.GetMode() != pb.Mode_MODE_UNSPECIFIED:
		return true
	}
	// It has ended. Without a certificate of the peer's, nothing in the session tells.
	return session.GetState() == pb.State_STATE_ENCRYPTED ||
		session.GetCertificateStatus() > pb.CertificateStatus_CERTIFICATE_STATUS_UNKNOWN
}

// checkEnd acts upon the end that takeOver has learned of, once everything before it has come.
func (c *Conn) checkEnd() {
	if c.facts.ends != nil && c.facts.received >= c.facts.endsAt {
		c.facts.ends()
		c.facts.ends = nil
	}
}
