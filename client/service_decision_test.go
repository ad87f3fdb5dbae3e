package client_test

import (
	"context"
	"crypto/tls"
	"io"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"securesocket/client"
	pb "securesocket/gen/securesocket/v1"
	"securesocket/tlsengine/tlstest"
)

// flawed is a peer whose leaf has expired and bears another name: two problems of one certificate.
func flawed(t *testing.T, ca *tlstest.CA) (address string) {
	leaf := ca.Leaf(tlstest.Names("other.example"), tlstest.Expired())
	return tlstest.Serve(t, &tls.Config{Certificates: []tls.Certificate{leaf.Certificate()}}, tlstest.Echo)
}

const (
	expired   = pb.CertificateProblemCode_CERTIFICATE_PROBLEM_CODE_CERTIFICATE_EXPIRED
	wrongHost = pb.CertificateProblemCode_CERTIFICATE_PROBLEM_CODE_HOST_NAME_MISMATCH
)

func TestServiceDecides(t *testing.T) {
	t.Parallel()
	ca := tlstest.NewCA(t)
	d := dialer(t, ca)
	address := flawed(t, ca)
	for name, tc := range map[string]struct {
		decide   func(*client.Question) client.Answer
		accepted bool
	}{
		"by rule": {func(q *client.Question) client.Answer {
			return q.AcceptIf(func(p *pb.CertificateProblem) bool { return p.GetCode() == expired || p.GetCode() == wrongHost })
		}, true},
		"exactly": {func(q *client.Question) client.Answer { return client.AcceptExactly(q.Report.GetProblems()...) }, true},
		"all":     {func(*client.Question) client.Answer { return client.AcceptAll() }, true},
		"by a rule for less": {func(q *client.Question) client.Answer {
			return q.AcceptIf(func(p *pb.CertificateProblem) bool { return p.GetCode() == expired })
		}, false},
		"too little": {func(q *client.Question) client.Answer { return client.AcceptExactly(q.Report.GetProblems()[:1]...) }, false},
		"too much": {func(q *client.Question) client.Answer {
			return client.AcceptExactly(append(q.Report.GetProblems(), &pb.CertificateProblem{
				Code: pb.CertificateProblemCode_CERTIFICATE_PROBLEM_CODE_WEAK_KEY, CertificateSha256: q.Report.GetProblems()[0].GetCertificateSha256(),
			})...)
		}, false},
		"another certificate": {func(q *client.Question) client.Answer {
			q.Report.Problems[0].CertificateSha256[0]++
			return client.AcceptExactly(q.Report.GetProblems()...)
		}, false},
		"no certificate": {func(q *client.Question) client.Answer {
			q.Report.Problems[0].CertificateSha256 = nil
			return client.AcceptExactly(q.Report.GetProblems()...)
		}, false},
		"no": {func(*client.Question) client.Answer { return client.Refuse() }, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var mu sync.Mutex
			var order []string
			var basis client.TrustBasis
			note := func(what string) {
				mu.Lock()
				defer mu.Unlock()
				order = append(order, what)
			}
			asking := *d
			asking.OnEvent = func(e client.Event) {
				if e.GetCertificateError() != nil || e.GetSecureConnected() != nil || e.GetIoError() != nil {
					note(e.Name())
					basis = e.GetSecureConnected().GetTrustBasis()
				}
			}
			asking.Decide = func(_ context.Context, q *client.Question) client.Answer {
				note("asked")
				return tc.decide(q)
			}
			conn, err := asking.Dial(t.Context(), "tcp", address)
			if !tc.accepted {
				e := requireError(t, err, pb.ErrorReason_ERROR_REASON_DECISION_REFUSED)
				require.Len(t, e.Report.GetProblems(), 2)
				require.Equal(t, pb.CertificateReport_TRUST_BASIS_NONE, e.Report.GetTrustBasis())
				require.Equal(t, pb.Phase_PHASE_CERTIFICATE, e.Phase)
				mu.Lock()
				defer mu.Unlock()
				require.Equal(t, []string{"certificate_error", "asked", "io_error"}, order[:3])
				return
			}
			require.NoError(t, err)
			require.Equal(t, []string{"certificate_error", "asked", "secure_connected"}, order)
			require.Equal(t, pb.CertificateReport_TRUST_BASIS_OVERRIDE, basis)
			require.Equal(t, pb.CertificateReport_TRUST_BASIS_OVERRIDE, conn.TrustBasis())
			require.Equal(t, pb.CertificateStatus_CERTIFICATE_STATUS_TRUSTED, conn.CertificateStatus())
			report, err := conn.Report(t.Context())
			require.NoError(t, err)
			require.Equal(t, pb.CertificateReport_TRUST_BASIS_OVERRIDE, report.GetTrustBasis())
			require.Len(t, report.GetProblems(), 2)
			_, err = io.WriteString(conn, greeting)
			require.NoError(t, err)
			_, err = io.ReadFull(conn, make([]byte, len(greeting)))
			require.NoError(t, err)
			require.NoError(t, conn.Close())
		})
	}
}

// TestServiceReportsWhatRefused: an accepted chain is not why the connection fails later.
func TestServiceReportsWhatRefused(t *testing.T) {
	t.Parallel()
	ca := tlstest.NewCA(t)
	d := dialer(t, ca)
	d.Decide = func(context.Context, *client.Question) client.Answer { return client.AcceptAll() }
	leaf := ca.Leaf(tlstest.Names("other.example"))
	conn, err := d.Dial(t.Context(), "tcp", tlstest.Serve(t, &tls.Config{Certificates: []tls.Certificate{leaf.Certificate()}}, tlstest.Truncate))
	require.NoError(t, err)
	_, err = conn.Read(make([]byte, 1))
	e := requireError(t, err, pb.ErrorReason_ERROR_REASON_PEER_TRUNCATED)
	require.Nil(t, e.Report)
	require.NoError(t, conn.Close())
}

// TestServiceAsksNobody: a good chain is not asked about, and STRICT asks about none.
func TestServiceAsksNobody(t *testing.T) {
	t.Parallel()
	ca := tlstest.NewCA(t)
	d := dialer(t, ca)
	d.Decide = func(context.Context, *client.Question) client.Answer {
		t.Error("asked")
		return client.Refuse()
	}
	conn, err := d.Dial(t.Context(), "tcp", tlstest.Serve(t, serverConfig(ca), tlstest.Echo))
	require.NoError(t, err)
	require.Equal(t, pb.CertificateReport_TRUST_BASIS_VALIDATED, conn.TrustBasis())
	require.NoError(t, conn.Close())
	d.Settings = &pb.SessionSettings{Tls: &pb.TlsSettings{Override: pb.OverrideMode_OVERRIDE_MODE_STRICT}}
	_, err = d.Dial(t.Context(), "tcp", flawed(t, ca))
	requireError(t, err, pb.ErrorReason_ERROR_REASON_CERTIFICATE_PRINCIPAL_MISMATCH)
}

// TestServiceDecisionEnds: whatever ends the question ends the callback's context, and nothing waits for the callback.
func TestServiceDecisionEnds(t *testing.T) {
	t.Parallel()
	ca := tlstest.NewCA(t)
	service := dialer(t, ca)
	address := flawed(t, ca)
	for name, tc := range map[string]struct {
		set    func(*client.Dialer)
		end    func(context.CancelFunc, *client.Question)
		reason pb.ErrorReason
	}{
		"decision_timeout": {
			func(d *client.Dialer) { d.DecisionTimeout = 200 * time.Millisecond },
			func(context.CancelFunc, *client.Question) {},
			pb.ErrorReason_ERROR_REASON_DECISION_TIMEOUT,
		},
		"connect_timeout": {
			func(d *client.Dialer) { d.Timeout = 500 * time.Millisecond },
			func(context.CancelFunc, *client.Question) {},
			pb.ErrorReason_ERROR_REASON_DECISION_TIMEOUT,
		},
		"dial cancelled": {
			func(*client.Dialer) {},
			func(cancel context.CancelFunc, _ *client.Question) { cancel() },
			pb.ErrorReason_ERROR_REASON_CANCELLED,
		},
		"connection closed": {
			func(*client.Dialer) {},
			func(_ context.CancelFunc, q *client.Question) {
				_, err := service.Client.Service().Close(t.Context(), &pb.CloseRequest{SessionId: q.SessionID})
				if e := client.FromError(err); e != nil && e.Reason != pb.ErrorReason_ERROR_REASON_SESSION_NOT_FOUND {
					t.Error(e)
				}
			},
			pb.ErrorReason_ERROR_REASON_CANCELLED,
		},
		"another's answer": {
			func(*client.Dialer) {},
			func(_ context.CancelFunc, q *client.Question) {
				_, err := service.Client.Service().Decide(t.Context(), &pb.DecideRequest{
					SessionId: q.SessionID, Decision: &pb.CertificateDecision{DecisionId: 1},
				})
				if err != nil {
					t.Error(err)
				}
			},
			pb.ErrorReason_ERROR_REASON_DECISION_REFUSED,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			dialled, returned := make(chan struct{}), make(chan struct{})
			d := *service
			tc.set(&d)
			d.Decide = func(ctx context.Context, q *client.Question) client.Answer {
				defer close(returned)
				if ctx.Err() != nil {
					return client.Refuse()
				}
				tc.end(cancel, q)
				<-ctx.Done()
				<-dialled // the dial does not wait for this
				return client.AcceptAll()
			}
			conn, err := d.Dial(ctx, "tcp", address)
			require.Nil(t, conn)
			requireError(t, err, tc.reason)
			close(dialled)
			<-returned
		})
	}
}
