package client

import (
	"context"

	"google.golang.org/grpc"
)

// call makes a unary call. Its error is an *Error, and comes with a nil answer.
func call[Request, Answer any](
	ctx context.Context, method func(context.Context, *Request, ...grpc.CallOption) (*Answer, error), request *Request,
) (*Answer, error) {
	answer, err := method(ctx, request)
	if err != nil {
		return nil, FromError(err)
	}
	return answer, nil
}
