package server_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"net"
	"reflect"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	pb "securesocket/gen/securesocket/v1"
	"securesocket/tlsengine/tlstest"
)

// kept is a stream that keeps its frames.
type kept struct {
	pb.SecureSocketService_AttachClient

	frames []*pb.AttachResponse
}

func (s *kept) Recv() (*pb.AttachResponse, error) {
	m, err := s.SecureSocketService_AttachClient.Recv()
	if err == nil {
		s.frames = append(s.frames, m)
	}
	return m, err
}

// asker is a caller that is asked questions.
type asker struct {
	*caller

	kept *kept
}

// asked wraps a caller that has seen no more than `attached`.
func asked(k *caller) *asker {
	a := &asker{caller: k, kept: &kept{SecureSocketService_AttachClient: k.stream}}
	k.stream = a.kept
	return a
}

// question waits for the nth decision_request of the stream, counted from 1.
func (a *asker) question(nth int) *pb.DecisionRequest {
	a.tb.Helper()
	return nthOf(a, nth, (*pb.AttachResponse).GetDecisionRequest)
}

// signRequest waits for the nth sign_request of the stream, counted from 1.
func (a *asker) signRequest(nth int) *pb.SignRequest {
	a.tb.Helper()
	return nthOf(a, nth, (*pb.AttachResponse).GetSignRequest)
}

func nthOf[M any](a *asker, nth int, get func(*pb.AttachResponse) *M) *M {
	a.tb.Helper()
	var found []*M
	a.until(func() bool {
		found = nil
		for _, f := range a.kept.frames {
			if m := get(f); m != nil {
				found = append(found, m)
			}
		}
		return len(found) >= nth
	})
	return found[nth-1]
}

// story is what the stream told of a generation, in its order: events, with a
// state by its name, questions and bytes.
func (a *asker) story(generation int64) []string {
	var out []string
	for _, f := range a.kept.frames {
		switch {
		case f.GetEvent() != nil && f.GetEvent().GetGeneration() == generation:
			out = append(out, kindOf(f.GetEvent()))
		case f.GetDecisionRequest() != nil:
			out = append(out, "decision_request")
		case f.GetSignRequest() != nil:
			out = append(out, "sign_request")
		case f.GetSocketData().GetGeneration() == generation && f.GetSocketData() != nil:
			out = append(out, "socket_data")
		}
	}
	return out
}

func decisionFrame(d *pb.CertificateDecision) *pb.AttachRequest {
	return &pb.AttachRequest{Frame: &pb.AttachRequest_Decision{Decision: d}}
}

// exactly accepts the problems of a question, each with its certificate.
func exactly(q *pb.DecisionRequest) *pb.CertificateDecision {
	d := &pb.CertificateDecision{DecisionId: q.GetDecisionId()}
	for _, p := range q.GetReport().GetProblems() {
		d.Accept = append(d.Accept, &pb.CertificateProblemAcceptance{Code: p.GetCode(), CertificateSha256: bytes.Clone(p.GetCertificateSha256())})
	}
	return d
}

func everything(q *pb.DecisionRequest) *pb.CertificateDecision {
	return &pb.CertificateDecision{DecisionId: q.GetDecisionId(), AcceptAll: true}
}

// asking are settings that let the caller decide.
func asking(change ...func(*pb.SessionSettings)) *pb.SessionSettings {
	s := &pb.SessionSettings{Tls: &pb.TlsSettings{Override: pb.OverrideMode_OVERRIDE_MODE_ASK, Revocation: pb.RevocationMode_REVOCATION_MODE_OFF}}
	for _, f := range change {
		f(s)
	}
	return s
}

func askingOpen(change ...func(*pb.SessionSettings)) func(*pb.Open) {
	return func(m *pb.Open) { m.Settings, m.KeepSession = asking(change...), true }
}

// handshakes is how the handshakes of a peer ended, as it saw them.
type handshakes chan error

// serveHandshakes is a TLS server that tells how each handshake ended. It says
// "at once" after one that succeeded, and echoes. Tickets are up to the
// configuration.
func serveHandshakes(tb testing.TB, config *tls.Config) (string, handshakes) {
	tb.Helper()
	ctx := tb.Context()
	ends := make(handshakes, 16)
	addr := tlstest.ServeRaw(tb, func(raw net.Conn) {
		conn := tls.Server(raw, config)
		err := conn.HandshakeContext(ctx)
		ends <- err
		if err != nil {
			return
		}
		_, _ = conn.Write([]byte("at once"))
		tlstest.Echo(conn)
	})
	return addr, ends
}

// serveFlawed serves a chain of which a caller has two things to accept: the
// leaf is over, and for another name.
func serveFlawed(tb testing.TB, version uint16) (string, handshakes, *tlstest.CA) {
	tb.Helper()
	ca := tlstest.NewCA(tb)
	leaf := ca.Leaf(tlstest.Expired(), tlstest.Names("other.example"))
	addr, ends := serveHandshakes(tb, &tls.Config{
		Certificates: []tls.Certificate{leaf.Certificate()}, MinVersion: version, MaxVersion: version, SessionTicketsDisabled: true,
	})
	return addr, ends, ca
}

func (h handshakes) next(tb testing.TB) error {
	tb.Helper()
	select {
	case err := <-h:
		return err
	case <-patienceOf(tb):
	}
	require.Fail(tb, "the peer's handshake did not end")
	return nil
}

const alertBadCertificate = 42

// alertOf is the number of the alert that a peer of crypto/tls received; false:
// it received none.
func alertOf(err error) (uint64, bool) {
	op, ok := errors.AsType[*net.OpError](err)
	if !ok || op.Op != "remote error" {
		return 0, false
	}
	v := reflect.ValueOf(op.Err)
	return v.Uint(), v.Kind() == reflect.Uint8
}

func requireAlert(tb testing.TB, want uint64, err error) {
	tb.Helper()
	got, ok := alertOf(err)
	require.True(tb, ok, "the peer received no alert but %v", err)
	require.Equal(tb, want, got)
}

// connecting runs a unary Connect and tells how it ended.
func connecting(ctx context.Context, tb testing.TB, c pb.SecureSocketServiceClient, s idle, addr string) <-chan error {
	tb.Helper()
	host, port := hostPort(tb, addr)
	done := make(chan error, 1)
	go func() {
		_, err := c.Connect(ctx, &pb.ConnectRequest{SessionId: s.id, Host: host, Port: port})
		done <- err
	}()
	return done
}

func outcome(tb testing.TB, done <-chan error) error {
	tb.Helper()
	select {
	case err := <-done:
		return err
	case <-patienceOf(tb):
	}
	require.Fail(tb, "Connect did not end")
	return nil
}

// begin connects without waiting.
func begin(tb testing.TB, c pb.SecureSocketServiceClient, s idle, addr string) {
	tb.Helper()
	host, port := hostPort(tb, addr)
	_, err := c.Connect(tb.Context(), &pb.ConnectRequest{SessionId: s.id, Host: host, Port: port, ReturnImmediately: true})
	require.NoError(tb, err)
}

func decide(tb testing.TB, c pb.SecureSocketServiceClient, s idle, d *pb.CertificateDecision) error {
	tb.Helper()
	_, err := c.Decide(tb.Context(), &pb.DecideRequest{SessionId: s.id, Decision: d})
	return err
}

func requireSame(tb testing.TB, want, got proto.Message, what string) {
	tb.Helper()
	require.True(tb, proto.Equal(want, got), "%s: %v, not %v", what, got, want)
}

func codesOf(r *pb.CertificateReport) []pb.CertificateProblemCode {
	var out []pb.CertificateProblemCode
	for _, p := range r.GetProblems() {
		out = append(out, p.GetCode())
	}
	return out
}
