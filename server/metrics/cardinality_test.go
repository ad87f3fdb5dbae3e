package metrics_test

import (
	"crypto/tls"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
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
	for i := range hosts {
		text := fmt.Sprint(mark, i)
		m.Ended(hostile(i))
		m.Refused(text)
		m.Authenticated(text+":"+text, nil)
		m.Authenticated("uid:"+text, nil)
		m.Authenticated("", errors.New(text))
		m.Handled("/"+text+"/"+text, status.Error(codes.Unimplemented, text), time.Second)
		told(t, m, text, text)
		told(t, m, "LIMIT", text)
		m.Handled(pb.SecureSocketService_GetSession_FullMethodName, status.Error(codes.Code(i), text), time.Second)
	}
	after := scrape(t, m)
	own := func(f families) int {
		return f.series("securesocket_") - f.series("securesocket_rpcs_") - f.series("securesocket_rpc_seconds")
	}
	require.Equal(t, own(before), own(after), "all series but those of RPCs are there from the beginning")
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
	require.Equal(t, own(before), own(scrape(t, m)))
}

// told lets a method of ours tell a reason.
func told(tb testing.TB, m *metrics.Metrics, reason, what string) {
	tb.Helper()
	st, err := status.New(codes.ResourceExhausted, "no").WithDetails(&errdetails.ErrorInfo{Reason: reason, Metadata: map[string]string{"what": what}})
	require.NoError(tb, err)
	m.Handled(pb.SecureSocketService_CreateSession_FullMethodName, st.Err(), time.Millisecond)
}

// TestRPCSeries counts the worst that RPCs can do: every method ends with every
// code.
func TestRPCSeries(t *testing.T) {
	t.Parallel()
	m := metrics.New(metrics.Config{})
	for method := range methods() {
		for code := codes.OK; code <= codes.Unauthenticated+5; code++ {
			m.Handled(method, status.Error(code, ""), time.Second)
		}
	}
	f := scrape(t, m)
	series := f.series("securesocket_rpcs_") + f.series("securesocket_rpc_seconds")
	require.Positive(t, series)
	require.LessOrEqual(t, series, metrics.MaxRPCSeries)
}
