package server_test

import (
	"crypto/sha256"
	"crypto/tls"
	"hash"
	"io"
	"net"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	pb "securesocket/gen/securesocket/v1"
	"securesocket/server/servertest"
	"securesocket/tlsengine/tlstest"
)

// Many bytes go both ways in clear, of which none is ever acked. Nothing stops, and TLS is entered at the right offsets
// afterwards.
func TestManyPlainBytesWithoutAnAck(t *testing.T) {
	t.Parallel()
	size := 64 << 20
	if testing.Short() {
		size = 8 << 20
	}
	ca := tlstest.NewCA(t)
	config := &tls.Config{Certificates: []tls.Certificate{ca.Leaf(tlstest.Names("127.0.0.1")).Certificate()}}
	addr := tlstest.ServeRaw(t, func(conn net.Conn) {
		if _, err := io.CopyN(conn, conn, int64(size)); err == nil {
			tlstest.Echo(tls.Server(conn, config))
		}
	})
	c := servertest.Start(t).Client(t)
	k := open(t, c, addr, ca, plainly)
	sums := [2]hash.Hash{sha256.New(), sha256.New()}
	var wg sync.WaitGroup
	wg.Go(func() {
		for n := 0; n < size; n += 1 << 20 {
			sums[0].Write(noise()[n>>20 : n>>20+1<<20])
			k.write(noise()[n>>20 : n>>20+1<<20])
		}
	})
	for received := 0; received < size; {
		require.NoError(t, k.next())
		sums[1].Write(k.data)
		received += len(k.data)
		k.attached.SocketDataOffset += int64(len(k.data))
		k.data = nil
	}
	wg.Wait()
	require.Equal(t, sums[0].Sum(nil), sums[1].Sum(nil))
	s := getSession(t.Context(), t, c, k.session())
	require.EqualValues(t, size, s.GetReceivedBytes())
	require.Zero(t, s.GetBufferedBytes(), "it was delivered")
	require.Equal(t, "OFFSET_MISMATCH", byFrame.begin(k, c, asClient(0, int64(size)))(), "what was sent is kept while there is room alone")
	k.send(startTLSFrame(pb.TlsRole_TLS_ROLE_CLIENT, int64(size), int64(size)))
	k.write([]byte("under TLS"))
	k.secure()
	k.until(func() bool { return string(k.data) == "under TLS" })
	k.finish()
	require.EqualValues(t, size+9, k.closed().GetReceivedBytes())
}

// A resumable session keeps what is not acked, in clear as under TLS: the peer waits, and an ack lets it go on.
func TestPlainBytesOfAResumableSessionWaitForAcks(t *testing.T) {
	t.Parallel()
	const size = 4 << 20
	c := servertest.Start(t).Client(t)
	addr := tlstest.ServeRaw(t, func(conn net.Conn) {
		for n := 0; n < size; n += 1 << 20 {
			_, _ = conn.Write(noise()[n : n+1<<20])
		}
	})
	k := open(t, c, addr, nil, plainly, func(m *pb.Open) {
		m.Settings = &pb.SessionSettings{Resumable: proto.Bool(true), ReceiveBufferBytes: 64 << 10}
	})
	for len(k.data) < size {
		require.NoError(t, k.next())
		require.LessOrEqual(t, getSession(t.Context(), t, c, k.session()).GetReceivedBytes(), int64(len(k.data)+64<<10))
		k.ack()
	}
	require.True(t, string(noise()[:size]) == string(k.data))
}

// A caller that does not read makes the peer wait, in clear too: no more is taken from it than receive_buffer_bytes and what
// HTTP/2 has room for.
func TestPlainPeerWaitsForItsCaller(t *testing.T) {
	t.Parallel()
	c := servertest.Start(t).Client(t)
	sent := make(chan int64, 1)
	addr := tlstest.ServeRaw(t, func(conn net.Conn) {
		n, _ := io.Copy(conn, neverEnding{})
		sent <- n
	})
	s := newIdle(t.Context(), t, c, nil, &pb.SessionSettings{ReceiveBufferBytes: 64 << 10})
	connectPlainly(t, c, s, addr)
	readyRead(t, c, s, 64<<10-16<<10) // nobody reads: the ring is full
	resp, err := c.StartTls(t.Context(), &pb.StartTlsRequest{SessionId: s.id, StartTls: asClient(100, 0)})
	require.Nil(t, resp)
	require.Equal(t, "START_TLS_INJECTION", reasonOf(t, err))
	require.LessOrEqual(t, getSession(t.Context(), t, c, s).GetReceivedBytes(), int64(64<<10))
	require.Positive(t, <-sent)
}

type neverEnding struct{}

func (neverEnding) Read(b []byte) (int, error) { return len(b), nil }
