package server

import (
	"maps"
	"strings"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/protoadapt"
	"google.golang.org/protobuf/types/known/durationpb"

	pb "securesocket/gen/securesocket/v1"
)

// domain is the domain of every ErrorInfo.
const domain = "securesocket.v1"

// reasonPrefix is what a reason's name loses in an ErrorInfo.
const reasonPrefix = "ERROR_REASON_"

// drainRetry is when a caller may look for another instance of the service.
const drainRetry = time.Second

// toStatus converts an error of any room below into the status of an RPC. An
// error that is a status already, or nil, is returned as it is.
func toStatus(err error) error {
	if err == nil {
		return nil
	}
	if _, ok := err.(interface{ GRPCStatus() *status.Status }); ok {
		return err
	}
	return describe(err).status().Err()
}

// toFailure converts an error into what an event or a frame carries.
func toFailure(err error) *pb.Failure {
	if err == nil {
		return nil
	}
	d := describe(err)
	return &pb.Failure{Code: int32(d.code()), Reason: d.reason, Message: d.message, Metadata: d.metadata} //nolint:gosec // a small enum
}

// description is an error as the wire tells it.
type description struct {
	reason   pb.ErrorReason
	message  string
	metadata map[string]string
	retry    time.Duration // when to try again; 0: not said
}

func (d description) code() codes.Code { return reasonCodes[d.reason] }

func (d description) status() *status.Status {
	st := status.New(d.code(), d.message)
	details := []protoadapt.MessageV1{&errdetails.ErrorInfo{
		Reason:   strings.TrimPrefix(d.reason.String(), reasonPrefix),
		Domain:   domain,
		Metadata: maps.Clone(d.metadata),
	}}
	switch d.reason {
	case pb.ErrorReason_ERROR_REASON_INVALID_FIELD:
		details = append(details, &errdetails.BadRequest{FieldViolations: []*errdetails.BadRequest_FieldViolation{
			{Field: d.metadata["field"], Description: d.message},
		}})
	case pb.ErrorReason_ERROR_REASON_LIMIT:
		details = append(details, &errdetails.QuotaFailure{Violations: []*errdetails.QuotaFailure_Violation{
			{Subject: d.metadata["what"], Description: d.message},
		}})
	}
	if d.retry > 0 {
		details = append(details, &errdetails.RetryInfo{RetryDelay: durationpb.New(d.retry)})
	}
	if full, err := st.WithDetails(details...); err == nil {
		return full
	}
	return st
}

// reasonCodes has the google.rpc.Code of every reason.
var reasonCodes = map[pb.ErrorReason]codes.Code{
	pb.ErrorReason_ERROR_REASON_INVALID_FIELD:        codes.InvalidArgument,
	pb.ErrorReason_ERROR_REASON_INVALID_CERTIFICATE:  codes.InvalidArgument,
	pb.ErrorReason_ERROR_REASON_INVALID_PRIVATE_KEY:  codes.InvalidArgument,
	pb.ErrorReason_ERROR_REASON_NOT_ALLOWED:          codes.PermissionDenied,
	pb.ErrorReason_ERROR_REASON_PORT_OUT_OF_RANGE:    codes.OutOfRange,
	pb.ErrorReason_ERROR_REASON_HOST_REQUIRED:        codes.InvalidArgument,
	pb.ErrorReason_ERROR_REASON_HOST_SYNTAX:          codes.InvalidArgument,
	pb.ErrorReason_ERROR_REASON_UNSUPPORTED_PROTOCOL: codes.FailedPrecondition,
	pb.ErrorReason_ERROR_REASON_UNSUPPORTED_CIPHER:   codes.InvalidArgument,
	pb.ErrorReason_ERROR_REASON_SESSION_NOT_FOUND:    codes.NotFound,
	pb.ErrorReason_ERROR_REASON_SESSION_STATE:        codes.FailedPrecondition,
	pb.ErrorReason_ERROR_REASON_OFFSET_MISMATCH:      codes.OutOfRange,
	pb.ErrorReason_ERROR_REASON_STREAM_GRAMMAR:       codes.InvalidArgument,
	pb.ErrorReason_ERROR_REASON_SUPERSEDED:           codes.Aborted,
	pb.ErrorReason_ERROR_REASON_RESUME_TOKEN:         codes.PermissionDenied,
	pb.ErrorReason_ERROR_REASON_UNAUTHENTICATED:      codes.Unauthenticated,
	pb.ErrorReason_ERROR_REASON_REQUEST_ID_REUSED:    codes.FailedPrecondition,
	pb.ErrorReason_ERROR_REASON_SESSION_EXPIRED:      codes.NotFound,

	pb.ErrorReason_ERROR_REASON_LISTENER_NOT_FOUND: codes.NotFound,

	pb.ErrorReason_ERROR_REASON_EGRESS_DENIED:       codes.PermissionDenied,
	pb.ErrorReason_ERROR_REASON_LISTEN_DENIED:       codes.PermissionDenied,
	pb.ErrorReason_ERROR_REASON_ADDRESS_IN_USE:      codes.AlreadyExists,
	pb.ErrorReason_ERROR_REASON_ADDRESS_UNAVAILABLE: codes.FailedPrecondition,
	pb.ErrorReason_ERROR_REASON_LIMIT:               codes.ResourceExhausted,
	pb.ErrorReason_ERROR_REASON_DRAINING:            codes.Unavailable,
	pb.ErrorReason_ERROR_REASON_LOCAL_RESOURCES:     codes.ResourceExhausted,
	pb.ErrorReason_ERROR_REASON_CANCELLED:           codes.Canceled,
	pb.ErrorReason_ERROR_REASON_UNSUPPORTED:         codes.Unimplemented,

	pb.ErrorReason_ERROR_REASON_HOST_NOT_FOUND:      codes.Unavailable,
	pb.ErrorReason_ERROR_REASON_DNS_FAILURE:         codes.Unavailable,
	pb.ErrorReason_ERROR_REASON_CONNECTION_REFUSED:  codes.Unavailable,
	pb.ErrorReason_ERROR_REASON_NETWORK_UNREACHABLE: codes.Unavailable,
	pb.ErrorReason_ERROR_REASON_CONNECT_TIMEOUT:     codes.DeadlineExceeded,
	pb.ErrorReason_ERROR_REASON_HANDSHAKE_TIMEOUT:   codes.DeadlineExceeded,
	pb.ErrorReason_ERROR_REASON_NOT_TLS:             codes.FailedPrecondition,
	pb.ErrorReason_ERROR_REASON_PEER_ALERT:          codes.FailedPrecondition,
	pb.ErrorReason_ERROR_REASON_PEER_MISBEHAVED:     codes.FailedPrecondition,
	pb.ErrorReason_ERROR_REASON_PEER_INCOMPATIBLE:   codes.FailedPrecondition,
	pb.ErrorReason_ERROR_REASON_PEER_RESET:          codes.Unavailable,
	pb.ErrorReason_ERROR_REASON_PEER_TRUNCATED:      codes.Unavailable,
	pb.ErrorReason_ERROR_REASON_HOST_UNREACHABLE:    codes.Unavailable,
	pb.ErrorReason_ERROR_REASON_NETWORK_TIMEOUT:     codes.Unavailable,
	pb.ErrorReason_ERROR_REASON_ALPN_MISMATCH:       codes.FailedPrecondition,
	pb.ErrorReason_ERROR_REASON_START_TLS_INJECTION: codes.FailedPrecondition,
	pb.ErrorReason_ERROR_REASON_START_TLS_REFUSED:   codes.FailedPrecondition,
	pb.ErrorReason_ERROR_REASON_PROXY_REFUSED:       codes.Unavailable,

	pb.ErrorReason_ERROR_REASON_CERTIFICATE_EXPIRED:            codes.FailedPrecondition,
	pb.ErrorReason_ERROR_REASON_CERTIFICATE_NOT_YET_VALID:      codes.FailedPrecondition,
	pb.ErrorReason_ERROR_REASON_CERTIFICATE_PRINCIPAL_MISMATCH: codes.FailedPrecondition,
	pb.ErrorReason_ERROR_REASON_CERTIFICATE_INVALID_CHAIN:      codes.FailedPrecondition,
	pb.ErrorReason_ERROR_REASON_CERTIFICATE_UNTRUSTED_SIGNERS:  codes.FailedPrecondition,
	pb.ErrorReason_ERROR_REASON_CERTIFICATE_INVALID:            codes.FailedPrecondition,
	pb.ErrorReason_ERROR_REASON_CERTIFICATE_UNDETERMINED:       codes.FailedPrecondition,
	pb.ErrorReason_ERROR_REASON_CERTIFICATE_REVOKED:            codes.FailedPrecondition,
	pb.ErrorReason_ERROR_REASON_REVOCATION_UNAVAILABLE:         codes.FailedPrecondition,
	pb.ErrorReason_ERROR_REASON_DECISION_REFUSED:               codes.FailedPrecondition,
	pb.ErrorReason_ERROR_REASON_DECISION_TIMEOUT:               codes.FailedPrecondition,
	pb.ErrorReason_ERROR_REASON_SIGNATURE_FAILED:               codes.FailedPrecondition,
	pb.ErrorReason_ERROR_REASON_CERTIFICATE_REQUIRED:           codes.FailedPrecondition,

	pb.ErrorReason_ERROR_REASON_INTERNAL: codes.Internal,
}
