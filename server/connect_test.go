package server_test

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	pb "securesocket/gen/securesocket/v1"
	"securesocket/server/servertest"
	"securesocket/tlsengine/tlstest"
)

// idle is a session made by CreateSession.
type idle struct {
	id    string
	token []byte
}

// newIdle creates a session that trusts a test's CA.
func newIdle(ctx context.Context, tb testing.TB, c pb.SecureSocketServiceClient, ca *tlstest.CA, settings ...*pb.SessionSettings) idle {
	tb.Helper()
	req := &pb.CreateSessionRequest{}
	if len(settings) > 0 {
		req.Settings = settings[0]
	}
	resp, err := c.CreateSession(ctx, req)
	require.NoError(tb, err)
	s := idle{resp.GetSession().GetSessionId(), resp.GetResumeToken()}
	if ca != nil {
		_, err = c.AddCertificate(ctx, &pb.AddCertificateRequest{SessionId: s.id, Certificate: ca.Root().DER(), Trusted: true})
		require.NoError(tb, err)
	}
	return s
}

// tryConnect is a unary Connect to the address of a test's peer.
func tryConnect(ctx context.Context, tb testing.TB, c pb.SecureSocketServiceClient, s idle, addr string) (*pb.ConnectResponse, error) {
	tb.Helper()
	host, port := hostPort(tb, addr)
	return c.Connect(ctx, &pb.ConnectRequest{SessionId: s.id, Host: host, Port: port})
}

func connectTo(ctx context.Context, tb testing.TB, c pb.SecureSocketServiceClient, s idle, addr string) *pb.ConnectResponse {
	tb.Helper()
	resp, err := tryConnect(ctx, tb, c, s, addr)
	require.NoError(tb, err)
	require.Equal(tb, pb.State_STATE_ENCRYPTED, resp.GetSession().GetState())
	return resp
}

// attach holds a session with a stream.
func attach(ctx context.Context, tb testing.TB, c pb.SecureSocketServiceClient, s idle, seq int64) *caller {
	tb.Helper()
	k := start(ctx, tb, c, attachFrame(&pb.AttachSession{SessionId: s.id, ResumeToken: s.token, AttachSeq: seq}))
	k.until(func() bool { return k.attached != nil })
	return k
}

func getSession(ctx context.Context, tb testing.TB, c pb.SecureSocketServiceClient, s idle) *pb.Session {
	tb.Helper()
	resp, err := c.GetSession(ctx, &pb.GetSessionRequest{SessionId: s.id})
	require.NoError(tb, err)
	return resp.GetSession()
}

// stillWorks connects a session to an echo server and sends bytes there and back.
func stillWorks(ctx context.Context, tb testing.TB, c pb.SecureSocketServiceClient, s idle, addr string) {
	tb.Helper()
	resp := connectTo(ctx, tb, c, s, addr)
	gen := resp.GetSession().GetGeneration()
	k := attach(ctx, tb, c, s, resp.GetSession().GetAttachSeq()+1)
	k.send(dataFrame(gen, 0, "ping"))
	k.until(func() bool { return string(k.data) == "ping" })
	k.send(closeFrame(pb.CloseSocket_HOW_GRACEFUL))
	closedOf(k, gen)
	require.NoError(tb, k.stream.CloseSend())
	require.NoError(tb, k.end())
}

// closedOf waits for the end of a generation.
func closedOf(k *caller, generation int64) {
	k.tb.Helper()
	k.until(func() bool {
		return slices.ContainsFunc(k.events, func(e *pb.Event) bool { return e.GetClosed() != nil && e.GetGeneration() == generation })
	})
}

func dataFrame(generation, offset int64, payload string) *pb.AttachRequest {
	return &pb.AttachRequest{Frame: &pb.AttachRequest_Data{Data: &pb.Data{Generation: generation, Offset: offset, Payload: []byte(payload)}}}
}

func certificateStatus(tb testing.TB, c pb.SecureSocketServiceClient, s idle) *pb.GetCertificateStatusResponse {
	tb.Helper()
	resp, err := c.GetCertificateStatus(tb.Context(), &pb.GetCertificateStatusRequest{SessionId: s.id})
	require.NoError(tb, err)
	return resp
}

// serveChain is an echo server with an identity.
func serveChain(tb testing.TB, id *tlstest.Identity) string {
	tb.Helper()
	return tlstest.Serve(tb, &tls.Config{Certificates: []tls.Certificate{id.Certificate()}}, tlstest.Echo)
}

func TestRefusedCertificates(t *testing.T) {
	t.Parallel()
	ca := tlstest.NewCA(t)
	between := ca.Intermediate()
	alone := between.Leaf()
	alone.Chain = alone.Chain[:1]
	selfSigned, stranger := tlstest.SelfSigned(t), tlstest.NewCA(t)
	extra := func(der []byte, trusted bool) *pb.AddCertificateRequest {
		return &pb.AddCertificateRequest{Certificate: der, Trusted: trusted}
	}
	for name, tc := range map[string]struct {
		id            *tlstest.Identity
		status        pb.CertificateStatus
		reason        pb.ErrorReason
		useless, mend *pb.AddCertificateRequest // nil: nothing mends it
	}{
		"expired":       {ca.Leaf(tlstest.Expired()), pb.CertificateStatus_CERTIFICATE_STATUS_EXPIRED, pb.ErrorReason_ERROR_REASON_CERTIFICATE_EXPIRED, nil, nil},
		"not yet valid": {ca.Leaf(tlstest.NotYetValid()), pb.CertificateStatus_CERTIFICATE_STATUS_NOT_YET_VALID, pb.ErrorReason_ERROR_REASON_CERTIFICATE_NOT_YET_VALID, nil, nil},
		"wrong host": {ca.Leaf(tlstest.Names("other.example")), pb.CertificateStatus_CERTIFICATE_STATUS_PRINCIPAL_MISMATCH, pb.ErrorReason_ERROR_REASON_CERTIFICATE_PRINCIPAL_MISMATCH,
			nil, nil},
		"expired authority": {ca.Intermediate(tlstest.Expired()).Leaf(), pb.CertificateStatus_CERTIFICATE_STATUS_INVALID_CHAIN, pb.ErrorReason_ERROR_REASON_CERTIFICATE_INVALID_CHAIN,
			nil, nil},
		"self-signed": {selfSigned, pb.CertificateStatus_CERTIFICATE_STATUS_UNTRUSTED_SIGNERS, pb.ErrorReason_ERROR_REASON_CERTIFICATE_UNTRUSTED_SIGNERS,
			extra(selfSigned.Leaf.Raw, false), extra(selfSigned.Leaf.Raw, true)},
		"unknown root": {stranger.Leaf(), pb.CertificateStatus_CERTIFICATE_STATUS_UNTRUSTED_SIGNERS, pb.ErrorReason_ERROR_REASON_CERTIFICATE_UNTRUSTED_SIGNERS,
			extra(stranger.DER(), false), extra(stranger.DER(), true)},
		"missing intermediate": {alone, pb.CertificateStatus_CERTIFICATE_STATUS_UNTRUSTED_SIGNERS, pb.ErrorReason_ERROR_REASON_CERTIFICATE_UNTRUSTED_SIGNERS,
			nil, extra(between.DER(), false)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			addr, good := serveChain(t, tc.id), serveChain(t, ca.Leaf())
			c := servertest.Start(t).Client(t)
			s := newIdle(t.Context(), t, c, ca)
			require.Equal(t, pb.CertificateStatus_CERTIFICATE_STATUS_UNKNOWN, certificateStatus(t, c, s).GetStatus())
			refused := func() {
				_, err := tryConnect(t.Context(), t, c, s, addr)
				require.Equal(t, nameOf(tc.reason), reasonOf(t, err))
				require.Equal(t, codes.FailedPrecondition, status.Code(err))
				got := getSession(t.Context(), t, c, s)
				require.Equal(t, tc.status, got.GetCertificateStatus())
				require.Equal(t, tc.reason, got.GetLastError().GetReason())
				require.Nil(t, got.GetPeerCertificate(), "a refused chain is in the report alone")
				require.Nil(t, got.GetTls())
				v := certificateStatus(t, c, s)
				require.Equal(t, tc.status, v.GetStatus())
				require.Equal(t, tc.status, v.GetReport().GetStatus())
				require.Equal(t, pb.CertificateReport_TRUST_BASIS_NONE, v.GetReport().GetTrustBasis())
				require.NotEmpty(t, v.GetReport().GetProblems())
				require.Empty(t, v.GetReport().GetVerifiedChain())
				require.Equal(t, tc.id.Leaf.Raw, v.GetReport().GetPeerChain()[0].GetDer())
			}
			refused()
			k := attach(t.Context(), t, c, s, 1)
			closed := follow(k, 1)
			require.Equal(t, tc.reason, closed.GetFailure().GetReason())
			require.Equal(t, pb.CloseCause_CLOSE_CAUSE_ERROR, closed.GetCause())
			require.Equal(t, []string{
				"HOST_LOOKUP", "host_found", "CONNECTING", "tcp_connected", "mode_changed", "HANDSHAKING",
				"certificate_error", "io_error", "UNCONNECTED", "closed",
			}, k.kinds())
			ce := k.event("certificate_error").GetCertificateError()
			require.Equal(t, tc.status, ce.GetReport().GetStatus())
			require.False(t, ce.GetOverridable())
			io := k.event("io_error").GetIoError()
			require.Equal(t, tc.reason, io.GetFailure().GetReason())
			require.Equal(t, pb.Phase_PHASE_CERTIFICATE, io.GetPhase())

			if tc.mend != nil {
				if tc.useless != nil {
					tc.useless.SessionId = s.id
					_, err := c.AddCertificate(t.Context(), tc.useless)
					require.NoError(t, err)
					refused()
				}
				tc.mend.SessionId = s.id
				_, err := c.AddCertificate(t.Context(), tc.mend)
				require.NoError(t, err)
				resp := connectTo(t.Context(), t, c, s, addr)
				require.Equal(t, tc.id.Leaf.Raw, resp.GetSession().GetPeerCertificate().GetDer())
			}
			stillWorks(t.Context(), t, c, s, good)
			v := certificateStatus(t, c, s)
			require.Equal(t, pb.CertificateStatus_CERTIFICATE_STATUS_TRUSTED, v.GetStatus(), "the last verdict stays")
			require.Empty(t, v.GetReport().GetProblems())
		})
	}
}

func TestConnectSetsTheStatusToUnknown(t *testing.T) {
	t.Parallel()
	addr, ca := echoServer(t)
	c := servertest.Start(t).Client(t)
	s := newIdle(t.Context(), t, c, ca)
	stillWorks(t.Context(), t, c, s, addr)
	require.Equal(t, pb.CertificateStatus_CERTIFICATE_STATUS_TRUSTED, certificateStatus(t, c, s).GetStatus())
	_, err := tryConnect(t.Context(), t, c, s, closedPort(t))
	require.Equal(t, "CONNECTION_REFUSED", reasonOf(t, err))
	require.Equal(t, codes.Unavailable, status.Code(err))
	v := certificateStatus(t, c, s)
	require.Equal(t, pb.CertificateStatus_CERTIFICATE_STATUS_UNKNOWN, v.GetStatus())
	require.Nil(t, v.GetReport())
	require.EqualValues(t, 2, v.GetGeneration())
	_, err = c.GetCertificateStatus(t.Context(), &pb.GetCertificateStatusRequest{SessionId: s.id, Generation: 1})
	require.Equal(t, "SESSION_STATE", reasonOf(t, err))
	k := attach(t.Context(), t, c, s, getSession(t.Context(), t, c, s).GetAttachSeq()+1)
	closedOf(k, 2)
	kinds := k.kinds()
	require.Equal(t, []string{"HOST_LOOKUP", "host_found", "CONNECTING", "io_error", "UNCONNECTED", "closed"}, kinds[len(kinds)-6:])
	stillWorks(t.Context(), t, c, s, addr)
}

// closedPort is an address at which nothing listens.
func closedPort(tb testing.TB) string {
	tb.Helper()
	return tlstest.Refusing(tb)
}

func TestLateBytesNeverReachTheNextPeer(t *testing.T) {
	t.Parallel()
	first, second := make(listener, 1), make(listener, 1)
	firstAddr, ca := scriptedPeer(t, first.handle)
	leaf := ca.Leaf().Certificate()
	secondAddr := tlstest.Serve(t, &tls.Config{Certificates: []tls.Certificate{leaf}}, second.handle)
	c := servertest.Start(t).Client(t)
	k := open(t, c, firstAddr, ca, keepSession)
	k.secure()
	k.write([]byte("for the first"))
	k.until(func() bool { return len(k.data) == 13 })
	s := idle{k.attached.GetSession().GetSessionId(), k.attached.GetResumeToken()}
	connectTo(t.Context(), t, c, s, secondAddr)
	k.send(dataFrame(1, 13, "late"))
	k.send(&pb.AttachRequest{Frame: &pb.AttachRequest_Finish{Finish: &pb.Finish{Generation: 1, Offset: 17}}})
	k.send(dataFrame(0, 17, "unnamed"))
	k.until(func() bool { return len(k.refused) == 1 })
	require.Equal(t, pb.ErrorReason_ERROR_REASON_INVALID_FIELD, k.refused[0].GetFailure().GetReason())
	require.EqualValues(t, 5, k.refused[0].GetFrameNumber())
	k.send(dataFrame(7, 0, "of a generation to come"))
	k.send(dataFrame(2, 0, "for the second"))
	k.send(&pb.AttachRequest{Frame: &pb.AttachRequest_Finish{Finish: &pb.Finish{Generation: 2, Offset: 14}}})
	require.Equal(t, "for the second", string(second.wait(t).data))
	require.Equal(t, "for the first", string(first.wait(t).data))
	require.Len(t, k.refused, 1)
}

func TestPeerThatSpeaksHTTP(t *testing.T) {
	t.Parallel()
	addr := tlstest.ServeRaw(t, func(c net.Conn) {
		_, _ = c.Read(make([]byte, 1))
		_, _ = io.WriteString(c, "HTTP/1.1 400 Bad Request\r\n\r\n")
		_, _ = io.Copy(io.Discard, c)
	})
	c := servertest.Start(t).Client(t)
	s := newIdle(t.Context(), t, c, nil)
	_, err := tryConnect(t.Context(), t, c, s, addr)
	require.Equal(t, "NOT_TLS", reasonOf(t, err))
	require.Equal(t, pb.CertificateStatus_CERTIFICATE_STATUS_UNKNOWN, certificateStatus(t, c, s).GetStatus())
}
