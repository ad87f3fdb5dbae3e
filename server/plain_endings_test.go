package server_test

import (
	"io"
	"net"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/types/known/durationpb"

	pb "securesocket/gen/securesocket/v1"
	"securesocket/server/servertest"
	"securesocket/tlsengine/tlstest"
)

// plainPeer is a peer without TLS that a test drives.
type plainPeer struct {
	addr string
	conn chan *net.TCPConn
}

func newPlainPeer(tb testing.TB) *plainPeer {
	tb.Helper()
	p := &plainPeer{conn: make(chan *net.TCPConn, 4)}
	ended := tb.Context().Done()
	p.addr = tlstest.ServeRaw(tb, func(conn net.Conn) {
		p.conn <- conn.(*net.TCPConn)
		<-ended
	})
	return p
}

// next is the peer's end of the next connection.
func (p *plainPeer) next(tb testing.TB) *net.TCPConn {
	tb.Helper()
	select {
	case conn := <-p.conn:
		return conn
	case <-patienceOf(tb):
	}
	require.Fail(tb, "nobody came")
	return nil
}

// readEnd reads to the end; nil: FIN.
func readEnd(tb testing.TB, conn net.Conn) (string, error) {
	tb.Helper()
	require.NoError(tb, conn.SetReadDeadline(time.Now().Add(patience)))
	b, err := io.ReadAll(conn)
	return string(b), err
}

// The ends of a plain connection, as the caller and the peer see them.
func TestEndsOfPlainConnections(t *testing.T) {
	t.Parallel()
	const (
		fin, local, reset = pb.CloseCause_CLOSE_CAUSE_PEER_FIN, pb.CloseCause_CLOSE_CAUSE_LOCAL, pb.CloseCause_CLOSE_CAUSE_PEER_RESET
	)
	c := servertest.Start(t).Client(t)
	type world struct {
		*testing.T
		k    *caller
		peer *net.TCPConn
	}
	for name, tc := range map[string]struct {
		settings *pb.SessionSettings
		act      func(w world) (peer string, err error) // what the peer got, and how it ended
		tail     []string                               // after CONNECTED
		cause    pb.CloseCause
		read     pb.CloseCause
		write    pb.CloseCause
		failure  string
		reset    bool // the peer sees RST
		data     string
		peer     string
	}{
		"the peer's FIN, and the caller goes on": {
			act: func(w world) (string, error) {
				_, _ = io.WriteString(w.peer, "hello")
				_ = w.peer.CloseWrite()
				require.Equal(w, fin, w.k.event("remote_closed").GetRemoteClosed().GetCause())
				require.EqualValues(w, 5, w.k.event("remote_closed").GetRemoteClosed().GetFinalOffset())
				w.k.write(letters(1 << 20))
				w.k.finish()
				return readEnd(w, w.peer)
			},
			tail: []string{"remote_closed", "UNCONNECTED", "closed"}, cause: fin, read: fin, write: local, data: "hello", peer: string(letters(1 << 20)),
		},
		"the caller's finish, and the peer goes on": {
			act: func(w world) (string, error) {
				w.k.write([]byte("bye"))
				w.k.finish()
				s, err := readEnd(w, w.peer)
				_, _ = w.peer.Write(letters(1 << 20))
				_ = w.peer.CloseWrite()
				return s, err
			},
			tail: []string{"remote_closed", "UNCONNECTED", "closed"}, cause: local, read: fin, write: local, data: string(letters(1 << 20)), peer: "bye",
		},
		"the peer's RST": {
			act: func(w world) (string, error) {
				_, _ = io.WriteString(w.peer, "hello")
				w.k.until(func() bool { return string(w.k.data) == "hello" })
				_ = w.peer.SetLinger(0)
				return "", w.peer.Close()
			},
			tail: []string{"io_error", "remote_closed", "UNCONNECTED", "closed"}, cause: reset, read: reset, write: reset, failure: "PEER_RESET", data: "hello",
		},
		"GRACEFUL": {
			act: func(w world) (string, error) {
				w.k.write([]byte("bye"))
				w.k.send(closeFrame(pb.CloseSocket_HOW_GRACEFUL))
				s, err := readEnd(w, w.peer)
				_ = w.peer.Close()
				return s, err
			},
			tail: []string{"CLOSING", "UNCONNECTED", "closed"}, cause: local, read: local, write: local, peer: "bye",
		},
		"GRACEFUL, and the peer never closes": {
			act: func(w world) (string, error) {
				w.k.write([]byte("bye"))
				w.k.send(closeFrame(pb.CloseSocket_HOW_GRACEFUL))
				return readEnd(w, w.peer)
			},
			tail: []string{"CLOSING", "UNCONNECTED", "closed"}, cause: local, read: local, write: local, peer: "bye",
		},
		"WRITE_HALF": {
			act: func(w world) (string, error) {
				w.k.write([]byte("bye"))
				w.k.send(closeFrame(pb.CloseSocket_HOW_WRITE_HALF))
				s, err := readEnd(w, w.peer)
				_, _ = io.WriteString(w.peer, "hello")
				_ = w.peer.Close()
				return s, err
			},
			tail: []string{"remote_closed", "UNCONNECTED", "closed"}, cause: local, read: fin, write: local, data: "hello", peer: "bye",
		},
		"ABORT": {
			act: func(w world) (string, error) {
				w.k.send(closeFrame(pb.CloseSocket_HOW_ABORT))
				return readEnd(w, w.peer)
			},
			tail: []string{"UNCONNECTED", "closed"}, cause: local, read: local, write: local, reset: true,
		},
		"CloseSend": {
			act: func(w world) (string, error) {
				w.k.write([]byte("bye"))
				require.NoError(w, w.k.stream.CloseSend())
				s, err := readEnd(w, w.peer)
				_ = w.peer.Close()
				return s, err
			},
			tail: []string{"CLOSING", "UNCONNECTED", "closed"}, cause: local, read: local, write: local, peer: "bye",
		},
		"idle_timeout": {
			settings: &pb.SessionSettings{IdleTimeout: durationpb.New(50 * time.Millisecond)},
			act:      func(w world) (string, error) { return readEnd(w, w.peer) },
			tail:     []string{"UNCONNECTED", "closed"}, cause: pb.CloseCause_CLOSE_CAUSE_IDLE_TIMEOUT, read: pb.CloseCause_CLOSE_CAUSE_IDLE_TIMEOUT, write: pb.CloseCause_CLOSE_CAUSE_IDLE_TIMEOUT,
		},
		"DeleteSession": {
			act: func(w world) (string, error) {
				_, err := c.DeleteSession(w.Context(), &pb.DeleteSessionRequest{SessionId: w.k.session().id})
				require.NoError(w, err)
				return readEnd(w, w.peer)
			},
			tail: []string{"UNCONNECTED", "closed"}, cause: pb.CloseCause_CLOSE_CAUSE_DELETED, read: pb.CloseCause_CLOSE_CAUSE_DELETED, write: pb.CloseCause_CLOSE_CAUSE_DELETED,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPlainPeer(t)
			k := open(t, c, p.addr, nil, plainly, func(m *pb.Open) { m.Settings = tc.settings })
			w := world{t, k, p.next(t)}
			k.until(func() bool { return last(k.kinds()) == "CONNECTED" })
			peer, err := tc.act(w)
			closed := k.closed()
			require.Equal(t, append([]string{"HOST_LOOKUP", "host_found", "CONNECTING", "tcp_connected", "CONNECTED"}, tc.tail...), k.kinds())
			require.Equal(t, tc.cause, closed.GetCause())
			require.Equal(t, tc.read, closed.GetReadCause())
			require.Equal(t, tc.write, closed.GetWriteCause())
			if tc.failure == "" {
				require.Nil(t, closed.GetFailure())
			} else {
				require.Equal(t, tc.failure, nameOf(closed.GetFailure().GetReason()))
			}
			require.Equal(t, tc.data, string(k.data))
			require.EqualValues(t, len(tc.data), closed.GetReceivedBytes())
			require.Equal(t, tc.peer, peer)
			require.EqualValues(t, len(tc.peer), closed.GetSentBytes())
			if tc.reset {
				require.ErrorIs(t, err, syscall.ECONNRESET)
			} else {
				require.NoError(t, err)
			}
			require.NoError(t, k.end())
		})
	}
}

// A plain session is connected again, to a peer of TLS: nothing of the first generation is left, and acks of it say nothing.
func TestReconnectAfterPlain(t *testing.T) {
	t.Parallel()
	c := servertest.Start(t).Client(t)
	addr, ca := echoServer(t)
	p := newPlainPeer(t)
	s := newIdle(t.Context(), t, c, ca)
	connectPlainly(t, c, s, p.addr)
	peer := p.next(t)
	k := attach(t.Context(), t, c, s, 1)
	_, _ = io.WriteString(peer, "hello")
	k.until(func() bool { return string(k.data) == "hello" })
	k.write([]byte("bye"))
	k.until(func() bool { return k.progress.GetWrittenOffset() == 3 })
	got := connectTo(t.Context(), t, c, s, addr).GetSession()
	require.EqualValues(t, 2, got.GetGeneration())
	require.Equal(t, pb.Mode_MODE_TLS_CLIENT, got.GetMode())
	require.Zero(t, got.GetReceivedBytes())
	said, err := readEnd(t, peer)
	require.NoError(t, err)
	require.Equal(t, "bye", said)
	k.event("secure_connected")
	for _, e := range k.events {
		if e.GetGeneration() == 1 && e.GetClosed() != nil {
			require.Equal(t, pb.CloseCause_CLOSE_CAUSE_RECONNECT, e.GetClosed().GetCause())
		}
	}
	k.data = nil
	k.send(dataFrame(2, 0, "under TLS"))
	k.until(func() bool { return string(k.data) == "under TLS" })
	require.Equal(t, "SESSION_STATE", startTLSReason(t, c, s, &pb.StartTls{Role: pb.TlsRole_TLS_ROLE_CLIENT, Generation: 1}))
	// And back.
	connectPlainly(t, c, s, p.addr)
	peer = p.next(t)
	_, _ = io.WriteString(peer, "hello again")
	k.data = nil
	k.until(func() bool { return string(k.data) == "hello again" })
	require.Equal(t, pb.Mode_MODE_PLAIN, getSession(t.Context(), t, c, s).GetMode())
	require.Nil(t, getSession(t.Context(), t, c, s).GetTls())
}

// A plain connection that no stream holds is kept for detach_grace, before and after the switch; a stream that breaks is an
// abort.
func TestPlainWithoutAStream(t *testing.T) {
	t.Parallel()
	c := servertest.Start(t).Client(t)
	p := newPlainPeer(t)
	s := newIdle(t.Context(), t, c, nil, &pb.SessionSettings{DetachGrace: durationpb.New(time.Second)})
	connectPlainly(t, c, s, p.addr)
	_, err := readEnd(t, p.next(t))
	require.NoError(t, err)
	_, err = c.Wait(t.Context(), &pb.WaitRequest{SessionId: s.id, Condition: pb.WaitRequest_CONDITION_DISCONNECTED})
	require.NoError(t, err)
	require.Equal(t, pb.CloseCause_CLOSE_CAUSE_DETACH_EXPIRED, getSession(t.Context(), t, c, s).GetCloseCause())

	k := open(t, c, p.addr, nil, plainly)
	k.until(func() bool { return last(k.kinds()) == "CONNECTED" })
	peer := p.next(t)
	k.cancel()
	_, err = readEnd(t, peer)
	require.ErrorIs(t, err, syscall.ECONNRESET)
}

// The drain closes what is plain, or on its way into TLS.
func TestDrainOfPlainConnections(t *testing.T) {
	t.Parallel()
	for name, starts := range map[string]bool{"plain": false, "entering TLS": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			svc := servertest.Start(t)
			c := svc.Client(t)
			p := newPlainPeer(t)
			k := open(t, c, p.addr, nil, plainly)
			k.until(func() bool { return last(k.kinds()) == "CONNECTED" })
			var done <-chan error
			if starts {
				done = startingTLS(t, c, k.session(), asClient(0, 0))
				k.event("mode_changed")
			}
			peer := p.next(t)
			if starts {
				require.NoError(t, readRecord(peer)) // the hello
			}
			draining(t, svc, k)()
			closed := k.closed()
			require.Equal(t, pb.CloseCause_CLOSE_CAUSE_DRAIN, closed.GetCause())
			require.Equal(t, "DRAINING", nameOf(closed.GetFailure().GetReason()))
			if starts {
				require.Equal(t, "DRAINING", reasonOf(t, outcome(t, done)))
			}
			said, err := readEnd(t, peer)
			require.NoError(t, err)
			require.Empty(t, said)
		})
	}
}

// Whatever ends a connection between StartTls and the end of its handshake.
func TestEndsWhileEnteringTLS(t *testing.T) {
	t.Parallel()
	const local, deleted = pb.CloseCause_CLOSE_CAUSE_LOCAL, pb.CloseCause_CLOSE_CAUSE_DELETED
	c := servertest.Start(t).Client(t)
	type world struct {
		*testing.T
		k    *caller
		peer *net.TCPConn
	}
	closing := func(how pb.CloseSocket_How) func(world) {
		return func(w world) { w.k.send(closeFrame(how)) }
	}
	for name, tc := range map[string]struct {
		settings *pb.SessionSettings
		act      func(w world)
		cause    pb.CloseCause
		failure  string // of closed
		outcome  string // of StartTls
		reset    bool
		byPeer   bool
	}{
		"ABORT":     {act: closing(pb.CloseSocket_HOW_ABORT), cause: local, outcome: "CANCELLED", reset: true},
		"GRACEFUL":  {act: closing(pb.CloseSocket_HOW_GRACEFUL), cause: local, outcome: "CANCELLED"},
		"CloseSend": {act: func(w world) { require.NoError(w, w.k.stream.CloseSend()) }, cause: local, outcome: "CANCELLED"},
		"DeleteSession": {act: func(w world) {
			_, err := c.DeleteSession(w.Context(), &pb.DeleteSessionRequest{SessionId: w.k.session().id})
			require.NoError(w, err)
		}, cause: deleted, outcome: "CANCELLED"},
		"the peer's FIN": {
			act:   func(w world) { _ = w.peer.CloseWrite() },
			cause: pb.CloseCause_CLOSE_CAUSE_PEER_TRUNCATED, failure: "PEER_TRUNCATED", outcome: "PEER_TRUNCATED", byPeer: true,
		},
		"the peer's RST": {
			act:   func(w world) { _ = w.peer.SetLinger(0); _ = w.peer.Close() },
			cause: pb.CloseCause_CLOSE_CAUSE_PEER_RESET, failure: "PEER_RESET", outcome: "PEER_RESET", byPeer: true,
		},
		"a silent peer": {
			settings: &pb.SessionSettings{Tls: &pb.TlsSettings{HandshakeTimeout: durationpb.New(300 * time.Millisecond)}},
			act:      func(world) {}, cause: pb.CloseCause_CLOSE_CAUSE_ERROR, failure: "HANDSHAKE_TIMEOUT", outcome: "HANDSHAKE_TIMEOUT",
		},
		"a silent peer, for longer than idle_timeout": {
			settings: &pb.SessionSettings{
				IdleTimeout: durationpb.New(100 * time.Millisecond), Tls: &pb.TlsSettings{HandshakeTimeout: durationpb.New(500 * time.Millisecond)},
			},
			act: func(world) {}, cause: pb.CloseCause_CLOSE_CAUSE_ERROR, failure: "HANDSHAKE_TIMEOUT", outcome: "HANDSHAKE_TIMEOUT",
		},
		"reconnect": {act: func(w world) {
			host, port := hostPort(w, plainEcho(w))
			_, err := c.Connect(w.Context(), &pb.ConnectRequest{SessionId: w.k.session().id, Host: host, Port: port, Plain: true})
			require.NoError(w, err)
		}, cause: pb.CloseCause_CLOSE_CAUSE_RECONNECT, outcome: "CANCELLED"},
	} {
		for phase, before := range map[string]bool{"before the handshake": true, "in the handshake": false} {
			t.Run(name+" "+phase, func(t *testing.T) {
				t.Parallel()
				p := newPlainPeer(t)
				k := open(t, c, p.addr, nil, plainly, keepSession, func(m *pb.Open) { m.Settings = tc.settings })
				peer := p.next(t)
				k.write([]byte("x"))
				k.until(func() bool { return k.progress.GetWrittenOffset() == 1 })
				sent := int64(1)
				if before {
					sent = 2
				}
				done := startingTLS(t, c, k.session(), asClient(0, sent))
				want := []string{"HOST_LOOKUP", "host_found", "CONNECTING", "tcp_connected", "CONNECTED"}
				if before {
					switching(t, c, k.session())
				} else {
					k.event("mode_changed")
					want = append(want, "mode_changed", "HANDSHAKING")
				}
				_, err := io.ReadFull(peer, make([]byte, 1))
				require.NoError(t, err)
				if !before { // all of the hello: what is unread would make a FIN an RST
					require.NoError(t, readRecord(peer))
				}
				tc.act(world{t, k, peer})
				if before && tc.byPeer { // nobody reads: it is met when the last byte has come
					k.write([]byte("y"))
				}
				closed := k.closed()
				if before && name == "the peer's FIN" {
					want = append(want, "mode_changed", "HANDSHAKING")
				}
				if tc.failure != "" {
					want = append(want, "io_error")
				}
				kinds := k.kinds()
				for i, e := range k.events {
					if e.GetClosed() != nil {
						kinds = kinds[:i+1]
						break
					}
				}
				require.Equal(t, append(want, "UNCONNECTED", "closed"), kinds)
				require.Equal(t, tc.cause, closed.GetCause())
				if tc.failure == "" {
					require.Nil(t, closed.GetFailure())
				} else {
					require.Equal(t, tc.failure, nameOf(closed.GetFailure().GetReason()))
				}
				require.Equal(t, tc.outcome, reasonOf(t, outcome(t, done)))
				if tc.failure == "" {
					_, err := readEnd(t, peer)
					if tc.reset {
						require.ErrorIs(t, err, syscall.ECONNRESET)
					} else {
						require.NoError(t, err)
					}
				}
			})
		}
	}
}

// readRecord reads one TLS record.
func readRecord(conn net.Conn) error {
	head := make([]byte, 5)
	if _, err := io.ReadFull(conn, head); err != nil {
		return err
	}
	_, err := io.CopyN(io.Discard, conn, int64(head[3])<<8|int64(head[4]))
	return err
}
