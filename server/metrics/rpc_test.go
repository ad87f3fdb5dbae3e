package metrics_test

import (
	"errors"
	"io"
	"maps"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	pb "securesocket/gen/securesocket/v1"
	"securesocket/server"
	"securesocket/server/callers"
	"securesocket/server/metrics"
	"securesocket/server/servertest"
	"securesocket/session"
)

// methods are all of the contract, found apart from the package's own list.
func methods() map[string]bool {
	all := map[string]bool{}
	protoregistry.GlobalFiles.RangeFilesByPackage("securesocket.v1", func(f protoreflect.FileDescriptor) bool {
		for i := range f.Services().Len() {
			s := f.Services().Get(i)
			for j := range s.Methods().Len() {
				all["/"+string(s.FullName())+"/"+string(s.Methods().Get(j).Name())] = true
			}
		}
		return true
	})
	return all
}

func TestRPCsThroughTheWire(t *testing.T) {
	t.Parallel()
	cfg := metrics.Config{Reason: server.ReasonOf}
	m := metrics.New(cfg)
	s := servertest.Start(t, func(sc *session.Config, sv *server.Config) {
		sc.Ended, sc.MaxSessionsPerOwner = m.Ended, 1
		sv.Metrics = m
	})
	c := s.Client(t)
	_, err := c.CreateSession(t.Context(), &pb.CreateSessionRequest{})
	require.NoError(t, err)
	_, err = c.CreateSession(t.Context(), &pb.CreateSessionRequest{})
	require.Error(t, err)
	_, err = c.GetSession(t.Context(), &pb.GetSessionRequest{SessionId: "unknown"})
	require.Error(t, err)
	_, err = c.GetSession(servertest.As(t.Context(), servertest.Nobody), &pb.GetSessionRequest{SessionId: "unknown"})
	require.Error(t, err)
	stream, err := c.Attach(t.Context())
	require.NoError(t, err)
	require.NoError(t, stream.CloseSend())
	_, err = stream.Recv()
	require.Error(t, err)
	require.False(t, errors.Is(err, io.EOF))
	_, err = healthpb.NewHealthClient(s.Dial(t)).Check(t.Context(), &healthpb.HealthCheckRequest{})
	require.NoError(t, err)

	f := scrape(t, m)
	moved := f.moved()
	require.InDelta(t, 2, moved["rpc_seconds method SecureSocketService/CreateSession"], 0)
	require.NotContains(t, moved, "rpc_seconds method SecureSocketService/Attach")
	maps.DeleteFunc(moved, func(key string, _ float64) bool { return strings.HasPrefix(key, "rpc_seconds") })
	require.Equal(t, map[string]float64{
		"rpcs_total code OK method SecureSocketService/CreateSession":                1,
		"rpcs_total code ResourceExhausted method SecureSocketService/CreateSession": 1,
		"rpcs_total code NotFound method SecureSocketService/GetSession":             1,
		"rpcs_total code Unauthenticated method SecureSocketService/GetSession":      1,
		"rpcs_total code InvalidArgument method SecureSocketService/Attach":          1,
		"refusals_total limit sessions_per_caller":                                   1,
		"rpc_errors_total reason LIMIT":                                              1, "rpc_errors_total reason SESSION_NOT_FOUND": 1,
		"rpc_errors_total reason UNAUTHENTICATED": 1, "rpc_errors_total reason STREAM_GRAMMAR": 1,
		"authentications_total kind OTHER": 4, "authentication_failures_total fault OTHER": 1, // the kit's principals have no kind
		"build_info": 1,
	}, moved)
	for _, v := range f.labelValues() {
		require.NotContains(t, v, "grpc.health")
	}
}

func TestAuthenticated(t *testing.T) {
	t.Parallel()
	m := metrics.New(metrics.Config{})
	for _, principal := range []string{
		"uid:0", "spiffe://prod/web", "dns:a.example", "email:a@b.example", "x509:CN=a", "jwt:alice", "token:deploy", callers.Anonymous,
	} {
		m.Authenticated(principal, nil)
	}
	m.Authenticated("", nil)
	m.Authenticated("", callers.ErrNoCredentials)
	m.Authenticated("", &callers.TokenError{Why: callers.TokenExpired})
	m.Authenticated("", &callers.CertificateError{Why: callers.CertificateRevoked})
	m.Authenticated("", &callers.IssuerError{})
	m.HandshakeRefused()
	require.Equal(t, map[string]float64{
		"authentications_total kind uid": 1, "authentications_total kind spiffe": 1, "authentications_total kind dns": 1,
		"authentications_total kind email": 1, "authentications_total kind x509": 1, "authentications_total kind jwt": 1,
		"authentications_total kind token": 1, "authentications_total kind anonymous": 1,
		"authentication_failures_total fault no_credentials": 2, "authentication_failures_total fault token": 1,
		"authentication_failures_total fault certificate": 1, "authentication_failures_total fault issuer": 1,
		"authentication_failures_total fault handshake": 1,
		"build_info": 1,
	}, scrape(t, m).moved())
}

func TestOthersAreCounted(t *testing.T) {
	t.Parallel()
	m := metrics.New(metrics.Config{})
	m.Suspected()
	m.Panicked()
	m.Reloaded(nil)
	m.Reloaded(errMade)
	for _, limit := range []string{
		"sessions", "sessions of a caller", "handshakes under way of a caller", "new destinations in short order",
		"memory", "descriptors", "connections_per_caller", "buffered",
		"buffered bytes for given certificates", "buffered bytes for given certificates of a caller",
		"certificates of a listener", "bytes of the certificates of a caller", "failed attaches of a session in short order",
	} {
		m.Refused(limit)
	}
	require.Equal(t, map[string]float64{
		"scans_suspected_total": 1, "panics_total": 1, "policy_reloads_total result ok": 1, "policy_reloads_total result failed": 1,
		"refusals_total limit sessions": 1, "refusals_total limit sessions_per_caller": 1, "refusals_total limit handshakes_per_caller": 1,
		"refusals_total limit destinations": 1, "refusals_total limit memory": 1, "refusals_total limit descriptors": 1,
		"refusals_total limit connections_per_caller": 1, "refusals_total limit buffered": 1, "refusals_total limit given": 1, "refusals_total limit given_per_caller": 1, "refusals_total limit certificates": 2,
		"refusals_total limit attaches_per_session": 1, "build_info": 1,
	}, scrape(t, m).moved())
}

// TestAtOnce: everything may be called beside scrapes. The race detector judges.
func TestAtOnce(t *testing.T) {
	t.Parallel()
	m := metrics.New(everything())
	const each = 200
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for i := range each {
				m.Ended(hostile(i))
				m.Refused("sessions")
				m.Authenticated("uid:1", nil)
				m.Handled(pb.SecureSocketService_GetSession_FullMethodName, nil, time.Millisecond)
			}
		})
	}
	for range 5 {
		scrape(t, m)
	}
	wg.Wait()
	require.InDelta(t, 4*each, scrape(t, m).value(t, "securesocket_refusals_total", "limit", "sessions"), 0)
}
