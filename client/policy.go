package client

import (
	"context"

	pb "securesocket/gen/securesocket/v1"
)

// ExplainPolicy says what the service's egress policy makes of a target, rule by rule; nothing is dialled. A target that is
// denied is an answer, not an error. Where rules are written, and what about other callers, administrators alone are told.
// The error is an *Error.
func (c *Client) ExplainPolicy(ctx context.Context, request *pb.ExplainPolicyRequest) (*pb.ExplainPolicyResponse, error) {
	return call(ctx, pb.NewDiagnosticServiceClient(c.unary).ExplainPolicy, request)
}
