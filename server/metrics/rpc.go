package metrics

import (
	"context"
	"time"

	grpcprom "github.com/grpc-ecosystem/go-grpc-middleware/providers/prometheus"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/reflect/protoreflect"

	pb "securesocket/gen/securesocket/v1"
)

// MaxRPCSeries is how many series RPCs may have: of each method three, one for each of
// gRPC's 17 codes that it has ended with, and a histogram of ten.
const MaxRPCSeries = 30 * 40

// rpcBuckets are few, since each is there for every method. What waits for a peer or a
// caller has its time there, not in the service.
var rpcBuckets = []float64{.001, .005, .025, .1, .5, 2.5, 10}

func newRPCs() *grpcprom.ServerMetrics {
	return grpcprom.NewServerMetrics(grpcprom.WithServerHandlingTimeHistogram(grpcprom.WithHistogramBuckets(rpcBuckets)))
}

// ours are the methods of the contract, by their full names.
var ours = methods(
	pb.File_securesocket_v1_secure_socket_service_proto, pb.File_securesocket_v1_listener_service_proto,
	pb.File_securesocket_v1_trust_service_proto, pb.File_securesocket_v1_diagnostic_service_proto,
)

func methods(files ...protoreflect.FileDescriptor) map[string]bool {
	names := make(map[string]bool)
	for _, file := range files {
		for i := range file.Services().Len() {
			service := file.Services().Get(i)
			for j := range service.Methods().Len() {
				names["/"+string(service.FullName())+"/"+string(service.Methods().Get(j).Name())] = true
			}
		}
	}
	return names
}

// Handled counts the reasons of RPCs that failed. It makes a Metrics what
// server.Config.Metrics takes; codes and times are the interceptors' matter.
func (m *Metrics) Handled(method string, code codes.Code, reason string, _ time.Duration) {
	if code != codes.OK && ours[method] {
		m.rpcErrors.inc(reason)
	}
}

// UnaryInterceptor counts RPCs of our services, and the limits that refused them. It
// has to be the outermost one (grpc.UnaryInterceptor makes it so) to see what callers
// are told.
func (m *Metrics) UnaryInterceptor() grpc.UnaryServerInterceptor {
	count := m.rpcs.UnaryServerInterceptor()
	return func(ctx context.Context, req any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
		if !ours[info.FullMethod] {
			return handler(ctx, req)
		}
		resp, err := count(ctx, req, info, handler)
		m.told(err)
		return resp, err
	}
}

// StreamInterceptor is UnaryInterceptor for streams.
func (m *Metrics) StreamInterceptor() grpc.StreamServerInterceptor {
	count := m.rpcs.StreamServerInterceptor()
	return func(srv any, ss grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
		if !ours[info.FullMethod] {
			return handler(srv, ss)
		}
		err := count(srv, ss, info, handler)
		m.told(err)
		return err
	}
}

// The reasons that a limit has, without their prefix.
const (
	limitReason     = "LIMIT"
	resourcesReason = "LOCAL_RESOURCES"
)

// told counts the limit that a caller was told of.
func (m *Metrics) told(err error) {
	if err == nil {
		return
	}
	for _, detail := range status.Convert(err).Details() {
		info, ok := detail.(*errdetails.ErrorInfo)
		if !ok {
			continue
		}
		if r := info.GetReason(); r == limitReason || r == resourcesReason {
			m.Refused(info.GetMetadata()["what"])
		}
		return
	}
}
