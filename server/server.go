package server

import (
	"context"
	"log/slog"
	"net"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/reflection"

	pb "securesocket/gen/securesocket/v1"
	"securesocket/session"
)

// Config is what a Server works with. Registry is required; every other zero
// value is the default that its comment names.
type Config struct {
	Registry             *session.Registry
	Authenticate         Authenticator // ByConnection
	Logger               *slog.Logger  // discards
	Version              string        // "dev"
	Administrators       []string      // principals; nobody
	MaxConcurrentStreams uint32        // of one HTTP/2 connection; 2,048
	Options              []grpc.ServerOption
}

// The limits of a connection to the service.
const (
	maxConcurrentStreams = 2048
	maxReceiveBytes      = 4 << 20
	maxHeaderBytes       = 16 << 10
	setupTimeout         = 10 * time.Second
	streamWindow         = 256 << 10
	connectionWindow     = 16 * streamWindow
	writeBuffer          = 64 << 10
)

// Server serves the API. Made by New.
type Server struct {
	grpc     *grpc.Server
	health   *health.Server
	registry *session.Registry
}

// New returns a Server that serves nothing yet.
func New(cfg Config) *Server {
	if cfg.Authenticate == nil {
		cfg.Authenticate = ByConnection
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.Version == "" {
		cfg.Version = "dev"
	}
	if cfg.MaxConcurrentStreams == 0 {
		cfg.MaxConcurrentStreams = maxConcurrentStreams
	}
	opts := []grpc.ServerOption{
		grpc.Creds(connectionCredentials{}),
		grpc.MaxConcurrentStreams(cfg.MaxConcurrentStreams),
		grpc.MaxRecvMsgSize(maxReceiveBytes),
		grpc.MaxHeaderListSize(maxHeaderBytes),
		grpc.ConnectionTimeout(setupTimeout),
		grpc.StaticStreamWindowSize(streamWindow),
		grpc.StaticConnWindowSize(connectionWindow),
		grpc.WriteBufferSize(writeBuffer),
		grpc.KeepaliveParams(keepalive.ServerParameters{MaxConnectionIdle: 15 * time.Minute, Time: 20 * time.Second, Timeout: 10 * time.Second}),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: 10 * time.Second, PermitWithoutStream: true}),
	}
	opts = append(opts, codecOptions()...)
	opts = append(opts, interceptorOptions(cfg.Authenticate, cfg.Logger)...)
	s := &Server{
		grpc:     grpc.NewServer(append(opts, cfg.Options...)...),
		health:   health.NewServer(),
		registry: cfg.Registry,
	}
	sessions := &service{registry: cfg.Registry, version: cfg.Version, maxStreams: int(cfg.MaxConcurrentStreams)}
	pb.RegisterSecureSocketServiceServer(s.grpc, sessions)
	pb.RegisterListenerServiceServer(s.grpc, &listenerService{service: sessions})
	pb.RegisterTrustServiceServer(s.grpc, &trustService{service: sessions, administrators: cfg.Administrators})
	pb.RegisterDiagnosticServiceServer(s.grpc, &diagnosticService{service: sessions})
	healthpb.RegisterHealthServer(s.grpc, s.health)
	for name := range s.grpc.GetServiceInfo() {
		if strings.HasPrefix(name, ourPackage) {
			s.health.SetServingStatus(name, healthpb.HealthCheckResponse_SERVING)
		}
	}
	reflection.Register(s.grpc)
	return s
}

// Serve serves callers that l accepts until Drain or Close, which close l.
func (s *Server) Serve(l net.Listener) error { return s.grpc.Serve(l) }

// flushTimeout is how long streams have to take their last frames when the
// service stops.
const flushTimeout = 2 * time.Second

// Drain stops the service in order: health says NOT_SERVING, new sessions are
// refused, attached callers are told, live connections go on until ctx ends or
// none is left, and then everything ends.
func (s *Server) Drain(ctx context.Context) {
	s.health.Shutdown()
	deadline, ok := ctx.Deadline()
	if !ok {
		deadline = time.Now()
	}
	s.registry.Drain(ctx, deadline)
	timer := time.AfterFunc(flushTimeout, s.grpc.Stop)
	defer timer.Stop()
	s.grpc.GracefulStop()
	s.registry.Close()
}

// Close stops the service at once.
func (s *Server) Close() {
	s.grpc.Stop()
	s.registry.Close()
}
