package main

import (
	"context"
	"crypto/tls"
	"net"
	"slices"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	grpcpeer "google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"

	pb "securesocket/gen/securesocket/v1"
)

// guarded is a service that asks who calls and answers as it is told, so that it can have many callers and a policy.
type guarded struct {
	pb.UnimplementedSecureSocketServiceServer
	pb.UnimplementedDiagnosticServiceServer

	address string // without a scheme
	token   string // "": a client certificate does, where TLS asks for one

	sessions []*pb.Session // of all callers
	policy   *pb.ExplainPolicyResponse
	refuse   error // what everybody is told; nil: nothing

	mu      sync.Mutex
	asked   []*pb.ExplainPolicyRequest
	deleted []string
}

// startGuarded serves g until the test ends. config nil: without TLS.
func startGuarded(t *testing.T, g *guarded, config *tls.Config) *guarded {
	t.Helper()
	options := []grpc.ServerOption{grpc.UnaryInterceptor(
		func(ctx context.Context, request any, _ *grpc.UnaryServerInfo, handle grpc.UnaryHandler) (any, error) {
			if g.refuse != nil {
				return nil, g.refuse
			}
			if g.principal(ctx) == "" {
				return nil, refusal(codes.Unauthenticated, "UNAUTHENTICATED")
			}
			return handle(ctx, request)
		})}
	if config != nil {
		options = append(options, grpc.Creds(credentials.NewTLS(config)))
	}
	server := grpc.NewServer(options...)
	pb.RegisterSecureSocketServiceServer(server, g)
	pb.RegisterDiagnosticServiceServer(server, g)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	g.address = listener.Addr().String()
	var serving sync.WaitGroup
	serving.Go(func() { _ = server.Serve(listener) })
	t.Cleanup(func() {
		server.Stop()
		serving.Wait()
	})
	return g
}

// principal is who calls; "" if nobody can tell.
func (g *guarded) principal(ctx context.Context) string {
	if from, ok := grpcpeer.FromContext(ctx); ok {
		if info, ok := from.AuthInfo.(credentials.TLSInfo); ok && len(info.State.PeerCertificates) > 0 {
			return "x509:" + info.State.PeerCertificates[0].Subject.CommonName
		}
	}
	if g.token != "" && slices.Contains(metadata.ValueFromIncomingContext(ctx, "authorization"), "Bearer "+g.token) {
		return "token:ada"
	}
	return ""
}

func refusal(code codes.Code, reason string) error {
	st, err := status.New(code, "refused").WithDetails(&errdetails.ErrorInfo{Domain: "securesocket.v1", Reason: reason})
	if err != nil {
		return err
	}
	return st.Err()
}

func (g *guarded) GetCapabilities(ctx context.Context, _ *pb.GetCapabilitiesRequest) (*pb.GetCapabilitiesResponse, error) {
	principal := g.principal(ctx)
	return &pb.GetCapabilitiesResponse{Principal: principal, Administrator: principal == "token:ada",
		Limits: &pb.Limits{MaxConcurrentStreams: 10, MaxListenersPerCaller: 7}}, nil
}

func (g *guarded) ListSessions(_ context.Context, request *pb.ListSessionsRequest) (*pb.ListSessionsResponse, error) {
	if !request.GetAllCallers() {
		return &pb.ListSessionsResponse{Sessions: g.sessions[:1]}, nil
	}
	if request.GetPageToken() == "" {
		return &pb.ListSessionsResponse{Sessions: g.sessions[:1], NextPageToken: "rest"}, nil
	}
	return &pb.ListSessionsResponse{Sessions: g.sessions[1:]}, nil
}

func (g *guarded) DeleteSession(_ context.Context, request *pb.DeleteSessionRequest) (*pb.DeleteSessionResponse, error) {
	if !slices.ContainsFunc(g.sessions, func(s *pb.Session) bool { return s.GetSessionId() == request.GetSessionId() }) {
		return nil, refusal(codes.NotFound, "SESSION_NOT_FOUND")
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.deleted = append(g.deleted, request.GetSessionId())
	return &pb.DeleteSessionResponse{}, nil
}

func (g *guarded) ExplainPolicy(_ context.Context, request *pb.ExplainPolicyRequest) (*pb.ExplainPolicyResponse, error) {
	if request.GetPrincipal() == "token:forbidden" {
		return nil, refusal(codes.PermissionDenied, "NOT_ALLOWED")
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.asked = append(g.asked, request)
	return g.policy, nil
}
