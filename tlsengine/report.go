package tlsengine

import (
	"crypto/sha256"
	"crypto/x509"
	"slices"
	"strconv"
	"strings"
	"time"

	"securesocket/tlsengine/revocation"
)

// Basis says what a status of trusted rests on. Its numbers are the contract's.
type Basis uint8

// The bases of trust.
const (
	BasisNone      Basis = iota + 1 // not trusted
	BasisValidated                  // the chain was validated
	BasisOverride                   // the chain has problems, and whoever decides accepted them
)

// Report is the whole judgement of one chain. It is never modified after it was made, and the certificates in it are
// shared: neither may be modified by whoever reads it.
type Report struct {
	Status   Status
	Basis    Basis
	staple   int32     // bytes of OCSP and SCTs that came with the chain, and are kept with it
	Problems []Problem // every problem that was found, in the order of checking; empty when validated

	PeerChain     []*x509.Certificate // as sent, leaf first, as far as the bounds allow; empty when it could not be parsed
	VerifiedChain []*x509.Certificate // leaf to anchor; empty unless validated
	// JudgedPath is what Problem.Depth counts in, leaf first: the verified chain, or the path that came closest to one,
	// from what the peer sent and the trust settings hold.
	JudgedPath []*x509.Certificate

	VerifyName string    // the name that the leaf carries; if none, the first that was asked for, or ""
	Time       time.Time // at which validity was judged, in whole seconds
	Warnings   []string  // about a trusted chain: what was not checked, what will fail soon

	Revocation  []revocation.Result // of the judged path; empty when nothing was asked
	StoreName   string              // which anchors the chain was judged by
	StoreSHA256 [sha256.Size]byte

	Started time.Time     // when the judging began, on the wall clock whatever Time says
	Took    time.Duration // how long it took, with waiting for a turn and without revocation
	// RevocationStarted and RevocationTook say the same of the questions about revocation; zero when none was asked.
	RevocationStarted time.Time
	RevocationTook    time.Duration

	failed error // why nothing was judged: Config.Turn's error, or the context's; nil when it was
}

func newReport(s *settings) *Report {
	r := &Report{Status: StatusUnknown, Basis: BasisNone, Started: time.Now(),
		StoreName: s.trust.Name, StoreSHA256: s.trust.SHA256,
		// Certificates count in whole seconds (RFC 5280, section 4.1.2.5), and the last one is part of the validity.
		Time: s.now().Truncate(time.Second)}
	if len(s.verifyNames) > 0 {
		r.VerifyName = s.verifyNames[0].wanted
	}
	return r
}

// Overridable reports whether the problems are all there is to know, so that somebody may accept them: the chain was read
// and judged to its end.
func (r *Report) Overridable() bool {
	return r.failed == nil && len(r.PeerChain) > 0 && len(r.Problems) > 0 &&
		!slices.ContainsFunc(r.Problems, isIncomplete)
}

// overridden is the report after somebody has accepted its problems, which stay in it.
func (r *Report) overridden() *Report {
	accepted := *r
	accepted.Status, accepted.Basis = StatusTrusted, BasisOverride
	return &accepted
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

// ProblemList is the problems in one line: "CERTIFICATE_EXPIRED@0 WEAK_KEY@1". It has no text of the peer's.
func (r *Report) ProblemList() string {
	var all []string
	for _, p := range r.Problems {
		all = append(all, p.Code.String()+"@"+strconv.Itoa(p.Depth))
	}
	return strings.Join(all, " ")
}
