package client

import (
	"errors"
	"strings"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	pb "securesocket/gen/securesocket/v1"
)

// errorDomain is the domain of the service's google.rpc.ErrorInfo.
const errorDomain = "securesocket.v1"

// FromError turns the error of a call on Client.Service into an *Error: reason and metadata from its ErrorInfo, the code
// from its status, the time from its RetryInfo. An *Error anywhere in err's tree is returned as it is; nil gives nil. An error that is no status at
// all has Code UNKNOWN, or that of the context's error it is. What this side found on its way to the service (see Error) is
// told as that.
func FromError(err error) *Error {
	if err == nil {
		return nil
	}
	if way, ok := errors.AsType[*wayError](err); ok {
		e := way.failure // gRPC gives the same one to every call that meets it
		return &e
	}
	if e, ok := errors.AsType[*Error](err); ok {
		return e
	}
	st, ok := status.FromError(err)
	if !ok {
		st = status.FromContextError(err)
	}
	e := &Error{Code: st.Code(), Message: st.Message(), cause: err}
	for _, detail := range st.Details() {
		switch detail := detail.(type) {
		case *errdetails.RetryInfo:
			e.RetryAfter = detail.GetRetryDelay().AsDuration()
		case *errdetails.ErrorInfo:
			if detail.GetDomain() != errorDomain || e.Reason != pb.ErrorReason_ERROR_REASON_UNSPECIFIED {
				continue
			}
			e.Reason = pb.ErrorReason(pb.ErrorReason_value["ERROR_REASON_"+detail.GetReason()])
			e.Metadata = detail.GetMetadata()
			e.Phase = parsePhase(e.Metadata["phase"])
		}
	}
	return e
}

// fromFailure decodes a failure that came in a frame. A phase that the frame does not name is looked for in the metadata.
func fromFailure(f *pb.Failure, phase pb.Phase) *Error {
	if phase == pb.Phase_PHASE_UNSPECIFIED {
		phase = parsePhase(f.GetMetadata()["phase"])
	}
	return &Error{
		Code:     codes.Code(f.GetCode()),
		Reason:   f.GetReason(),
		Message:  f.GetMessage(),
		Metadata: f.GetMetadata(),
		Phase:    phase,
	}
}

// parsePhase reads "handshake", "HANDSHAKE" and "PHASE_HANDSHAKE"; anything else is UNSPECIFIED.
func parsePhase(s string) pb.Phase {
	return pb.Phase(pb.Phase_value["PHASE_"+strings.TrimPrefix(strings.ToUpper(s), "PHASE_")])
}
