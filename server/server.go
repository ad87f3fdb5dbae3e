package server

import (
	"context"
	"log/slog"
	"net"
	"strings"
	"time"

	"golang.org/x/time/rate"
	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/reflection"

	pb "securesocket/gen/securesocket/v1"
	"securesocket/server/callers"
	"securesocket/server/door"
	"securesocket/server/egress"
	"securesocket/session"
)

// Config is what a Server works with. Registry is required; every other zero
// value is the default that its comment names.
type Config struct {
	Registry *session.Registry
	// Callers says who calls, who may, and who administers; nil: everybody may who
	// can connect, nobody administers, and nothing but Unix sockets tells who it is.
	Callers *callers.Callers
	// Authenticate replaces what Callers says of who calls.
	Authenticate Authenticator
	// Administrator replaces what Callers says of who administers.
	Administrator func(principal string) bool
	Door          *door.Door   // limits connections; nil: nobody does
	Policy        *egress.Live // what ExplainPolicy explains; nil: that everything is allowed
	Metrics       Metrics      // nil: nobody counts
	Logger        *slog.Logger // discards
	Version       string       // "dev"

	MaxConcurrentStreams uint32        // of one HTTP/2 connection; 2,048
	SetupTimeout         time.Duration // of one; 10 s
	KeepaliveTime        time.Duration // without a byte, until it is asked whether it lives; 20 s
	KeepaliveTimeout     time.Duration // for its answer; 10 s
	ConnectionIdle       time.Duration // without an RPC; 15 min
	Options              []grpc.ServerOption
}

// Metrics counts RPCs. Its methods run beside each other.
type Metrics interface {
	// Handled is told of an RPC of ours that has ended: its full name, the status that
	// its caller is told, nil for OK, and how long it took.
	Handled(method string, status error, took time.Duration)
	// Authenticated is told whose an RPC's credentials are, or why they are nobody's.
	Authenticated(principal string, err error)
	// Panicked is told of a handler that did.
	Panicked()
}

func (c Config) withDefaults() (Config, error) {
	if c.Callers == nil {
		anybody, err := callers.New(callers.Config{Insecure: true, Allow: []string{"*"}})
		if err != nil {
			return c, err
		}
		c.Callers = anybody
	}
	if c.Authenticate == nil {
		c.Authenticate = c.Callers.Authenticate
	}
	if c.Administrator == nil {
		c.Administrator = c.Callers.Administrator
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Version == "" {
		c.Version = "dev"
	}
	if c.MaxConcurrentStreams == 0 {
		c.MaxConcurrentStreams = maxConcurrentStreams
	}
	for _, d := range []struct {
		p   *time.Duration
		def time.Duration
	}{{&c.SetupTimeout, setupTimeout}, {&c.KeepaliveTime, 20 * time.Second}, {&c.KeepaliveTimeout, 10 * time.Second}, {&c.ConnectionIdle, 15 * time.Minute}} {
		if *d.p == 0 {
			*d.p = d.def
		}
	}
	return c, nil
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
	keepaliveMinTime     = 10 * time.Second // pings that come more often end the connection
)

// Server serves the API. Made by New.
type Server struct {
	grpc     *grpc.Server
	health   *health.Server
	registry *session.Registry
	door     *door.Door // nil: there is none
}

// New returns a Server that serves nothing yet.
func New(cfg Config) *Server {
	cfg, err := cfg.withDefaults()
	if err != nil {
		panic(err) // a defect: the defaults are constants
	}
	creds := cfg.Callers.Credentials()
	if cfg.Door != nil {
		creds = cfg.Door.Credentials(creds)
	}
	opts := []grpc.ServerOption{
		grpc.Creds(creds),
		grpc.MaxConcurrentStreams(cfg.MaxConcurrentStreams),
		grpc.MaxRecvMsgSize(maxReceiveBytes),
		grpc.MaxHeaderListSize(maxHeaderBytes),
		grpc.ConnectionTimeout(cfg.SetupTimeout),
		grpc.StaticStreamWindowSize(streamWindow),
		grpc.StaticConnWindowSize(connectionWindow),
		grpc.WriteBufferSize(writeBuffer),
		grpc.KeepaliveParams(keepalive.ServerParameters{MaxConnectionIdle: cfg.ConnectionIdle, Time: cfg.KeepaliveTime, Timeout: cfg.KeepaliveTimeout}),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: keepaliveMinTime, PermitWithoutStream: true}),
	}
	if cfg.Door != nil {
		opts = append(opts, grpc.InTapHandle(finisher{cfg.Metrics, cfg.Logger}.tap))
	}
	opts = append(opts, codecOptions()...)
	opts = append(opts, interceptorOptions(&guard{
		authenticate: cfg.Authenticate, allowed: cfg.Callers.Allowed, administrator: cfg.Administrator,
		metrics: cfg.Metrics, log: cfg.Logger, refusals: rate.Sometimes{First: 10, Interval: time.Second},
	}, cfg.Metrics, cfg.Logger)...)
	s := &Server{
		grpc:     grpc.NewServer(append(opts, cfg.Options...)...),
		health:   health.NewServer(),
		registry: cfg.Registry,
		door:     cfg.Door,
	}
	sessions := &service{registry: cfg.Registry, version: cfg.Version, maxStreams: int(cfg.MaxConcurrentStreams), audit: auditor{cfg.Logger}, administrator: cfg.Administrator}
	pb.RegisterSecureSocketServiceServer(s.grpc, sessions)
	pb.RegisterListenerServiceServer(s.grpc, &listenerService{service: sessions})
	pb.RegisterTrustServiceServer(s.grpc, &trustService{service: sessions})
	pb.RegisterDiagnosticServiceServer(s.grpc, &diagnosticService{service: sessions, policy: cfg.Policy})
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
func (s *Server) Serve(l net.Listener) error {
	if s.door != nil {
		l = s.door.Listener(l)
	}
	return s.grpc.Serve(l)
}

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
