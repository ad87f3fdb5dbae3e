package door

import (
	"context"

	"google.golang.org/grpc"
)

// UnaryVisit is an interceptor for the services that need no authentication: an
// RPC of theirs is a visit, see [Ticket.Visit].
func UnaryVisit(ctx context.Context, req any, _ *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
	leave, err := FromContext(ctx).Visit()
	if err != nil {
		return nil, err
	}
	defer leave()
	return handler(ctx, req)
}

// StreamVisit is UnaryVisit for streams.
func StreamVisit(srv any, ss grpc.ServerStream, _ *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
	leave, err := FromContext(ss.Context()).Visit()
	if err != nil {
		return err
	}
	defer leave()
	return handler(srv, ss)
}
