package metrics_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	pb "securesocket/gen/securesocket/v1"
	"securesocket/server/egress"
	"securesocket/server/metrics"
	"securesocket/session"
	"securesocket/tlsengine"
)

// ownSeries is how many series there are at most that RPCs, Go and the process have
// no part in.
const ownSeries = 450

// mark is in every text that somebody chose.
const mark = "chosen-"

// hostile is a connection of which callers and peers chose all that they can.
func hostile(i int) session.End {
	text := func(what string) string { return fmt.Sprintf("%s%s-%d\n\"", mark, what, i) }
	e := session.End{
		Session: text("session"), Owner: text("owner"), Label: text("label"), Generation: int64(i),
		Target: session.Target{Name: text("host"), Port: i % 65536}, Accepted: i%2 == 0,
		Status: tlsengine.Status(rand.N(300)), Basis: tlsengine.Basis(rand.N(256)), Overruled: text("problems"), //nolint:gosec // out of range on purpose
		Cause: session.CloseCause(rand.Int32N(100) - 50), Received: rand.Int64(), Sent: int64(i), Took: time.Duration(rand.Int64()),
		PolicyRevision: text("revision"),
	}
	if i%3 > 0 {
		e.TLS = &tlsengine.State{Version: uint16(rand.N(1 << 16)), ALPN: text("alpn"), ServerName: text("sni")} //nolint:gosec // as above
	}
	if i%5 == 0 {
		e.TLS = &tlsengine.State{Version: tls.VersionTLS13}
	}
	switch i % 4 {
	case 0:
		e.Failure = &session.PolicyError{Err: &egress.DeniedError{Rule: text("rule"), Subject: text("subject"), Source: text("source")}}
	case 1:
		e.Failure = &session.NetworkError{Kind: session.NetworkKind(rand.N(100)), Addr: text("addr"), Err: errors.New(text("error"))}
	case 2:
		e.Failure = errors.New(text("error"))
	}
	return e
}

// TestThreat49MetricCardinality: whatever callers and peers choose, the number of
// series stays what it was, and none of their texts is in a label.
func TestThreat49MetricCardinality(t *testing.T) {
	t.Parallel()
	cfg := everything()
	reason := cfg.Reason
	m := metrics.New(cfg)
	before := scrape(t, m)
	require.LessOrEqual(t, before.series("securesocket_"), ownSeries)

	const hosts = 100_000
	unary, stream := m.UnaryInterceptor(), m.StreamInterceptor()
	for i := range hosts {
		text := fmt.Sprint(mark, i)
		m.Ended(hostile(i))
		m.Refused(text)
		m.Authenticated(text+":"+text, nil)
		m.Authenticated("uid:"+text, nil)
		m.Authenticated("", errors.New(text))
		method := "/" + text + "/" + text
		_, err := unary(t.Context(), nil, &grpc.UnaryServerInfo{FullMethod: method}, answer)
		require.Equal(t, codes.Unimplemented, status.Code(err))
		require.Error(t, stream(nil, nil, &grpc.StreamServerInfo{FullMethod: method}, answerStream))
		told(t, unary, text, text)
		told(t, unary, "LIMIT", text)
		m.Handled(method, codes.Internal, "INTERNAL", time.Second)
		m.Handled(pb.SecureSocketService_GetSession_FullMethodName, codes.Code(i), text, time.Second)
	}
	after := scrape(t, m)
	require.Equal(t, before.series("securesocket_"), after.series("securesocket_"), "all series are there from the beginning")
	require.LessOrEqual(t, after.series("")-before.series(""), 50)
	for _, v := range after.labelValues() {
		require.NotContains(t, v, mark)
	}
	require.InDelta(t, hosts, after.value(t, "securesocket_authentications_total", "kind", "uid"), 0)
	require.InDelta(t, hosts, after.value(t, "securesocket_authentications_total", "kind", "OTHER"), 0)
	require.InDelta(t, 2*hosts, after.value(t, "securesocket_refusals_total", "limit", "OTHER"), 0)
	require.InDelta(t, hosts/4, after.value(t, "securesocket_egress_denials_total", "rule", "OTHER"), 0)

	// A function that names errors badly opens nothing either.
	cfg.Reason = func(err error) string { return reason(err) + err.Error() }
	m = metrics.New(cfg)
	for i := range 1000 {
		m.Ended(hostile(i))
	}
	require.Equal(t, before.series("securesocket_"), scrape(t, m).series("securesocket_"))
}

func answer(context.Context, any) (any, error) { return nil, status.Error(codes.Unimplemented, "") }

func answerStream(any, grpc.ServerStream) error { return status.Error(codes.Unimplemented, "") }

// told lets a method of ours tell a reason.
func told(tb testing.TB, unary grpc.UnaryServerInterceptor, reason, what string) {
	tb.Helper()
	st, err := status.New(codes.ResourceExhausted, "no").WithDetails(&errdetails.ErrorInfo{Reason: reason, Metadata: map[string]string{"what": what}})
	require.NoError(tb, err)
	_, err = unary(tb.Context(), nil, &grpc.UnaryServerInfo{FullMethod: "/securesocket.v1.SecureSocketService/CreateSession"},
		func(context.Context, any) (any, error) { return nil, st.Err() })
	require.Equal(tb, codes.ResourceExhausted, status.Code(err))
}

// TestRPCSeries counts the worst that RPCs can do: every method ends with every
// code.
func TestRPCSeries(t *testing.T) {
	t.Parallel()
	m := metrics.New(metrics.Config{})
	unary := m.UnaryInterceptor()
	for method := range methods() {
		for code := codes.OK; code <= codes.Unauthenticated; code++ {
			_, err := unary(t.Context(), nil, &grpc.UnaryServerInfo{FullMethod: method},
				func(context.Context, any) (any, error) { return nil, status.Error(code, "") })
			require.Equal(t, code, status.Code(err))
		}
	}
	f := scrape(t, m)
	require.Positive(t, f.series("grpc_"))
	require.LessOrEqual(t, f.series("grpc_"), metrics.MaxRPCSeries)
	for name := range f {
		require.False(t, strings.HasPrefix(name, "grpc_client_"), name)
	}
}
