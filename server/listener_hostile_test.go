package server_test

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	pb "securesocket/gen/securesocket/v1"
)

// helloOf is what a client says first.
func helloOf(tb testing.TB, config *tls.Config) []byte {
	tb.Helper()
	near, far := net.Pipe()
	defer near.Close()
	done := make(chan struct{})
	go func() { defer close(done); _ = tls.Client(far, config).Handshake(); _ = far.Close() }()
	b := make([]byte, 16<<10)
	n, err := near.Read(b)
	require.NoError(tb, err)
	require.NoError(tb, near.Close())
	<-done
	return b[:n]
}

// What fails is never given out, and leaves nothing; who comes next is served.
func TestHostileClients(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*pb.ListenRequest){"resumable": resumably, "not resumable": func(*pb.ListenRequest) {}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := secureListener(t, nil, change)
			hello := helloOf(t, w.clientConfig())
			says := map[string][]byte{
				"HTTP":         []byte("GET / HTTP/1.1\r\nHost: server.test\r\n\r\n"),
				"SSH":          []byte("SSH-2.0-OpenSSH_9.6\r\n"),
				"zeros":        make([]byte, 4096),
				"an alert":     {21, 3, 3, 0, 2, 2, 40},
				"close_notify": {21, 3, 3, 0, 2, 1, 0},
				"data":         append([]byte{23, 3, 3, 1, 0}, make([]byte, 256)...),
				"a long one":   append([]byte{22, 3, 3, 0xff, 0xff}, make([]byte, 0xffff)...),
				"two hellos":   append(append([]byte{}, hello...), hello...),
				"SSL 2":        {0x80, 0x2e, 1, 0, 2, 0, 0x15, 0, 0, 0, 0x10, 1, 0, 0x80, 2, 0, 0x80, 3, 0, 0x80},
			}
			for i := range 20 {
				says["noise"+string(rune('a'+i))] = noise()[i*100 : i*100+100]
			}
			a := w.accept(0)
			for name, b := range says {
				conn := w.dialPlain()
				_, err := conn.Write(b)
				require.NoError(t, err, name)
				if name == "zeros" || name[0] == 'n' { // which may be the beginning of a record
					_ = conn.CloseWrite() // unless it was reset already
				}
				_, _ = io.Copy(io.Discard, conn) // to the end, be it a reset
			}
			w.pending(0)
			w.empty()
			w.talks(w.dial(), w.attach(a.next()))
			require.EqualValues(t, len(says)+1, w.look().GetAcceptedCount())
			w.nothingMore(a)
		})
	}
}

// A hello that ends anywhere, with FIN or RST, is forgotten.
func TestHalfAHello(t *testing.T) {
	t.Parallel()
	w := secureListener(t, nil, resumably)
	hello := helloOf(t, w.clientConfig())
	a := w.accept(0)
	accepted := int64(0)
	for i := 0; i < len(hello); i++ {
		if i > 64 && i%31 != 0 && i < len(hello)-8 {
			continue
		}
		for _, reset := range []bool{false, true} {
			conn := w.dialPlain()
			_, err := conn.Write(hello[:i])
			require.NoError(t, err)
			if reset {
				require.NoError(t, conn.SetLinger(0))
			} else {
				require.NoError(t, conn.CloseWrite())
				_, _ = io.Copy(io.Discard, conn)
			}
			require.NoError(t, conn.Close())
			accepted++
		}
	}
	// A connection that is reset before it is accepted may never be.
	require.Eventually(t, func() bool { return w.look().GetAcceptedCount() >= accepted/2 }, patience, patience/1000)
	w.pending(0)
	w.empty()
	w.talks(w.dial(), w.attach(a.next()))
	w.nothingMore(a)
}

// Renegotiation is refused, and the owner learns that the peer did what it must not.
func TestClientThatRenegotiates(t *testing.T) {
	t.Parallel()
	w := secureListener(t, nil)
	a := w.accept(0)
	in, _ := w.sClient(tls.VersionTLS12, "-servername", listenerName, "-legacy_server_connect")
	k := w.attach(a.next())
	in.say("before\n")
	k.until(func() bool { return string(k.data) == "before\n" })
	in.say("R\n")
	closed := k.closed()
	require.Equal(t, pb.ErrorReason_ERROR_REASON_PEER_MISBEHAVED, closed.GetFailure().GetReason())
	require.Equal(t, pb.CloseCause_CLOSE_CAUSE_ERROR, closed.GetCause())
	require.Equal(t, "before\n", string(k.data))
	require.NoError(t, k.end())
	w.empty()
	w.nothingMore(a)
}

// What is deleted while it arrives goes at once.
func TestDeletedAsItArrives(t *testing.T) {
	t.Parallel()
	const peers = 300
	w := secureListener(t, nil, backlog(1024))
	var conns []net.Conn
	stop, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for {
			for _, s := range w.sessions() {
				_, _ = w.c.DeleteSession(t.Context(), &pb.DeleteSessionRequest{SessionId: s.GetSessionId()})
			}
			select {
			case <-stop:
				return
			default:
			}
		}
	}()
	for range peers {
		conn, err := dialer.DialContext(t.Context(), "tcp", localAddr(w.l))
		if errors.Is(err, syscall.ECONNRESET) { // deleted before connect(2) was back
			continue
		}
		require.NoError(t, err)
		require.NoError(t, conn.SetDeadline(time.Now().Add(patience)))
		conns = append(conns, conn)
	}
	for _, conn := range conns {
		closedByService(t, conn)
		_ = conn.Close()
	}
	close(stop)
	<-done
	w.pending(0)
	w.empty()
}
