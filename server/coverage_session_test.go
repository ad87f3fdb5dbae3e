package server_test

import (
	"crypto/tls"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	pb "securesocket/gen/securesocket/v1"
	"securesocket/server"
	"securesocket/server/servertest"
	"securesocket/session"
	"securesocket/tlsengine/tlstest"
)

// What a session says of its socket before, during and after a connection.
func TestSessionSaysWhatItsSocketIs(t *testing.T) {
	t.Parallel()
	const host, ascii = "bücher.example", "xn--bcher-kva.example"
	ca := tlstest.NewCA(t)
	seen, hello := make(chan string, 1), make(chan struct{})
	certificate := ca.Leaf(tlstest.Names(ascii)).Certificate()
	addr := tlstest.Serve(t, &tls.Config{GetCertificate: func(h *tls.ClientHelloInfo) (*tls.Certificate, error) {
		seen <- h.Conn.RemoteAddr().String()
		select {
		case <-hello:
		case <-t.Context().Done():
		}
		return &certificate, nil
	}}, tlstest.Echo)
	ns := serveDNS(t, func(string, int64) []string { return []string{"127.0.0.1"} })
	c := servertest.Start(t, func(sc *session.Config, _ *server.Config) { sc.Resolver = ns.resolver() },
		servertest.AllowEgress(t, "127.0.0.0/8", ascii)).Client(t)
	_, port := hostPort(t, addr)
	s := newIdle(t.Context(), t, c, ca)

	at := getSession(t.Context(), t, c, s)
	require.Zero(t, at.GetGeneration())
	require.Equal(t, pb.State_STATE_UNCONNECTED, at.GetState())
	require.Equal(t, pb.Mode_MODE_UNSPECIFIED, at.GetMode())
	require.Nil(t, at.GetLocal())
	require.Nil(t, at.GetRemote())
	require.Nil(t, at.GetTls())
	require.Nil(t, at.GetPeerCertificate())
	_, err := c.Close(t.Context(), &pb.CloseRequest{SessionId: s.id})
	require.Equal(t, "SESSION_STATE", reasonOf(t, err), "there is nothing to close")
	require.Equal(t, codes.FailedPrecondition, status.Code(err))

	k := attach(t.Context(), t, c, s, 1)
	_, err = c.Connect(t.Context(), &pb.ConnectRequest{SessionId: s.id, Host: host, Port: port, ReturnImmediately: true})
	require.NoError(t, err)
	k.event("HANDSHAKING")
	at = getSession(t.Context(), t, c, s)
	require.Equal(t, pb.State_STATE_HANDSHAKING, at.GetState())
	require.Equal(t, pb.Mode_MODE_TLS_CLIENT, at.GetMode())
	require.Nil(t, at.GetTls(), "not encrypted yet")
	require.Nil(t, at.GetPeerCertificate())
	close(hello)
	secure := k.secure()

	at = getSession(t.Context(), t, c, s)
	require.EqualValues(t, 1, at.GetGeneration())
	require.Equal(t, pb.State_STATE_ENCRYPTED, at.GetState())
	require.Equal(t, pb.Mode_MODE_TLS_CLIENT, at.GetMode())
	require.Equal(t, ascii, at.GetHost())
	require.Equal(t, port, at.GetPort())
	require.Equal(t, addr, joined(at.GetRemote()))
	require.Equal(t, <-seen, joined(at.GetLocal()), "the service's side, as the peer sees it")
	requireSame(t, secure.GetTls(), at.GetTls(), "what was negotiated")
	requireSame(t, secure.GetPeerCertificate(), at.GetPeerCertificate(), "the peer's certificate")
	up := k.event("tcp_connected").GetTcpConnected()
	requireSame(t, at.GetLocal(), up.GetLocal(), "the service's side")
	requireSame(t, at.GetRemote(), up.GetRemote(), "the peer's side")
	require.Equal(t, pb.Mode_MODE_TLS_CLIENT, k.event("mode_changed").GetModeChanged().GetMode())

	k.send(closeFrame(pb.CloseSocket_HOW_GRACEFUL))
	closedOf(k, 1)
	before := pb.State_STATE_UNCONNECTED
	for _, e := range k.events {
		if change := e.GetStateChanged(); change != nil {
			require.Equal(t, before, change.GetOldState(), "no state is left out")
			before = change.GetNewState()
		}
	}
	require.Equal(t, pb.State_STATE_UNCONNECTED, before)
	at = getSession(t.Context(), t, c, s)
	require.Equal(t, pb.Mode_MODE_UNSPECIFIED, at.GetMode())
	require.Nil(t, at.GetTls())
	require.Nil(t, at.GetPeerCertificate())
}

func joined(e *pb.Endpoint) string {
	return net.JoinHostPort(e.GetAddress(), strconv.Itoa(int(e.GetPort())))
}

// What was received and not read, and what was accepted and not sent, is counted.
func TestBytesThatWaitAreCounted(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	addr, ca := scriptedPeer(t, func(conn *tls.Conn) {
		_, _ = conn.Write([]byte("hello"))
		select {
		case <-release:
			tlstest.Echo(conn)
		case <-t.Context().Done():
		}
	})
	c := servertest.Start(t).Client(t)
	const ring = 1 << 20
	s := newIdle(t.Context(), t, c, ca, &pb.SessionSettings{SendBufferBytes: ring})
	connectTo(t.Context(), t, c, s, addr)
	w, err := c.Wait(t.Context(), &pb.WaitRequest{SessionId: s.id, Condition: pb.WaitRequest_CONDITION_READY_READ, Offset: 4})
	require.NoError(t, err)
	require.True(t, w.GetReached())
	require.EqualValues(t, 5, w.GetSession().GetReceivedBytes())
	require.EqualValues(t, 5, w.GetSession().GetBufferedBytes())
	require.Zero(t, w.GetSession().GetPendingBytes())

	k := attach(t.Context(), t, c, s, 1)
	k.until(func() bool { return string(k.data) == "hello" })
	require.Zero(t, getSession(t.Context(), t, c, s).GetBufferedBytes())

	// More than the kernels of both ends take.
	const all = 16 << 20
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		k.write(make([]byte, all))
	}()
	require.Eventually(t, func() bool { return getSession(t.Context(), t, c, s).GetPendingBytes() > ring/2 }, patience, 10*time.Millisecond)
	at := getSession(t.Context(), t, c, s)
	require.LessOrEqual(t, at.GetPendingBytes(), int64(ring))
	require.Less(t, at.GetSentBytes(), int64(all))
	close(release)
	k.until(func() bool { return len(k.data) == 5+all })
	<-sent
	k.until(func() bool { return k.progress.GetWrittenOffset() == all })
	require.EqualValues(t, all, k.progress.GetAcceptedOffset())
	at = getSession(t.Context(), t, c, s)
	require.Zero(t, at.GetPendingBytes())
	require.EqualValues(t, all, at.GetSentBytes())
}

// The verdict is stored before anybody is told that there is one.
func TestVerdictIsThereWhenItIsTold(t *testing.T) {
	t.Parallel()
	addr := serveChain(t, tlstest.SelfSigned(t))
	c := servertest.Start(t).Client(t)
	s := newIdle(t.Context(), t, c, nil)
	k := attach(t.Context(), t, c, s, 1)
	for generation := range int64(20) {
		seen := len(k.events)
		begin(t, c, s, addr)
		k.until(func() bool {
			for _, e := range k.events[seen:] {
				if e.GetCertificateError() != nil || e.GetIoError() != nil {
					return true
				}
			}
			return false
		})
		v := certificateStatus(t, c, s)
		require.EqualValues(t, generation+1, v.GetGeneration())
		require.Equal(t, pb.CertificateStatus_CERTIFICATE_STATUS_UNTRUSTED_SIGNERS, v.GetStatus())
		require.NotEmpty(t, v.GetReport().GetProblems())
		closedOf(k, generation+1)
	}
}

// What a session has for settings when nobody has set any.
func TestDefaultSettings(t *testing.T) {
	t.Parallel()
	c := servertest.Start(t).Client(t)
	got := getSession(t.Context(), t, c, newIdle(t.Context(), t, c, nil)).GetEffectiveSettings()
	require.Equal(t, 20*time.Second, got.GetConnectTimeout().AsDuration())
	require.Equal(t, tls12, got.GetTls().GetMinVersion())
	require.Equal(t, tls13, got.GetTls().GetMaxVersion())
	require.Equal(t, pb.OverrideMode_OVERRIDE_MODE_STRICT, got.GetTls().GetOverride())
	require.Equal(t, pb.RevocationMode_REVOCATION_MODE_SOFT, got.GetTls().GetRevocation())
	require.Equal(t, pb.TrustSettings_BASE_DEFAULTS, got.GetTls().GetTrust().GetBase())
	require.True(t, got.GetTcp().GetNoDelay())

	s := newIdle(t.Context(), t, c, nil, &pb.SessionSettings{ConnectTimeout: durationpb.New(time.Millisecond)})
	require.Equal(t, 250*time.Millisecond, getSession(t.Context(), t, c, s).GetEffectiveSettings().GetConnectTimeout().AsDuration())
}

// The suites of a session are its own, else the caller's, else the service's; a change is for the next connection.
func TestSuitesOfASession(t *testing.T) {
	t.Parallel()
	const gcm, chacha = "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384", "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256"
	addr, ca := echoServer(t, onlyVersion(tls.VersionTLS12))
	k := newTrustClients(t, servertest.Start(t))
	ctx := t.Context()
	s := newIdle(ctx, t, k.c, ca)
	of := func() []string { return getSession(ctx, t, k.c, s).GetEffectiveSettings().GetTls().GetCipherSuites() }
	agreed := func() string { return connectTo(ctx, t, k.c, s, addr).GetSession().GetTls().GetCipherSuite() }
	update := func(suites ...string) *pb.UpdateSessionResponse {
		resp, err := k.c.UpdateSession(ctx, &pb.UpdateSessionRequest{
			SessionId: s.id, Settings: &pb.SessionSettings{Tls: &pb.TlsSettings{CipherSuites: suites}}, UpdateMask: mask("tls.cipher_suites"),
		})
		require.NoError(t, err)
		return resp
	}
	byService, first := of(), agreed()
	require.True(t, strings.HasPrefix(first, "TLS_ECDHE_ECDSA_"))

	resp := update(chacha)
	require.NotEmpty(t, resp.GetWarnings())
	require.EqualValues(t, 2, resp.GetEffectiveGeneration())
	require.Equal(t, first, getSession(ctx, t, k.c, s).GetTls().GetCipherSuite(), "the connection keeps its own")
	require.Equal(t, []string{chacha}, of())
	require.Equal(t, chacha, agreed())

	k.updateDefaults(ctx, &pb.SessionSettings{Tls: &pb.TlsSettings{CipherSuites: []string{gcm}}})
	require.Equal(t, []string{gcm}, k.defaults(ctx).GetTls().GetCipherSuites())
	require.Equal(t, chacha, agreed(), "its own come first")
	update()
	require.Equal(t, []string{gcm}, of())
	require.Equal(t, gcm, agreed(), "then the caller's")
	k.updateDefaults(ctx, nil, "tls.cipher_suites")
	require.Equal(t, byService, of(), "then the service's")
	require.Equal(t, first, agreed())
}
