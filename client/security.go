package client

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"slices"

	pb "securesocket/gen/securesocket/v1"
)

// Status is the verdict about a peer's certificate.
type Status = pb.CertificateStatus

// TrustBasis is what the trust in a peer rests on.
type TrustBasis = pb.CertificateReport_TrustBasis

// security is what is known about TLS. It is not changed.
type security struct {
	tls      *pb.TlsState
	leaf     *pb.Certificate // nil: the peer has shown none
	status   pb.CertificateStatus
	basis    TrustBasis
	greeting []byte
}

// secured is the security, or what there is to say without any.
func (c *Conn) secured() *security {
	if s := c.security.Load(); s != nil {
		return s
	}
	return &security{status: pb.CertificateStatus_CERTIFICATE_STATUS_UNKNOWN}
}

// Encrypted reports whether TLS is up, or was when the connection ended. Until a StartTLS has succeeded, a Conn of
// DialPlain or of a plain Listener is not.
func (c *Conn) Encrypted() bool { return c.security.Load() != nil }

// Greeting is what the peer said before TLS, where Dialer.StartTLSProtocol had the service ask for that: SMTP's greeting,
// for a library that wants to read it, or the first packet of MySQL. Anybody on the way may have written it. At most 8 KiB;
// empty where the protocol has none. The bytes are the caller's.
func (c *Conn) Greeting() []byte { return slices.Clone(c.secured().greeting) }

// ConnectionState says what was negotiated: Version, HandshakeComplete, DidResume, CipherSuite, NegotiatedProtocol,
// ServerName and, of PeerCertificates, the leaf. The service has validated the whole chain and sends the leaf alone, so
// VerifiedChains is empty. While the connection is plain all of it is zero.
func (c *Conn) ConnectionState() tls.ConnectionState {
	s := c.security.Load()
	if s == nil {
		return tls.ConnectionState{}
	}
	state := tls.ConnectionState{
		Version:            tlsVersion(s.tls.GetVersion()),
		HandshakeComplete:  true,
		DidResume:          s.tls.GetResumed(),
		CipherSuite:        uint16(s.tls.GetCipher().GetIanaId()),
		NegotiatedProtocol: s.tls.GetAlpnProtocol(),
		ServerName:         s.tls.GetServerName(),
	}
	// The service has read it; what package x509 of this process cannot read is left out.
	if leaf, err := x509.ParseCertificate(s.leaf.GetDer()); err == nil {
		state.PeerCertificates = []*x509.Certificate{leaf}
	}
	return state
}

// CertificateStatus is the verdict about the peer's certificate: TRUSTED, as a dialled connection with any other is
// refused. UNKNOWN while the connection is plain, and in the server's role where the peer has shown none; there it is any
// verdict under a ClientAuth that does not verify.
func (c *Conn) CertificateStatus() Status { return c.secured().status }

// TrustBasis says why: VALIDATED, or OVERRIDE where Dialer.Decide accepted the problems that Report lists.
func (c *Conn) TrustBasis() TrustBasis { return c.secured().basis }

// Report asks the service for its whole judgement of the peer's chain: the verified chain up to the anchor, and warnings.
// The session goes with the connection, so once that has ended it is an *Error with SESSION_NOT_FOUND. The report of a
// refused chain comes with the *Error of the dial. The caller owns it; every text in it was chosen by the peer.
func (c *Conn) Report(ctx context.Context) (*pb.CertificateReport, error) {
	answer, err := call(ctx, c.service.GetCertificateStatus, &pb.GetCertificateStatusRequest{
		SessionId: c.facts.sessionID, Generation: c.write.generation,
	})
	return answer.GetReport(), err
}

// becomeSecure learns that TLS is up. The error is a breach: nothing that came in clear may pass for what came under TLS.
func (c *Conn) becomeSecure(secured *pb.SecureConnected) error {
	if s := c.write.startingTLS(); s != nil && c.facts.received != s.receive {
		return breach("TLS began after %d bytes, and %d have come", s.receive, c.facts.received)
	}
	c.security.Store(&security{
		tls: secured.GetTls(), leaf: secured.GetPeerCertificate(),
		status: secured.GetStatus(), basis: secured.GetTrustBasis(), greeting: secured.GetGreeting(),
	})
	c.facts.phase = pb.Phase_PHASE_DATA
	c.answered()
	if !c.resumable { // from now on nothing is kept for it
		c.write.acks.on.Store(false)
	}
	c.settle(nil, true)
	c.makeReady()
	return nil
}
