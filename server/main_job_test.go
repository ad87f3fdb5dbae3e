package server_test

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	pb "securesocket/gen/securesocket/v1"
	"securesocket/server/servertest"
	"securesocket/tlsengine/tlstest"
)

// echoServer is a TLS server with a trusted leaf that sends back what it gets.
func echoServer(tb testing.TB, change ...func(*tls.Config)) (string, *tlstest.CA) {
	tb.Helper()
	ca := tlstest.NewCA(tb)
	cfg := &tls.Config{Certificates: []tls.Certificate{ca.Leaf(tlstest.Names("127.0.0.1", "::1", "localhost")).Certificate()}}
	for _, f := range change {
		f(cfg)
	}
	return tlstest.Serve(tb, cfg, tlstest.Echo), ca
}

func TestOpenEchoesAndEndsInOrder(t *testing.T) {
	t.Parallel()
	addr, ca := echoServer(t)
	k := open(t, servertest.Start(t).Client(t), addr, ca)
	sc := k.secure()
	require.Equal(t, pb.CertificateStatus_CERTIFICATE_STATUS_TRUSTED, sc.GetStatus())
	require.Equal(t, pb.ProtocolVersion_PROTOCOL_VERSION_TLS1_3, sc.GetTls().GetVersion())
	k.write([]byte("hello"))
	k.until(func() bool { return len(k.data) == 5 })
	require.Equal(t, "hello", string(k.data))
	k.until(func() bool { return k.progress.GetWrittenOffset() == 5 })
	require.NoError(t, k.stream.CloseSend())
	require.NoError(t, k.end())
	require.Equal(t, []string{
		"HOST_LOOKUP", "host_found", "CONNECTING", "tcp_connected", "mode_changed", "HANDSHAKING",
		"ENCRYPTED", "secure_connected", "CLOSING", "UNCONNECTED", "closed",
	}, k.kinds())
	require.Equal(t, pb.CloseCause_CLOSE_CAUSE_LOCAL, k.closed().GetCause())
}

func TestManyBytesBothWays(t *testing.T) {
	t.Parallel()
	const size = 64 << 20
	addr, ca := echoServer(t)
	k := open(t, servertest.Start(t).Client(t), addr, ca)
	k.secure()
	want, got := sha256.New(), sha256.New()
	var wg sync.WaitGroup
	wg.Go(func() {
		buf := make([]byte, 64<<10)
		for range size / len(buf) {
			_, _ = rand.Read(buf)
			want.Write(buf)
			k.write(buf)
		}
		k.finish()
	})
	received := 0
	for received < size {
		require.NoError(t, k.next())
		got.Write(k.data)
		received += len(k.data)
		k.attached.SocketDataOffset += int64(len(k.data))
		k.data = k.data[:0]
	}
	wg.Wait()
	require.Equal(t, want.Sum(nil), got.Sum(nil))
	closed := k.closed()
	require.EqualValues(t, size, closed.GetReceivedBytes())
	require.EqualValues(t, size, closed.GetSentBytes())
}
