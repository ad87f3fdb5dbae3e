package tlsengine

import (
	"slices"
	"strconv"
)

// Status is the single answer about a chain. Its numbers are the contract's; the zero value is not used.
type Status uint8

// The nine statuses, AIR's CertificateStatus.
const (
	StatusUnknown           Status = iota + 1 // not judged, or not to its end
	StatusTrusted                             // the chain leads to an anchor and the leaf carries the name
	StatusExpired                             // the leaf has expired
	StatusNotYetValid                         // the leaf is not valid yet
	StatusPrincipalMismatch                   // the leaf does not carry the name
	StatusInvalidChain                        // an anchor is reached, but a certificate authority on the way fails
	StatusUntrustedSigners                    // no anchor is reached
	StatusRevoked                             // the leaf was revoked
	StatusInvalid                             // the leaf fails in another way
)

// The constants of AIR's flash.security.CertificateStatus.
var statusNames = [...]string{"", "unknown", "trusted", "expired", "notYetValid", "principalMismatch", "invalidChain",
	"untrustedSigners", "revoked", "invalid"}

func (s Status) String() string {
	if s > 0 && int(s) < len(statusNames) {
		return statusNames[s]
	}
	return "Status(" + strconv.Itoa(int(s)) + ")"
}

// severity orders statuses, the most serious first, so that what decides never hides something worse: overriding
// "expired" must not accept an unknown authority.
var severity = [...]Status{StatusRevoked, StatusUntrustedSigners, StatusInvalidChain, StatusPrincipalMismatch,
	StatusNotYetValid, StatusExpired, StatusInvalid, StatusUnknown}

// statusOf is the status of a chain that was refused. One that was not judged to its end is no better than unknown: its
// deciding problem may be among those that were not found.
func statusOf(problems []Problem) Status {
	incomplete := slices.ContainsFunc(problems, isIncomplete)
	for _, s := range severity {
		if incomplete && s == StatusInvalidChain {
			return StatusUnknown
		}
		for _, p := range problems {
			if p.status() == s {
				return s
			}
		}
	}
	return StatusInvalid
}

// status is what the problem alone would make of a chain.
func (p Problem) status() Status {
	switch p.Code {
	case SelfSignedCertificate, SelfSignedCertificateInChain, UnableToGetLocalIssuerCertificate,
		UnableToVerifyFirstCertificate, CertificateUntrusted:
		return StatusUntrustedSigners
	case NameConstraintViolated:
		return StatusInvalidChain // the authority's limit, wherever the name stands
	case HostNameMismatch:
		return StatusPrincipalMismatch
	case ChainTooLarge, NoPeerCertificate, RevocationUnknown, StapleRequired:
		return StatusUnknown
	}
	switch {
	case p.Depth > 0:
		return StatusInvalidChain
	case p.Code == CertificateRevoked:
		return StatusRevoked
	case p.Code == CertificateExpired:
		return StatusExpired
	case p.Code == CertificateNotYetValid:
		return StatusNotYetValid
	}
	return StatusInvalid
}
