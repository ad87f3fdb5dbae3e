package main

import (
	"crypto/tls"
	"net"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	reflectionpb "google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/grpc/status"

	pb "securesocket/gen/securesocket/v1"
	"securesocket/tlsengine/tlstest"
)

func itoa(n int) string { return strconv.Itoa(n) }

func atoi32(tb testing.TB, s string) int32 {
	tb.Helper()
	n, err := strconv.ParseInt(s, 10, 32)
	require.NoError(tb, err)
	return int32(n)
}

func reasonOf(tb testing.TB, err error) string {
	tb.Helper()
	require.Error(tb, err)
	for _, d := range status.Convert(err).Details() {
		if info, ok := d.(*errdetails.ErrorInfo); ok {
			return info.GetReason()
		}
	}
	return "no reason: " + err.Error()
}

// opened is a stream to an echo server that is secure.
func opened(tb testing.TB, d *daemon) pb.SecureSocketService_AttachClient {
	tb.Helper()
	ca := tlstest.NewCA(tb)
	addr := tlstest.Serve(tb, &tls.Config{Certificates: []tls.Certificate{ca.Leaf(tlstest.Names("127.0.0.1")).Certificate()}}, tlstest.Echo)
	host, port, err := net.SplitHostPort(addr)
	require.NoError(tb, err)
	stream, err := d.client(tb).Attach(tb.Context())
	require.NoError(tb, err)
	require.NoError(tb, stream.Send(&pb.AttachRequest{Frame: &pb.AttachRequest_Open{Open: &pb.Open{
		Host: host, Port: atoi32(tb, port), AttachSeq: 1,
		Certificates: []*pb.ExtraCertificate{{Certificate: ca.DER(), Trusted: true}},
	}}}))
	await(tb, stream, func(e *pb.Event) bool { return e.GetSecureConnected() != nil })
	return stream
}

// await receives until an event.
func await(tb testing.TB, stream pb.SecureSocketService_AttachClient, want func(*pb.Event) bool) *pb.Event {
	tb.Helper()
	for {
		m, err := stream.Recv()
		require.NoError(tb, err)
		if e := m.GetEvent(); e != nil && want(e) {
			return e
		}
	}
}

func TestTermDrains(t *testing.T) {
	t.Parallel()
	d := start(t, 1, nil, "--egress-allow", "127.0.0.0/8", "--drain-timeout", "1s")
	health := healthpb.NewHealthClient(dial(t, d.ready[0]))
	watch, err := health.Watch(t.Context(), &healthpb.HealthCheckRequest{})
	require.NoError(t, err)
	h, err := watch.Recv()
	require.NoError(t, err)
	require.Equal(t, healthpb.HealthCheckResponse_SERVING, h.GetStatus())
	stream := opened(t, d)
	c := d.client(t)
	_, err = c.GetCapabilities(t.Context(), &pb.GetCapabilitiesRequest{})
	require.NoError(t, err)

	began := time.Now()
	require.NoError(t, d.cmd.Process.Signal(syscall.SIGTERM))
	draining := await(t, stream, func(e *pb.Event) bool { return e.GetDraining() != nil })
	require.WithinDuration(t, began.Add(time.Second), draining.GetDraining().GetDeadlineTime().AsTime(), time.Second)
	h, err = watch.Recv()
	require.NoError(t, err)
	require.Equal(t, healthpb.HealthCheckResponse_NOT_SERVING, h.GetStatus())
	_, err = c.CreateSession(t.Context(), &pb.CreateSessionRequest{})
	require.Equal(t, "DRAINING", reasonOf(t, err))

	// What is live goes on.
	require.NoError(t, stream.Send(&pb.AttachRequest{Frame: &pb.AttachRequest_Data{Data: &pb.Data{Generation: 1, Payload: []byte("still here")}}}))
	closed := await(t, stream, func(e *pb.Event) bool { return e.GetClosed() != nil }).GetClosed()
	require.Equal(t, pb.CloseCause_CLOSE_CAUSE_DRAIN, closed.GetCause())
	require.EqualValues(t, len("still here"), closed.GetSentBytes())
	require.EqualValues(t, len("still here"), closed.GetReceivedBytes())
	require.Zero(t, d.exit(t), d.log())
}

func TestTermWithoutConnectionsEndsAtOnce(t *testing.T) {
	t.Parallel()
	d := start(t, 1, nil, "--drain-timeout", "1h")
	_, err := d.client(t).CreateSession(t.Context(), &pb.CreateSessionRequest{})
	require.NoError(t, err)
	require.NoError(t, d.cmd.Process.Signal(syscall.SIGTERM))
	require.Zero(t, d.exit(t))
}

func TestSecondSignalEndsAtOnce(t *testing.T) {
	t.Parallel()
	d := start(t, 1, nil, "--egress-allow", "127.0.0.0/8", "--drain-timeout", "1h")
	stream := opened(t, d)
	require.NoError(t, d.cmd.Process.Signal(syscall.SIGTERM))
	await(t, stream, func(e *pb.Event) bool { return e.GetDraining() != nil })
	require.NoError(t, d.cmd.Process.Signal(syscall.SIGINT))
	require.Zero(t, d.exit(t))
}

func TestReflectionListsTheServices(t *testing.T) {
	t.Parallel()
	d := start(t, 1, nil)
	stream, err := reflectionpb.NewServerReflectionClient(dial(t, d.ready[0])).ServerReflectionInfo(t.Context())
	require.NoError(t, err)
	require.NoError(t, stream.Send(&reflectionpb.ServerReflectionRequest{MessageRequest: &reflectionpb.ServerReflectionRequest_ListServices{}}))
	resp, err := stream.Recv()
	require.NoError(t, err)
	var names []string
	for _, s := range resp.GetListServicesResponse().GetService() {
		names = append(names, s.GetName())
	}
	require.Contains(t, names, pb.SecureSocketService_ServiceDesc.ServiceName)
}
