package client

import pb "securesocket/gen/securesocket/v1"

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
		c.facts.phase = pb.Phase_PHASE_POLICY
	case session.GetSessionId() != c.facts.sessionID:
		return breach("attached to another session")
	case session.GetGeneration() > c.write.generation:
		return fromCause(pb.CloseCause_CLOSE_CAUSE_RECONNECT)
	}
	if a.GetDetachGrace() != nil {
		r.grace = min(a.GetDetachGrace().AsDuration(), maxGrace)
	}
	if size := session.GetEffectiveSettings().GetReceiveBufferBytes(); size > 0 {
		c.write.setAckStep(int64(size))
	}
	if at := a.GetSocketDataOffset(); at > c.facts.received {
		return breach("it goes on at %d, and %d bytes have come", at, c.facts.received)
	}
	if r.taken != nil {
		c.write.start(a.GetAcceptedOffset())
	}
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
	facts.tls, facts.leaf = session.GetTls(), session.GetPeerCertificate()
	facts.status, facts.basis = session.GetCertificateStatus(), c.resume.taken.basis
	facts.phase = pb.Phase_PHASE_DATA
	c.answered()
	c.delivered.Store(session.GetSentBytes())
	close(c.secure)
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

// checkEnd acts upon the end that takeOver has learned of, once everything before it has come.
func (c *Conn) checkEnd() {
	if c.facts.ends != nil && c.facts.received >= c.facts.endsAt {
		c.facts.ends()
		c.facts.ends = nil
	}
}
