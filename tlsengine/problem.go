package tlsengine

import (
	"crypto/x509"
	"strconv"
)

// ProblemCode is one kind of problem. Its numbers are the contract's; the zero value is not used.
type ProblemCode uint16

// The problems that the engine finds.
const (
	CertificateSignatureFailed        ProblemCode = 4
	CertificateNotYetValid            ProblemCode = 5
	CertificateExpired                ProblemCode = 6
	SelfSignedCertificate             ProblemCode = 9
	SelfSignedCertificateInChain      ProblemCode = 10
	UnableToGetLocalIssuerCertificate ProblemCode = 11
	UnableToVerifyFirstCertificate    ProblemCode = 12
	CertificateRevoked                ProblemCode = 13
	InvalidCACertificate              ProblemCode = 14
	PathLengthExceeded                ProblemCode = 15
	InvalidPurpose                    ProblemCode = 16
	CertificateUntrusted              ProblemCode = 17
	NoPeerCertificate                 ProblemCode = 21
	HostNameMismatch                  ProblemCode = 22
	UnspecifiedError                  ProblemCode = 99
	NameConstraintViolated            ProblemCode = 100
	UnhandledCriticalExtension        ProblemCode = 101
	WeakSignature                     ProblemCode = 102
	WeakKey                           ProblemCode = 103
	MalformedCertificate              ProblemCode = 104
	RevocationUnknown                 ProblemCode = 105
	StapleRequired                    ProblemCode = 106
	PinMismatch                       ProblemCode = 107
	ChainTooLarge                     ProblemCode = 108
)

var problemNames = map[ProblemCode]string{
	CertificateSignatureFailed:        "CERTIFICATE_SIGNATURE_FAILED",
	CertificateNotYetValid:            "CERTIFICATE_NOT_YET_VALID",
	CertificateExpired:                "CERTIFICATE_EXPIRED",
	SelfSignedCertificate:             "SELF_SIGNED_CERTIFICATE",
	SelfSignedCertificateInChain:      "SELF_SIGNED_CERTIFICATE_IN_CHAIN",
	UnableToGetLocalIssuerCertificate: "UNABLE_TO_GET_LOCAL_ISSUER_CERTIFICATE",
	UnableToVerifyFirstCertificate:    "UNABLE_TO_VERIFY_FIRST_CERTIFICATE",
	CertificateRevoked:                "CERTIFICATE_REVOKED",
	InvalidCACertificate:              "INVALID_CA_CERTIFICATE",
	PathLengthExceeded:                "PATH_LENGTH_EXCEEDED",
	InvalidPurpose:                    "INVALID_PURPOSE",
	CertificateUntrusted:              "CERTIFICATE_UNTRUSTED",
	NoPeerCertificate:                 "NO_PEER_CERTIFICATE",
	HostNameMismatch:                  "HOST_NAME_MISMATCH",
	UnspecifiedError:                  "UNSPECIFIED_ERROR",
	NameConstraintViolated:            "NAME_CONSTRAINT_VIOLATED",
	UnhandledCriticalExtension:        "UNHANDLED_CRITICAL_EXTENSION",
	WeakSignature:                     "WEAK_SIGNATURE",
	WeakKey:                           "WEAK_KEY",
	MalformedCertificate:              "MALFORMED_CERTIFICATE",
	RevocationUnknown:                 "REVOCATION_UNKNOWN",
	StapleRequired:                    "STAPLE_REQUIRED",
	PinMismatch:                       "PIN_MISMATCH",
	ChainTooLarge:                     "CHAIN_TOO_LARGE",
}

// String returns the contract's name of the code without its prefix.
func (c ProblemCode) String() string {
	if name, ok := problemNames[c]; ok {
		return name
	}
	return "ProblemCode(" + strconv.Itoa(int(c)) + ")"
}

// Problem is one thing that is wrong with a chain.
type Problem struct {
	Code  ProblemCode
	Depth int // in Report.JudgedPath, 0 = leaf; -1 = the chain as a whole
	// Message says what is wrong, with the values. Whatever the peer chose in it is quoted, ASCII and bounded.
	Message string
	// Hint says what would mend it, and who would: "server", "client", "caller" or "operator".
	Hint        string
	Certificate *x509.Certificate // nil: none in particular
}
