package client

import (
	"strings"

	"google.golang.org/grpc/codes"

	pb "securesocket/gen/securesocket/v1"
)

// causes are the ends of a connection that have no failure beside them, and what Read and Write then say.
var causes = map[pb.CloseCause]Error{
	pb.CloseCause_CLOSE_CAUSE_PEER_TRUNCATED: {Code: codes.Unavailable, Reason: pb.ErrorReason_ERROR_REASON_PEER_TRUNCATED,
		Message: "the peer ended the connection without close_notify"},
	pb.CloseCause_CLOSE_CAUSE_PEER_TRUNCATED_RECORD: {Code: codes.Unavailable, Reason: pb.ErrorReason_ERROR_REASON_PEER_TRUNCATED,
		Message: "the peer ended the connection inside a TLS record"},
	pb.CloseCause_CLOSE_CAUSE_PEER_RESET: {Code: codes.Unavailable, Reason: pb.ErrorReason_ERROR_REASON_PEER_RESET,
		Message: "the peer reset the connection"},
	pb.CloseCause_CLOSE_CAUSE_PEER_ALERT: {Code: codes.FailedPrecondition, Reason: pb.ErrorReason_ERROR_REASON_PEER_ALERT,
		Message: "the peer ended the connection with a TLS alert"},
	pb.CloseCause_CLOSE_CAUSE_LOCAL: {Code: codes.Canceled, Reason: pb.ErrorReason_ERROR_REASON_CANCELLED,
		Message: "the caller's side closed the connection"},
	pb.CloseCause_CLOSE_CAUSE_RECONNECT: {Code: codes.Canceled, Reason: pb.ErrorReason_ERROR_REASON_CANCELLED,
		Message: "another call has connected the session again"},
	pb.CloseCause_CLOSE_CAUSE_IDLE_TIMEOUT: {Code: codes.DeadlineExceeded,
		Message: "no byte moved for the idle timeout"},
	pb.CloseCause_CLOSE_CAUSE_DETACH_EXPIRED: {Code: codes.Canceled, Reason: pb.ErrorReason_ERROR_REASON_CANCELLED,
		Message: "no stream was attached to the session"},
	pb.CloseCause_CLOSE_CAUSE_POLICY: {Code: codes.PermissionDenied, Reason: pb.ErrorReason_ERROR_REASON_EGRESS_DENIED,
		Message: "the egress policy refused the target"},
	pb.CloseCause_CLOSE_CAUSE_DRAIN: {Code: codes.Unavailable, Reason: pb.ErrorReason_ERROR_REASON_DRAINING,
		Message: "the service has stopped"},
	pb.CloseCause_CLOSE_CAUSE_NETWORK_TIMEOUT: {Code: codes.Unavailable, Reason: pb.ErrorReason_ERROR_REASON_NETWORK_TIMEOUT,
		Message: "the peer or the network has gone silent"},
	pb.CloseCause_CLOSE_CAUSE_DELETED: {Code: codes.Canceled, Reason: pb.ErrorReason_ERROR_REASON_CANCELLED,
		Message: "the session was deleted"},
}

// fromCause is the error of an end without a failure. The peer's close_notify is none, and has no error.
func fromCause(cause pb.CloseCause) *Error {
	e, ok := causes[cause]
	if !ok {
		e = Error{Code: codes.Unavailable, Message: "the connection has ended"}
	}
	e.Phase = pb.Phase_PHASE_CLOSE
	e.Metadata = map[string]string{"cause": causeName(cause)}
	return &e
}

// causeName is the cause as in metadata: "PEER_RESET".
func causeName(cause pb.CloseCause) string {
	return strings.TrimPrefix(cause.String(), "CLOSE_CAUSE_")
}
