package server

import (
	"context"
	"errors"
	"log/slog"
	"runtime/debug"
	"strings"

	"github.com/grpc-ecosystem/go-grpc-middleware/v2/interceptors"
	"github.com/grpc-ecosystem/go-grpc-middleware/v2/interceptors/auth"
	"github.com/grpc-ecosystem/go-grpc-middleware/v2/interceptors/recovery"
	"github.com/grpc-ecosystem/go-grpc-middleware/v2/interceptors/selector"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"securesocket/server/door"
	"securesocket/session"
)

// ourPackage begins the names of our own services; health and reflection are
// open to anybody.
const ourPackage = "securesocket."

// interceptorOptions returns the interceptors in their order: what goes wrong
// in one is seen by those before it.
func interceptorOptions(g *guard, metrics Metrics, log *slog.Logger) []grpc.ServerOption {
	ours := selector.MatchFunc(func(_ context.Context, c interceptors.CallMeta) bool { return isOurs(c.Service) })
	panics := recovery.WithRecoveryHandlerContext(func(_ context.Context, p any) error {
		return session.Internal(log, "panic", "panic", p, "stack", string(debug.Stack()))
	})
	open := selector.MatchFunc(func(_ context.Context, c interceptors.CallMeta) bool { return !isOurs(c.Service) })
	// Errors are converted outermost, so that every refusal has its ErrorInfo.
	unary := []grpc.UnaryServerInterceptor{unaryStatus(log)}
	stream := []grpc.StreamServerInterceptor{streamStatus(log)}
	if metrics != nil {
		unary = append(unary, selector.UnaryServerInterceptor(metrics.UnaryInterceptor(), ours))
		stream = append(stream, selector.StreamServerInterceptor(metrics.StreamInterceptor(), ours))
	}
	unary = append(unary,
		recovery.UnaryServerInterceptor(panics),
		selector.UnaryServerInterceptor(door.UnaryVisit, open),
		selector.UnaryServerInterceptor(auth.UnaryServerInterceptor(g.admit), ours),
		selector.UnaryServerInterceptor(unaryKnown, ours),
	)
	stream = append(stream,
		recovery.StreamServerInterceptor(panics),
		selector.StreamServerInterceptor(door.StreamVisit, open),
		selector.StreamServerInterceptor(auth.StreamServerInterceptor(g.admit), ours),
	)
	return []grpc.ServerOption{grpc.ChainUnaryInterceptor(unary...), grpc.ChainStreamInterceptor(stream...)}
}

// unaryKnown refuses requests that the service does not fully understand.
func unaryKnown(ctx context.Context, req any, _ *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
	if m, ok := req.(proto.Message); ok {
		if err := checkKnown(m); err != nil {
			return nil, err
		}
	}
	return handler(ctx, req)
}

func unaryStatus(log *slog.Logger) grpc.UnaryServerInterceptor {
	return func(ctx context.Context, req any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
		resp, err := handler(ctx, req)
		return resp, finalStatus(log, info.FullMethod, err)
	}
}

func streamStatus(log *slog.Logger) grpc.StreamServerInterceptor {
	return func(srv any, ss grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
		return finalStatus(log, info.FullMethod, handler(srv, ss))
	}
}

// finalStatus converts what a handler returned. What no table knows is logged
// with the ID that the caller is given.
func finalStatus(log *slog.Logger, method string, err error) error {
	if err == nil {
		return nil
	}
	st := toStatus(err)
	if status.Code(st) == codes.Internal && strings.HasPrefix(method, "/"+ourPackage) {
		if _, logged := errors.AsType[*session.InternalError](err); !logged {
			return toStatus(session.Internal(log, "unexpected error", "method", method, "error", err.Error()))
		}
	}
	log.Debug("refused", "method", method, "code", status.Code(st).String(), "error", bounded(err.Error()))
	return st
}
