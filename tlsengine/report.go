package tlsengine

import (
	"crypto/x509"
	"time"
)

// Basis says what a status of trusted rests on. Its numbers are the contract's.
type Basis uint8

// The bases of trust.
const (
	BasisNone      Basis = iota + 1 // not trusted
	BasisValidated                  // the chain was validated
)

// Report is the whole judgement of one chain. It is never modified after it was made, and the certificates in it are
// shared: neither may be modified by whoever reads it.
type Report struct {
	Status   Status
	Basis    Basis
	Problems []Problem // every problem that was found, in the order of checking; empty when trusted

	PeerChain     []*x509.Certificate // as sent, leaf first, as far as the bounds allow; empty when it could not be parsed
	VerifiedChain []*x509.Certificate // leaf to anchor; empty unless validated
	// JudgedPath is what Problem.Depth counts in, leaf first: the verified chain, or the path that came closest to one,
	// from what the peer sent and the trust settings hold.
	JudgedPath []*x509.Certificate

	VerifyName string    // the name that the leaf carries; if none, the first that was asked for
	Time       time.Time // at which validity was judged
	Warnings   []string  // about a trusted chain: what was not checked, what will fail soon

	Started time.Time     // when the judging began, on the wall clock whatever Time says
	Took    time.Duration // how long it took
}

// CertificateError reports a peer whose chain was refused.
type CertificateError struct {
	Report *Report // never nil
}

func (e *CertificateError) Error() string {
	s := "tlsengine: peer's certificate refused: " + e.Report.Status.String()
	if p, ok := e.Report.Deciding(); ok {
		s += ": " + p.Code.String() + ": " + p.Message
	}
	return s
}

// Deciding returns the first problem that has the report's status for its consequence; false on a trusted chain.
func (r *Report) Deciding() (Problem, bool) {
	for _, p := range r.Problems {
		if p.status() == r.Status {
			return p, true
		}
	}
	if len(r.Problems) > 0 {
		return r.Problems[0], true
	}
	return Problem{}, false
}

// noVerdict is how a handshake ends in which nothing judged the chain.
func noVerdict() error {
	return &CertificateError{Report: &Report{
		Status: StatusUnknown,
		Basis:  BasisNone,
		Problems: []Problem{{
			Code: UnspecifiedError, Depth: -1,
			Message: "the certificate was not judged",
			Hint:    "operator: this is a fault of the service",
		}},
		Started: time.Now(),
	}}
}
