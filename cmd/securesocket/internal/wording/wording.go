// Package wording says the contract's values in words: enums by the names that the documentation has, numbers with
// their units, algorithms by their names. Nothing it returns is escaped.
//
// It decides nothing. Its functions may be called from any goroutine and have no errors: a value that is newer than this
// program comes out as its number.
package wording

import (
	"encoding/hex"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	pb "securesocket/gen/securesocket/v1"
)

// Word is an enum's value in a sentence: "host lookup".
func Word(name, prefix string) string {
	return strings.ToLower(strings.ReplaceAll(strings.TrimPrefix(name, prefix), "_", " "))
}

// Reason is a reason as docs and ErrorInfo have it: "PEER_RESET".
func Reason(r pb.ErrorReason) string { return strings.TrimPrefix(r.String(), "ERROR_REASON_") }

// Status is the verdict as the contract has it: "EXPIRED".
func Status(s pb.CertificateStatus) string {
	return strings.TrimPrefix(s.String(), "CERTIFICATE_STATUS_")
}

// Problem is a code as the contract has it: "CERTIFICATE_EXPIRED".
func Problem(code pb.CertificateProblemCode) string {
	return strings.TrimPrefix(code.String(), "CERTIFICATE_PROBLEM_CODE_")
}

// Cause is a cause as the contract has it: "PEER_CLOSE_NOTIFY".
func Cause(c pb.CloseCause) string { return strings.TrimPrefix(c.String(), "CLOSE_CAUSE_") }

// State is a session's state: "host lookup".
func State(s pb.State) string { return Word(s.String(), "STATE_") }

// Phase is a phase of a connection's life: "handshake"; empty for none.
func Phase(p pb.Phase) string {
	if p == pb.Phase_PHASE_UNSPECIFIED {
		return ""
	}
	return Word(p.String(), "PHASE_")
}

// Version is a version for people: "TLS 1.3".
func Version(v pb.ProtocolVersion) string {
	name := strings.TrimPrefix(v.String(), "PROTOCOL_VERSION_")
	return strings.ReplaceAll(strings.Replace(name, "TLS", "TLS ", 1), "_", ".")
}

// Endpoint is address:port.
func Endpoint(e *pb.Endpoint) string {
	return net.JoinHostPort(e.GetAddress(), strconv.Itoa(int(e.GetPort())))
}

// Depth is a place in a path: "depth 0, leaf"; "chain" for the chain as a whole.
func Depth(depth int32) string {
	switch {
	case depth < 0:
		return "chain"
	case depth == 0:
		return "depth 0, leaf"
	}
	return "depth " + strconv.Itoa(int(depth))
}

// Count is a number of things: "1 trust anchor", "2 trust anchors".
func Count(n int32, thing string) string {
	said := strconv.Itoa(int(n)) + " " + thing
	if n != 1 {
		said += "s"
	}
	return said
}

// Milliseconds is a duration with microseconds behind the point: "1.234 ms".
func Milliseconds(d time.Duration) string { return fmt.Sprintf("%.3f ms", float64(d)/1e6) }

// Time is an instant, RFC 3339 in UTC; "unknown" where there is none.
func Time(t *timestamppb.Timestamp) string {
	if t == nil {
		return "unknown"
	}
	return t.AsTime().Format(time.RFC3339)
}

// Revocation is what is known about the revocation of one certificate, without saying of which.
func Revocation(r *pb.RevocationResult) string {
	said := Word(r.GetOutcome().String(), "OUTCOME_")
	if source := r.GetSource(); source != pb.RevocationResult_SOURCE_UNSPECIFIED {
		said += " by " + map[pb.RevocationResult_Source]string{
			pb.RevocationResult_SOURCE_STAPLE: "the peer's OCSP staple",
			pb.RevocationResult_SOURCE_OCSP:   "its OCSP responder",
			pb.RevocationResult_SOURCE_CRL:    "a revocation list",
			pb.RevocationResult_SOURCE_CACHE:  "an earlier answer",
		}[source]
	}
	if at := r.GetRevokedTime(); at != nil {
		said += ", since " + Time(at)
	}
	if r.GetThisUpdateTime() != nil {
		said += ", as of " + Time(r.GetThisUpdateTime())
	}
	if r.GetNextUpdateTime() != nil {
		said += ", good until " + Time(r.GetNextUpdateTime())
	}
	if r.GetDetail() != "" {
		said += ": " + r.GetDetail()
	}
	return said
}

// Key is a public key's algorithm and size: "ECDSA 256".
func Key(c *pb.Certificate) string {
	oid, bits := c.GetSubjectPublicKeyAlgorithmOid(), c.GetSubjectPublicKeyBits()
	name, known := keyAlgorithms[oid]
	switch {
	case !known && oid == "":
		return "unknown key"
	case !known:
		name = "key " + oid
	}
	if bits > 0 && !strings.HasPrefix(name, "Ed") && !strings.HasPrefix(name, "ML-") {
		name += " " + strconv.Itoa(int(bits))
	}
	return name
}

// keyAlgorithms has the algorithms of RFC 3279, RFC 5480, RFC 8410 and RFC 9881.
var keyAlgorithms = map[string]string{
	"1.2.840.113549.1.1.1":    "RSA",
	"1.2.840.113549.1.1.10":   "RSA-PSS",
	"1.2.840.10040.4.1":       "DSA",
	"1.2.840.10045.2.1":       "ECDSA",
	"1.3.101.112":             "Ed25519",
	"1.3.101.113":             "Ed448",
	"2.16.840.1.101.3.4.3.17": "ML-DSA-44",
	"2.16.840.1.101.3.4.3.18": "ML-DSA-65",
	"2.16.840.1.101.3.4.3.19": "ML-DSA-87",
}

// Fingerprint is the beginning of a SHA-256, enough to tell certificates apart.
func Fingerprint(sha256 []byte) string { return hex.EncodeToString(sha256[:min(8, len(sha256))]) }
