package server_test

import (
	"crypto/sha256"
	"crypto/tls"
	"io"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	pb "securesocket/gen/securesocket/v1"
	"securesocket/server/servertest/cutproxy"
	"securesocket/tlsengine/tlstest"
)

// A stream that is cut loses nothing of a resumable accepted session.
func TestResumableAcceptedSession(t *testing.T) {
	t.Parallel()
	w := secureListener(t, nil, resumably)
	a := w.accept(0)
	peer := w.dial()
	got := a.next()
	k := w.attach(got)
	require.True(t, k.attached.GetSession().GetEffectiveSettings().GetResumable())
	w.talks(peer, k)
	k.cancel()
	_ = k.end()
	_, err := peer.Write([]byte("while nobody listens"))
	require.NoError(t, err)

	again := k.again(w.c)
	again.until(func() bool { return string(again.data) == "questionwhile nobody listens" })
	have := len(again.data)
	again.write([]byte("back"))
	b := make([]byte, 4)
	_, err = io.ReadFull(peer, b)
	require.NoError(t, err)
	require.Equal(t, "back", string(b))
	require.NoError(t, peer.CloseWrite())
	again.event("remote_closed")
	require.Len(t, again.data, have)
	again.finish()
	again.closed()
	again.ack()
	w.empty() // all is said, and acked
	require.NoError(t, again.stream.CloseSend())
	_ = again.end()

	_, err = w.c.GetSession(t.Context(), &pb.GetSessionRequest{SessionId: got.GetSession().GetSessionId()})
	require.Equal(t, "SESSION_NOT_FOUND", reasonOf(t, err))
	w.nothingMore(a)
}

// The same with the connection to the service cut instead of the call.
func TestAcceptedSessionOverACutConnection(t *testing.T) {
	t.Parallel()
	w := secureListener(t, nil, resumably)
	proxy := cutproxy.Start(t, w.svc.DialContext)
	through, done := through(proxy.Dial)
	t.Cleanup(done)
	a := w.accept(0)
	peer := w.dial()
	got := a.next()
	k := start(t.Context(), t, through, attachFrame(&pb.AttachSession{SessionId: got.GetSession().GetSessionId(), ResumeToken: got.GetResumeToken(), AttachSeq: 1}))
	k.until(func() bool { return k.attached != nil })
	w.talks(peer, k)
	proxy.CutAll(cutproxy.RST)
	require.Equal(t, codes.Unavailable, status.Code(k.end()))
	again := k.again(w.c)
	again.write([]byte("still here"))
	b := make([]byte, len("still here"))
	_, err := io.ReadFull(peer, b)
	require.NoError(t, err)
	require.Equal(t, "still here", string(b))
	w.nothingMore(a)
}

// What is exported in the server's role is what the client has.
func TestKeyingMaterialInTheServersRole(t *testing.T) {
	t.Parallel()
	bothVersions(t, func(t *testing.T, version uint16) {
		w := secureListener(t, nil)
		a := w.accept(0)
		peer := w.dial(onlyVersion(version))
		k := w.attach(a.next())
		state := peer.ConnectionState()
		export := func(m *pb.ExportKeyingMaterialRequest) []byte {
			m.SessionId = k.attached.GetSession().GetSessionId()
			resp, err := w.c.ExportKeyingMaterial(t.Context(), m)
			require.NoError(t, err)
			return resp.GetMaterial()
		}
		want, err := state.ExportKeyingMaterial("EXPORTER-test", []byte("context"), 40)
		require.NoError(t, err)
		require.Equal(t, want, export(&pb.ExportKeyingMaterialRequest{Label: "EXPORTER-test", Context: []byte("context"), Length: 40}))
		want, err = state.ExportKeyingMaterial("EXPORTER-Channel-Binding", []byte{}, 32)
		require.NoError(t, err)
		require.Equal(t, want, export(&pb.ExportKeyingMaterialRequest{ChannelBinding: bindingExporter}))
		sum := sha256.Sum256(state.PeerCertificates[0].Raw) // RFC 5929, section 4: the server's, which is this side's
		require.Equal(t, sum[:], export(&pb.ExportKeyingMaterialRequest{ChannelBinding: bindingEndPoint}))
		if version == tls.VersionTLS12 {
			require.Equal(t, state.TLSUnique, export(&pb.ExportKeyingMaterialRequest{ChannelBinding: bindingTLSUnique}))
		}
		w.talks(peer, k)
		w.nothingMore(a)
	})
}

func TestEndsOfAcceptedSessions(t *testing.T) {
	t.Parallel()
	bothVersions(t, func(t *testing.T, version uint16) {
		for name, tc := range map[string]struct {
			end                func(t *testing.T, peer *tls.Conn, k *caller)
			cause, read, write pb.CloseCause
		}{
			"the peer's half first": {func(t *testing.T, peer *tls.Conn, k *caller) {
				require.NoError(t, peer.CloseWrite())
				k.event("remote_closed")
				k.write([]byte("after it"))
				k.finish()
				b, err := io.ReadAll(peer)
				require.NoError(t, err)
				require.Equal(t, "after it", string(b))
			}, pb.CloseCause_CLOSE_CAUSE_PEER_CLOSE_NOTIFY, pb.CloseCause_CLOSE_CAUSE_PEER_CLOSE_NOTIFY, pb.CloseCause_CLOSE_CAUSE_LOCAL},
			"the caller's half first": {func(t *testing.T, peer *tls.Conn, k *caller) {
				k.send(closeFrame(pb.CloseSocket_HOW_WRITE_HALF))
				_, err := peer.Read(make([]byte, 1))
				require.ErrorIs(t, err, io.EOF)
				have := len(k.data)
				_, err = peer.Write([]byte("after it"))
				require.NoError(t, err)
				k.until(func() bool { return string(k.data[have:]) == "after it" })
				require.NoError(t, peer.CloseWrite())
			}, pb.CloseCause_CLOSE_CAUSE_LOCAL, pb.CloseCause_CLOSE_CAUSE_PEER_CLOSE_NOTIFY, pb.CloseCause_CLOSE_CAUSE_LOCAL},
			"abort": {func(t *testing.T, peer *tls.Conn, k *caller) {
				k.send(closeFrame(pb.CloseSocket_HOW_ABORT))
				_, err := peer.Read(make([]byte, 1))
				require.Error(t, err)
				require.NotErrorIs(t, err, io.EOF)
			}, pb.CloseCause_CLOSE_CAUSE_LOCAL, pb.CloseCause_CLOSE_CAUSE_LOCAL, pb.CloseCause_CLOSE_CAUSE_LOCAL},
			"graceful": {func(t *testing.T, peer *tls.Conn, k *caller) {
				k.write([]byte("last words"))
				k.send(closeFrame(pb.CloseSocket_HOW_GRACEFUL))
				b, err := io.ReadAll(peer)
				require.NoError(t, err)
				require.Equal(t, "last words", string(b))
				_ = peer.Close()
			}, pb.CloseCause_CLOSE_CAUSE_LOCAL, pb.CloseCause_CLOSE_CAUSE_LOCAL, pb.CloseCause_CLOSE_CAUSE_LOCAL},
			"truncated": {func(t *testing.T, peer *tls.Conn, _ *caller) {
				require.NoError(t, peer.NetConn().Close())
			}, pb.CloseCause_CLOSE_CAUSE_PEER_TRUNCATED, pb.CloseCause_CLOSE_CAUSE_PEER_TRUNCATED, pb.CloseCause_CLOSE_CAUSE_PEER_TRUNCATED},
		} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				w := secureListener(t, nil)
				a := w.accept(0)
				peer := w.dial(onlyVersion(version))
				k := w.attach(a.next())
				w.talks(peer, k)
				tc.end(t, peer, k)
				closed := k.closed()
				require.Equal(t, tc.cause, closed.GetCause())
				require.Equal(t, tc.read, closed.GetReadCause())
				require.Equal(t, tc.write, closed.GetWriteCause())
				require.NoError(t, k.end())
				w.empty()
				w.nothingMore(a)
			})
		}
	})
}

// The service's own probe, and its own session, meet its own listener.
func TestOwnListener(t *testing.T) {
	t.Parallel()
	w := plainListener(t, nil)
	w.ca = tlstest.NewCA(t)
	leaf := w.ca.Leaf(tlstest.Names("127.0.0.1"))
	w.l = w.listen(func(m *pb.ListenRequest) { m.StartTlsOnAccept, m.Settings = true, having(uploaded(t, leaf)) })
	a := w.accept(0)
	host, port := hostPort(t, localAddr(w.l))
	certs := []*pb.ExtraCertificate{{Certificate: w.ca.Root().DER(), Trusted: true}}
	probe, err := pb.NewDiagnosticServiceClient(w.svc.Dial(t)).Probe(t.Context(), &pb.ProbeRequest{Host: host, Port: port, Certificates: certs})
	require.NoError(t, err)
	require.Equal(t, pb.CertificateStatus_CERTIFICATE_STATUS_TRUSTED, probe.GetReport().GetStatus())
	require.Equal(t, leaf.Chain[0], probe.GetReport().GetPeerChain()[0].GetDer())
	k := w.attach(a.next())
	require.NotNil(t, k.event("remote_closed"))
	k.finish()
	require.NoError(t, k.end())

	near := open(t, w.c, localAddr(w.l), w.ca)
	near.secure()
	far := w.attach(a.next())
	near.write([]byte("to myself"))
	far.until(func() bool { return string(far.data) == "to myself" })
	far.finish()
	near.event("remote_closed")
	near.finish()
	require.NoError(t, near.end())
	require.NoError(t, far.end())
	w.empty()
	w.nothingMore(a)
}
