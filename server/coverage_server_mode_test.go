package server_test

import (
	"crypto/tls"
	"io"
	"net"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	pb "securesocket/gen/securesocket/v1"
	"securesocket/server/servertest"
	"securesocket/tlsengine/tlstest"
)

// inn is a listener whose sessions are plain at first, and who comes in.
type inn struct {
	c      pb.SecureSocketServiceClient
	l      pb.ListenerServiceClient
	id     string
	addr   string
	accept pb.ListenerService_AcceptClient
}

func openInn(t *testing.T, settings *pb.SessionSettings, certificates ...*pb.ExtraCertificate) *inn {
	t.Helper()
	cc := servertest.Start(t).Dial(t)
	n := &inn{c: pb.NewSecureSocketServiceClient(cc), l: pb.NewListenerServiceClient(cc)}
	resp, err := n.l.Listen(t.Context(), &pb.ListenRequest{Address: "127.0.0.1", Settings: settings, Certificates: certificates})
	require.NoError(t, err)
	n.id, n.addr = resp.GetListener().GetListenerId(), joined(resp.GetListener().GetLocal())
	n.accept, err = n.l.Accept(t.Context(), &pb.AcceptRequest{ListenerId: n.id})
	require.NoError(t, err)
	return n
}

// enter connects a guest, and returns both ends.
func (n *inn) enter(t *testing.T) (net.Conn, *caller) {
	t.Helper()
	guest, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", n.addr)
	require.NoError(t, err)
	t.Cleanup(func() { _ = guest.Close() })
	got, err := n.accept.Recv()
	require.NoError(t, err)
	require.Equal(t, n.id, got.GetSession().GetListenerId())
	s := idle{got.GetSession().GetSessionId(), got.GetResumeToken()}
	return guest, attach(t.Context(), t, n.c, s, 1)
}

func (n *inn) session(t *testing.T, k *caller) *pb.Session {
	t.Helper()
	return getSession(t.Context(), t, n.c, idle{id: k.attached.GetSession().GetSessionId()})
}

// inTLS is a guest's side of TLS, up to the first byte that it reads: under TLS 1.3 a refusal comes no sooner.
func inTLS(t *testing.T, guest net.Conn, config *tls.Config) <-chan error {
	t.Helper()
	out := make(chan error, 1)
	go func() {
		_, err := tls.Client(guest, config).Read(make([]byte, 1))
		out <- err
	}()
	return out
}

// A connection is accepted in clear, and enters TLS in the server's role when its owner says so.
func TestAcceptedConnectionEntersTLS(t *testing.T) {
	t.Parallel()
	ca := tlstest.NewCA(t)
	n := openInn(t, having(uploaded(t, ca.Leaf(tlstest.Names("inn.test")))))
	guest, k := n.enter(t)

	at := n.session(t, k)
	require.Equal(t, pb.State_STATE_CONNECTED, at.GetState())
	require.Equal(t, pb.Mode_MODE_PLAIN, at.GetMode())
	require.Equal(t, guest.LocalAddr().String(), joined(at.GetRemote()))
	require.Equal(t, n.addr, joined(at.GetLocal()))
	require.Equal(t, "127.0.0.1", at.GetHost())
	require.Nil(t, at.GetTls())
	_, err := io.WriteString(guest, "may I?")
	require.NoError(t, err)
	k.until(func() bool { return string(k.data) == "may I?" })
	k.write([]byte("yes"))
	b := make([]byte, 3)
	_, err = io.ReadFull(guest, b)
	require.NoError(t, err)
	require.Equal(t, "yes", string(b), "in clear")

	talk := inTLS(t, guest, &tls.Config{RootCAs: ca.Pool(), ServerName: "inn.test"})
	k.send(startTLSFrame(pb.TlsRole_TLS_ROLE_SERVER, 6, 3))
	secure := k.secure()
	require.Nil(t, secure.GetPeerCertificate(), "nobody asked for one")
	require.Equal(t, pb.CertificateStatus_CERTIFICATE_STATUS_UNKNOWN, secure.GetStatus())
	require.Equal(t, pb.CertificateReport_TRUST_BASIS_NONE, secure.GetTrustBasis())
	require.Equal(t, pb.Mode_MODE_TLS_SERVER, k.event("mode_changed").GetModeChanged().GetMode())
	at = n.session(t, k)
	require.Equal(t, pb.State_STATE_ENCRYPTED, at.GetState())
	require.Equal(t, pb.Mode_MODE_TLS_SERVER, at.GetMode())
	require.Nil(t, at.GetPeerCertificate())
	require.NotEmpty(t, at.GetTls().GetCipher().GetName())
	k.write([]byte("!"))
	require.NoError(t, <-talk)

	// It is entered once.
	k.send(startTLSFrame(pb.TlsRole_TLS_ROLE_SERVER, 6, 3))
	k.until(func() bool { return len(k.refused) == 1 })
	require.Equal(t, pb.ErrorReason_ERROR_REASON_SESSION_STATE, k.refused[0].GetFailure().GetReason())
}

// StartTls is for plain connections, and leaves all others as they are.
func TestStartTlsElsewhere(t *testing.T) {
	t.Parallel()
	addr, ca := echoServer(t)
	c := servertest.Start(t).Client(t)
	s := newIdle(t.Context(), t, c, ca, having(uploaded(t, ca.Leaf())))
	for range 2 {
		for _, role := range []pb.TlsRole{pb.TlsRole_TLS_ROLE_CLIENT, pb.TlsRole_TLS_ROLE_SERVER} {
			before := getSession(t.Context(), t, c, s).GetState()
			_, err := c.StartTls(t.Context(), &pb.StartTlsRequest{SessionId: s.id, StartTls: &pb.StartTls{Role: role}})
			require.Equal(t, "SESSION_STATE", reasonOf(t, err))
			require.Equal(t, codes.FailedPrecondition, status.Code(err))
			require.Equal(t, before, getSession(t.Context(), t, c, s).GetState())
		}
		connectTo(t.Context(), t, c, s, addr)
	}
	stillWorks(t.Context(), t, c, s, addr)
}

// A server needs a certificate and its key, and is told so before anything is touched.
func TestServerNeedsAnIdentity(t *testing.T) {
	t.Parallel()
	ca := tlstest.NewCA(t)
	n := openInn(t, nil)
	guest, k := n.enter(t)
	id := k.attached.GetSession().GetSessionId()
	serve := func() error {
		_, err := n.c.StartTls(t.Context(), &pb.StartTlsRequest{SessionId: id, StartTls: &pb.StartTls{Role: pb.TlsRole_TLS_ROLE_SERVER}})
		return err
	}
	require.Equal(t, "INVALID_FIELD", reasonOf(t, serve()))
	require.Equal(t, pb.State_STATE_CONNECTED, n.session(t, k).GetState())
	_, err := n.l.Listen(t.Context(), &pb.ListenRequest{Address: "127.0.0.1", StartTlsOnAccept: true})
	require.Equal(t, "INVALID_FIELD", reasonOf(t, err))

	_, err = n.c.UpdateSession(t.Context(), &pb.UpdateSessionRequest{SessionId: id, Settings: having(uploaded(t, ca.Leaf(tlstest.Names("inn.test"))))})
	require.NoError(t, err)
	talk := inTLS(t, guest, &tls.Config{RootCAs: ca.Pool(), ServerName: "inn.test"})
	require.NoError(t, serve())
	k.write([]byte("!"))
	require.NoError(t, <-talk)
}

// The certificate of a client is judged, shown where there is one, and missed where one is required.
func TestCertificatesOfGuests(t *testing.T) {
	t.Parallel()
	ca, clients := tlstest.NewCA(t), tlstest.NewCA(t)
	id := clientLeaf(clients)
	settings := having(uploaded(t, ca.Leaf(tlstest.Names("inn.test"))))
	settings.Tls.ClientAuth = pb.ClientAuth_CLIENT_AUTH_REQUIRE_AND_VERIFY
	n := openInn(t, settings, &pb.ExtraCertificate{Certificate: clients.DER(), Trusted: true})

	guest, k := n.enter(t)
	talk := inTLS(t, guest, &tls.Config{RootCAs: ca.Pool(), ServerName: "inn.test", Certificates: []tls.Certificate{id.Certificate()}})
	k.send(startTLSFrame(pb.TlsRole_TLS_ROLE_SERVER, 0, 0))
	require.Equal(t, pb.CertificateStatus_CERTIFICATE_STATUS_TRUSTED, k.secure().GetStatus())
	require.Equal(t, id.Leaf.Raw, n.session(t, k).GetPeerCertificate().GetDer())
	k.write([]byte("!"))
	require.NoError(t, <-talk)

	guest, k = n.enter(t)
	talk = inTLS(t, guest, &tls.Config{RootCAs: ca.Pool(), ServerName: "inn.test"})
	k.send(startTLSFrame(pb.TlsRole_TLS_ROLE_SERVER, 0, 0))
	report := k.event("certificate_error").GetCertificateError().GetReport()
	require.Equal(t, pb.CertificateStatus_CERTIFICATE_STATUS_UNKNOWN, report.GetStatus())
	require.Equal(t, map[pb.CertificateProblemCode]int32{pb.CertificateProblemCode_CERTIFICATE_PROBLEM_CODE_NO_PEER_CERTIFICATE: -1}, problemsOf(report))
	require.Equal(t, pb.ErrorReason_ERROR_REASON_CERTIFICATE_REQUIRED, k.closed().GetFailure().GetReason())
	require.NotContains(t, k.kinds(), "secure_connected")
	require.Error(t, <-talk)
}
