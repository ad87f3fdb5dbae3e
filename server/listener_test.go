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

// What came from a client that has gone by the time that the owner comes is still there for him.
func TestClientThatGoesBeforeItsOwnerComes(t *testing.T) {
	t.Parallel()
	cc := servertest.Start(t).Dial(t)
	c, lc := pb.NewSecureSocketServiceClient(cc), pb.NewListenerServiceClient(cc)
	resp, err := lc.Listen(t.Context(), &pb.ListenRequest{Address: "127.0.0.1"})
	require.NoError(t, err)
	accept, err := lc.Accept(t.Context(), &pb.AcceptRequest{ListenerId: resp.GetListener().GetListenerId()})
	require.NoError(t, err)
	for _, attach := range []bool{true, false} {
		peer, err := net.Dial("tcp", localAddr(resp.GetListener()))
		require.NoError(t, err)
		_, err = peer.Write([]byte("last words"))
		require.NoError(t, err)
		got, err := accept.Recv()
		require.NoError(t, err)
		id := got.GetSession().GetSessionId()
		waited, err := c.Wait(t.Context(), &pb.WaitRequest{SessionId: id, Condition: pb.WaitRequest_CONDITION_READY_READ, Offset: 9})
		require.NoError(t, err)
		require.True(t, waited.GetReached())
		require.NoError(t, peer.(*net.TCPConn).SetLinger(0))
		require.NoError(t, peer.Close())
		waited, err = c.Wait(t.Context(), &pb.WaitRequest{SessionId: id, Condition: pb.WaitRequest_CONDITION_DISCONNECTED})
		require.NoError(t, err)
		require.True(t, waited.GetReached())
		var data []byte
		if attach {
			k := start(t.Context(), t, c, attachFrame(&pb.AttachSession{SessionId: id, ResumeToken: got.GetResumeToken(), AttachSeq: 1}))
			require.Equal(t, pb.CloseCause_CLOSE_CAUSE_PEER_RESET, k.closed().GetCause())
			require.NoError(t, k.end())
			data = k.data
		} else {
			var last int64
			read := func(from int64) {
				stream, err := c.Read(t.Context(), &pb.ReadRequest{SessionId: id, Offset: from, EventSeq: last, Generation: 1})
				require.NoError(t, err)
				for {
					m, err := stream.Recv()
					if err != nil {
						require.ErrorIs(t, err, io.EOF)
						return
					}
					data = append(data, m.GetSocketData().GetPayload()...)
					last = max(last, m.GetEvent().GetSeq())
				}
			}
			read(0)
			read(int64(len(data))) // acks it
		}
		require.Equal(t, "last words", string(data))
		_, err = c.GetSession(t.Context(), &pb.GetSessionRequest{SessionId: id})
		require.Equal(t, "SESSION_NOT_FOUND", reasonOf(t, err))
	}
}
