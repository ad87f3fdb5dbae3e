package main

import (
	"errors"

	"google.golang.org/grpc/codes"

	"securesocket/client"
	pb "securesocket/gen/securesocket/v1"
)

// The exit codes; doc.go says what they mean.
const (
	exitDone        = 0
	exitOther       = 1
	exitUsage       = 2
	exitPolicy      = 3
	exitNetwork     = 4
	exitHandshake   = 5
	exitCertificate = 6
	exitTruncated   = 7
	exitDenied      = 8
	exitInterrupted = 130
)

// exitCodes has every reason of the contract; a test walks the enum.
var exitCodes = map[pb.ErrorReason]int{
	pb.ErrorReason_ERROR_REASON_UNSPECIFIED: exitOther, // the gRPC code says more, see exitCode

	pb.ErrorReason_ERROR_REASON_INVALID_FIELD:        exitUsage,
	pb.ErrorReason_ERROR_REASON_INVALID_CERTIFICATE:  exitUsage,
	pb.ErrorReason_ERROR_REASON_PORT_OUT_OF_RANGE:    exitUsage,
	pb.ErrorReason_ERROR_REASON_HOST_REQUIRED:        exitUsage,
	pb.ErrorReason_ERROR_REASON_HOST_SYNTAX:          exitUsage,
	pb.ErrorReason_ERROR_REASON_INVALID_PRIVATE_KEY:  exitUsage,
	pb.ErrorReason_ERROR_REASON_UNSUPPORTED_PROTOCOL: exitUsage,
	pb.ErrorReason_ERROR_REASON_UNSUPPORTED_CIPHER:   exitUsage,
	pb.ErrorReason_ERROR_REASON_UNSUPPORTED:          exitUsage,

	// Nothing that a user of this program can cause by its arguments.
	pb.ErrorReason_ERROR_REASON_SESSION_NOT_FOUND: exitOther,
	pb.ErrorReason_ERROR_REASON_SESSION_STATE:     exitOther,
	pb.ErrorReason_ERROR_REASON_OFFSET_MISMATCH:   exitOther,
	pb.ErrorReason_ERROR_REASON_STREAM_GRAMMAR:    exitOther,
	pb.ErrorReason_ERROR_REASON_SUPERSEDED:        exitOther,
	pb.ErrorReason_ERROR_REASON_RESUME_TOKEN:      exitOther,
	pb.ErrorReason_ERROR_REASON_REQUEST_ID_REUSED: exitOther,
	pb.ErrorReason_ERROR_REASON_CANCELLED:         exitOther, // by a signal: exitInterrupted
	pb.ErrorReason_ERROR_REASON_INTERNAL:          exitOther,

	pb.ErrorReason_ERROR_REASON_UNAUTHENTICATED: exitPolicy,
	pb.ErrorReason_ERROR_REASON_NOT_ALLOWED:     exitPolicy,
	pb.ErrorReason_ERROR_REASON_EGRESS_DENIED:   exitPolicy,
	pb.ErrorReason_ERROR_REASON_LISTEN_DENIED:   exitPolicy,
	pb.ErrorReason_ERROR_REASON_LIMIT:           exitPolicy,

	pb.ErrorReason_ERROR_REASON_DRAINING:            exitNetwork,
	pb.ErrorReason_ERROR_REASON_LOCAL_RESOURCES:     exitNetwork,
	pb.ErrorReason_ERROR_REASON_SESSION_EXPIRED:     exitNetwork, // the way to the service was broken for too long
	pb.ErrorReason_ERROR_REASON_LISTENER_NOT_FOUND:  exitNetwork, // the same, or it was started again
	pb.ErrorReason_ERROR_REASON_ADDRESS_IN_USE:      exitNetwork,
	pb.ErrorReason_ERROR_REASON_ADDRESS_UNAVAILABLE: exitNetwork,
	pb.ErrorReason_ERROR_REASON_PROXY_REFUSED:       exitNetwork,
	pb.ErrorReason_ERROR_REASON_HOST_NOT_FOUND:      exitNetwork,
	pb.ErrorReason_ERROR_REASON_DNS_FAILURE:         exitNetwork,
	pb.ErrorReason_ERROR_REASON_CONNECTION_REFUSED:  exitNetwork,
	pb.ErrorReason_ERROR_REASON_NETWORK_UNREACHABLE: exitNetwork,
	pb.ErrorReason_ERROR_REASON_HOST_UNREACHABLE:    exitNetwork,
	pb.ErrorReason_ERROR_REASON_NETWORK_TIMEOUT:     exitNetwork,
	pb.ErrorReason_ERROR_REASON_CONNECT_TIMEOUT:     exitNetwork,
	pb.ErrorReason_ERROR_REASON_PEER_RESET:          exitNetwork,

	pb.ErrorReason_ERROR_REASON_HANDSHAKE_TIMEOUT:   exitHandshake,
	pb.ErrorReason_ERROR_REASON_NOT_TLS:             exitHandshake,
	pb.ErrorReason_ERROR_REASON_PEER_ALERT:          exitHandshake,
	pb.ErrorReason_ERROR_REASON_PEER_MISBEHAVED:     exitHandshake,
	pb.ErrorReason_ERROR_REASON_PEER_INCOMPATIBLE:   exitHandshake,
	pb.ErrorReason_ERROR_REASON_ALPN_MISMATCH:       exitHandshake,
	pb.ErrorReason_ERROR_REASON_START_TLS_REFUSED:   exitHandshake,
	pb.ErrorReason_ERROR_REASON_START_TLS_INJECTION: exitHandshake,
	pb.ErrorReason_ERROR_REASON_SIGNATURE_FAILED:    exitHandshake,

	pb.ErrorReason_ERROR_REASON_CERTIFICATE_EXPIRED:            exitCertificate,
	pb.ErrorReason_ERROR_REASON_CERTIFICATE_NOT_YET_VALID:      exitCertificate,
	pb.ErrorReason_ERROR_REASON_CERTIFICATE_PRINCIPAL_MISMATCH: exitCertificate,
	pb.ErrorReason_ERROR_REASON_CERTIFICATE_INVALID_CHAIN:      exitCertificate,
	pb.ErrorReason_ERROR_REASON_CERTIFICATE_UNTRUSTED_SIGNERS:  exitCertificate,
	pb.ErrorReason_ERROR_REASON_CERTIFICATE_INVALID:            exitCertificate,
	pb.ErrorReason_ERROR_REASON_CERTIFICATE_UNDETERMINED:       exitCertificate,
	pb.ErrorReason_ERROR_REASON_CERTIFICATE_REVOKED:            exitCertificate,
	pb.ErrorReason_ERROR_REASON_CERTIFICATE_REQUIRED:           exitCertificate,
	pb.ErrorReason_ERROR_REASON_REVOCATION_UNAVAILABLE:         exitCertificate,
	pb.ErrorReason_ERROR_REASON_DECISION_REFUSED:               exitCertificate,
	pb.ErrorReason_ERROR_REASON_DECISION_TIMEOUT:               exitCertificate,

	pb.ErrorReason_ERROR_REASON_PEER_TRUNCATED: exitTruncated,
}

// exitCode is the code for how a command ended.
func exitCode(err error) int {
	if err == nil {
		return exitDone
	}
	if errors.Is(err, errInterrupted) {
		return exitInterrupted
	}
	if errors.Is(err, errDenied) {
		return exitDenied
	}
	if _, ok := errors.AsType[*usageError](err); ok {
		return exitUsage
	}
	if e, ok := errors.AsType[*outputError](err); ok && e.quiet() {
		return exitDone
	}
	e, ok := errors.AsType[*client.Error](err)
	if !ok {
		return exitOther
	}
	if e.Phase == pb.Phase_PHASE_HANDSHAKE {
		switch e.Reason {
		case pb.ErrorReason_ERROR_REASON_PEER_TRUNCATED, pb.ErrorReason_ERROR_REASON_PEER_RESET:
			return exitHandshake // no byte of data was cut off: there was none yet
		}
	}
	if e.Reason == pb.ErrorReason_ERROR_REASON_SESSION_NOT_FOUND && e.Phase == pb.Phase_PHASE_DATA {
		return exitNetwork // the service was started again under a connection
	}
	if e.Reason == pb.ErrorReason_ERROR_REASON_UNSPECIFIED {
		switch e.Code {
		case codes.Unavailable, codes.DeadlineExceeded:
			return exitNetwork
		case codes.Unauthenticated, codes.PermissionDenied:
			return exitPolicy
		}
	}
	if code, ok := exitCodes[e.Reason]; ok {
		return code
	}
	return exitOther // a reason that is newer than this program
}
