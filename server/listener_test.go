package server_test

import (
	"crypto/tls"
	"io"
	"net"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	pb "securesocket/gen/securesocket/v1"
	"securesocket/server/servertest"
	"securesocket/tlsengine/tlstest"
)

// uploaded is an identity whose key the service has.
func uploaded(tb testing.TB, id *tlstest.Identity) *pb.Identity {
	tb.Helper()
	cert := id.Certificate()
	return keyPair(&pb.KeyPair{CertificateChain: cert.Certificate, PrivateKey: pkcs8Of(tb, cert.PrivateKey)})
}

func localAddr(l *pb.Listener) string {
	return net.JoinHostPort(l.GetLocal().GetAddress(), strconv.Itoa(int(l.GetLocal().GetPort())))
}

func TestListener(t *testing.T) {
	t.Parallel()
	ca := tlstest.NewCA(t)
	cc := servertest.Start(t).Dial(t)
	c, lc := pb.NewSecureSocketServiceClient(cc), pb.NewListenerServiceClient(cc)
	resp, err := lc.Listen(t.Context(), &pb.ListenRequest{
		Address: "127.0.0.1", StartTlsOnAccept: true, Settings: having(uploaded(t, ca.Leaf(tlstest.Names("server.test")))),
	})
	require.NoError(t, err)
	accept, err := lc.Accept(t.Context(), &pb.AcceptRequest{ListenerId: resp.GetListener().GetListenerId()})
	require.NoError(t, err)

	peer, err := tls.Dial("tcp", localAddr(resp.GetListener()), &tls.Config{RootCAs: ca.Pool(), ServerName: "server.test"})
	require.NoError(t, err)
	t.Cleanup(func() { _ = peer.Close() })
	_, err = peer.Write([]byte("hello"))
	require.NoError(t, err)

	got, err := accept.Recv()
	require.NoError(t, err)
	s := got.GetSession()
	require.Equal(t, pb.State_STATE_ENCRYPTED, s.GetState())
	require.Equal(t, pb.Mode_MODE_TLS_SERVER, s.GetMode())
	require.Equal(t, "server.test", s.GetTls().GetServerName())
	require.Equal(t, resp.GetListener().GetListenerId(), s.GetListenerId())
	k := start(t.Context(), t, c, attachFrame(&pb.AttachSession{SessionId: s.GetSessionId(), ResumeToken: got.GetResumeToken(), AttachSeq: 1}))
	k.until(func() bool { return string(k.data) == "hello" })
	k.write([]byte("good day"))
	k.finish()
	b, err := io.ReadAll(peer)
	require.NoError(t, err)
	require.Equal(t, "good day", string(b))
	require.NoError(t, peer.Close())
	require.NoError(t, k.end())

	_, err = lc.CloseListener(t.Context(), &pb.CloseListenerRequest{ListenerId: resp.GetListener().GetListenerId()})
	require.NoError(t, err)
	_, err = accept.Recv()
	require.ErrorIs(t, err, io.EOF)
}
