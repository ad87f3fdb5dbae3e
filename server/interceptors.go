package server

import (
	"context"
	"errors"
	"log/slog"
	"runtime/debug"
	"strings"
	"time"

	"github.com/grpc-ecosystem/go-grpc-middleware/v2/interceptors/auth"
	"github.com/grpc-ecosystem/go-grpc-middleware/v2/interceptors/recovery"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/tap"
	"google.golang.org/protobuf/proto"

	"securesocket/server/door"
	"securesocket/session"
)

// ourPackage begins the names of our own services.
const ourPackage = "securesocket."

func isOurs(method string) bool { return strings.HasPrefix(method, "/"+ourPackage) }

// isOpen: everybody may call it. Whatever else a path may be, it goes past the guard.
func isOpen(method string) bool {
	return strings.HasPrefix(method, "/grpc.health.v1.Health/") || strings.HasPrefix(method, "/grpc.reflection.")
}

// interceptorOptions returns the interceptors in their order: what goes wrong
// in one is seen by those before it. There are few of them, because each is a part
// of the stack of every stream that is open.
func interceptorOptions(g *guard, metrics Metrics, log *slog.Logger) []grpc.ServerOption {
	panics := recovery.WithRecoveryHandlerContext(func(_ context.Context, p any) error {
		if metrics != nil {
			metrics.Panicked()
		}
		return session.Internal(log, "panic", "panic", p, "stack", string(debug.Stack()))
	})
	// Errors are converted outermost, so that every refusal has its ErrorInfo.
	f := finisher{metrics, log}
	return []grpc.ServerOption{
		grpc.ChainUnaryInterceptor(f.unary, recovery.UnaryServerInterceptor(panics), enterUnary(g), unaryKnown),
		grpc.ChainStreamInterceptor(f.stream, recovery.StreamServerInterceptor(panics), enterStream(watcher{g, log})),
	}
}

// enterUnary lets everybody into what is open, and callers by name into the rest.
func enterUnary(g *guard) grpc.UnaryServerInterceptor {
	admit := auth.UnaryServerInterceptor(g.admit)
	return func(ctx context.Context, req any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
		if isOpen(info.FullMethod) {
			return door.UnaryVisit(ctx, req, info, handler)
		}
		return admit(ctx, req, info, handler)
	}
}

// enterStream is enterUnary for streams, whose callers are looked after.
func enterStream(w watcher) grpc.StreamServerInterceptor {
	admit := auth.StreamServerInterceptor(w.guard.admit)
	watched := func(handler grpc.StreamHandler) grpc.StreamHandler {
		return func(srv any, ss grpc.ServerStream) error {
			defer w.watch(ss.Context())()
			return handler(srv, ss)
		}
	}
	return func(srv any, ss grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
		if isOpen(info.FullMethod) {
			return door.StreamVisit(srv, ss, info, handler)
		}
		return admit(srv, ss, info, watched(handler))
	}
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

// finisher is the outermost interceptor: it converts errors, and tells the metrics.
type finisher struct {
	metrics Metrics // nil: nobody counts
	log     *slog.Logger
}

func (f finisher) unary(ctx context.Context, req any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
	if m, ok := req.(proto.Message); ok {
		defer clearSecrets(m) // whoever sent it, and however it ends
	}
	began := time.Now()
	resp, err := handler(ctx, req)
	err = finalStatus(f.log, info.FullMethod, err)
	f.count(info.FullMethod, err, began)
	return resp, err
}

func (f finisher) stream(srv any, ss grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
	began := time.Now()
	err := finalStatus(f.log, info.FullMethod, handler(srv, ss))
	f.count(info.FullMethod, err, began)
	return err
}

// tap refuses RPCs that there is no room for, before any of them costs a goroutine.
func (f finisher) tap(ctx context.Context, info *tap.Info) (context.Context, error) {
	err := door.FromContext(ctx).Begin(ctx)
	if err != nil {
		err = finalStatus(f.log, info.FullMethodName, err)
		f.count(info.FullMethodName, err, time.Now())
	}
	return ctx, err
}

func (f finisher) count(method string, err error, began time.Time) {
	if f.metrics != nil && isOurs(method) {
		f.metrics.Handled(method, err, time.Since(began))
	}
}

// finalStatus converts what a handler returned. What no table knows is logged
// with the ID that the caller is given.
func finalStatus(log *slog.Logger, method string, err error) error {
	if err == nil {
		return nil
	}
	st := toStatus(err)
	if status.Code(st) == codes.Internal && isOurs(method) {
		if _, logged := errors.AsType[*session.InternalError](err); !logged {
			return toStatus(session.Internal(log, "unexpected error", "method", method, "error", err.Error()))
		}
	}
	log.Debug("refused", "method", method, "code", status.Code(st).String(), "error", bounded(err.Error()))
	return st
}
