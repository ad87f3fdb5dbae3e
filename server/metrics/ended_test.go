package metrics_test

import (
	"crypto/tls"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"securesocket/server"
	"securesocket/server/egress"
	"securesocket/server/metrics"
	"securesocket/session"
	"securesocket/tlsengine"
)

func TestEnded(t *testing.T) {
	t.Parallel()
	span := session.Span{Reached: true, Duration: 20 * time.Millisecond}
	tests := map[string]struct {
		end   session.End
		moves map[string]float64 // what is not 0 of connections that have ended
	}{
		"good": {
			end: session.End{
				TLS: &tlsengine.State{Version: tls.VersionTLS13}, Status: tlsengine.StatusTrusted, Basis: tlsengine.BasisValidated,
				Cause: session.CausePeerCloseNotify, Received: 10, Sent: 20, Took: time.Minute,
				Timeline: session.Timeline{DNS: span, TCP: span, Handshake: span, Validation: span},
			},
			moves: map[string]float64{
				"connections_ended_total origin dialled result ok": 1, "connection_closes_total cause PEER_CLOSE_NOTIFY": 1,
				"tls_connections_total version TLS1_3": 1, "certificates_total basis VALIDATED status TRUSTED": 1,
				"connect_phase_seconds phase dns": 1, "connect_phase_seconds phase tcp": 1,
				"connect_phase_seconds phase handshake": 1, "connect_phase_seconds phase validation": 1,
			},
		},
		"accepted by override": {
			end: session.End{
				Accepted: true, TLS: &tlsengine.State{Version: tls.VersionTLS10}, Status: tlsengine.StatusTrusted, Basis: tlsengine.BasisOverride,
				Overruled: "EXPIRED", Cause: session.CauseDeleted,
			},
			moves: map[string]float64{
				"connections_ended_total origin accepted result ok": 1, "connection_closes_total cause DELETED": 1,
				"tls_connections_total version TLS1_0": 1, "certificates_total basis OVERRIDE status TRUSTED": 1,
				"sessions_insecure_total why override": 1,
			},
		},
		"plain": {
			end: session.End{Sent: 1, Cause: session.CauseLocal},
			moves: map[string]float64{
				"connections_ended_total origin dialled result ok": 1, "connection_closes_total cause LOCAL": 1,
				"tls_connections_total version NONE": 1, "sessions_insecure_total why plain": 1,
			},
		},
		"refused by policy": {
			end: session.End{
				Cause: session.CauseError, Failure: &session.PolicyError{Err: &egress.DeniedError{Rule: "special-purpose/loopback"}},
			},
			moves: map[string]float64{
				"connections_ended_total origin dialled result failed": 1, "connection_closes_total cause ERROR": 1,
				"tls_connections_total version NONE": 1, "connection_failures_total reason EGRESS_DENIED": 1,
				"egress_denials_total rule special-purpose": 1,
			},
		},
		"refused by the operator's rule": {
			end: session.End{
				Cause: session.CausePolicy, Failure: &session.PolicyError{Err: &egress.DeniedError{Rule: "deny[3]"}},
			},
			moves: map[string]float64{
				"connections_ended_total origin dialled result failed": 1, "connection_closes_total cause POLICY": 1,
				"tls_connections_total version NONE": 1, "connection_failures_total reason EGRESS_DENIED": 1,
				"egress_denials_total rule explicit": 1,
			},
		},
		"a bad certificate": {
			end: session.End{
				Status: tlsengine.StatusExpired, Basis: tlsengine.BasisNone, Cause: session.CauseError,
				Failure: &tlsengine.TransportError{End: tlsengine.EndReset},
			},
			moves: map[string]float64{
				"connections_ended_total origin dialled result failed": 1, "connection_closes_total cause ERROR": 1,
				"tls_connections_total version NONE": 1, "connection_failures_total reason PEER_RESET": 1,
				"certificates_total basis NONE status EXPIRED": 1,
			},
		},
		"what nobody knows": {
			end: session.End{
				TLS: &tlsengine.State{Version: 1}, Status: 99, Basis: 1, Failure: errMade,
			},
			moves: map[string]float64{
				"connections_ended_total origin dialled result failed": 1, "connection_closes_total cause OTHER": 1,
				"tls_connections_total version OTHER": 1, "connection_failures_total reason INTERNAL": 1,
				"certificates_total basis OTHER status OTHER": 1,
			},
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := metrics.New(metrics.Config{Reason: server.ReasonOf})
			m.Ended(tc.end)
			tc.moves["connection_seconds"] = 1
			tc.moves["connection_bytes direction received"] = 1
			tc.moves["connection_bytes direction sent"] = 1
			tc.moves["build_info"] = 1
			require.Equal(t, tc.moves, scrape(t, m).moved())
		})
	}
}

// TestPolled: what others count is told as they count it.
func TestPolled(t *testing.T) {
	t.Parallel()
	f := scrape(t, metrics.New(everything()))
	for series, want := range map[string]float64{
		"sessions": 3, "handshakes": 2, "buffered_bytes": 1 << 20, "received_bytes_total": 5, "log_lines_dropped_total": 9,
		"api_connections": 7, "api_connections_refused_total limit connections_per_caller": 4,
		"api_connections_closed_total why flooded": 1, "policy_info": 1, "policy_loaded_timestamp_seconds": 1.5,
		"memory_used_bytes": 10, "memory_limit_bytes": 20, "descriptors_open": 30, "descriptors_limit": 40,
	} {
		require.InDelta(t, want, f.moved()[series], 0, series)
	}
	require.InDelta(t, 1, f.value(t, "securesocket_policy_info", "revision", "abc?"), 0)

	// What cannot be read is absent, and hides nothing else.
	cfg := everything()
	cfg.Descriptors = func() (int, int, error) { return 0, 0, errMade }
	cfg.Policy = func() metrics.Policy { return metrics.Policy{} }
	f = scrape(t, metrics.New(cfg))
	require.NotContains(t, f, "securesocket_descriptors_open")
	require.NotContains(t, f, "securesocket_policy_loaded_timestamp_seconds")
	require.Contains(t, f, "securesocket_sessions")

	f = scrape(t, metrics.New(metrics.Config{}))
	require.NotContains(t, f, "securesocket_sessions")
	require.InDelta(t, 1, f.moved()["build_info"], 0)
}

func BenchmarkEnded(b *testing.B) {
	m := metrics.New(metrics.Config{Reason: server.ReasonOf})
	span := session.Span{Reached: true, Duration: time.Millisecond}
	e := session.End{
		TLS: &tlsengine.State{Version: tls.VersionTLS13}, Status: tlsengine.StatusTrusted, Basis: tlsengine.BasisValidated,
		Cause: session.CauseLocal, Received: 1, Sent: 1, Took: time.Second,
		Timeline: session.Timeline{DNS: span, TCP: span, Handshake: span, Validation: span, Revocation: span},
	}
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			m.Ended(e)
		}
	})
}
