package server_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	pb "securesocket/gen/securesocket/v1"
)

// echoAccepted serves one accepted session as an echo, with TLS first where that
// is the owner's to begin.
func (w *listenerWorld) echoAccepted(got *pb.AcceptResponse, startTLS bool) error {
	k := w.attach(got)
	if startTLS {
		k.send(startTLSFrame(pb.TlsRole_TLS_ROLE_SERVER, 0, 0))
		k.secure()
		k.data = nil // what came of the hello before the service knew what it is
	}
	for echoed := 0; ; {
		if len(k.data) > echoed {
			k.write(k.data[echoed:])
			echoed = len(k.data)
		}
		if n := len(k.events); n > 0 && k.events[n-1].GetRemoteClosed() != nil {
			k.finish()
			return k.end()
		}
		if err := k.next(); err != nil {
			return err
		}
	}
}

// echoes sends what it wants back, and ends its half.
func echoes(ctx context.Context, addr string, config *tls.Config, want string) error {
	raw, err := dialer.DialContext(ctx, "tcp", addr)
	if err != nil {
		return err
	}
	conn := tls.Client(raw, config)
	defer conn.Close()
	if _, err := io.WriteString(conn, want); err != nil {
		return err
	}
	if err := conn.CloseWrite(); err != nil {
		return err
	}
	got, err := io.ReadAll(conn)
	if err == nil && string(got) != want {
		err = fmt.Errorf("%d bytes of %d came back", len(got), len(want))
	}
	return err
}

func TestFiveHundredAcceptedSessionsAtOnce(t *testing.T) {
	t.Parallel()
	const sessions = 500
	for name, startTLS := range map[string]bool{"start_tls_on_accept": false, "plain and StartTls": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := secureListener(t, nil, backlog(64), func(m *pb.ListenRequest) { m.StartTlsOnAccept = !startTLS })
			a := w.accept(32)
			var peers, callers errgroup.Group
			callers.Go(func() error {
				for range sessions {
					got, err := a.stream.Recv()
					if err != nil {
						return err
					}
					callers.Go(func() error { return w.echoAccepted(got, startTLS) })
				}
				return nil
			})
			config := w.clientConfig()
			for i := range sessions {
				peers.Go(func() error {
					return echoes(t.Context(), localAddr(w.l), config, fmt.Sprintf("session %d of many;", i))
				})
			}
			require.NoError(t, peers.Wait())
			require.NoError(t, callers.Wait())
			require.EqualValues(t, sessions, w.look().GetAcceptedCount())
			w.pending(0)
			w.empty()
			w.nothingMore(a)
		})
	}
}

// Hundreds that say nothing take nobody's turn for longer than handshake_timeout,
// and leave nothing. Not parallel: it counts what the process holds.
func TestHundredsThatSayNothing(t *testing.T) {
	const silent = 300
	w := secureListener(t, nil, backlog(1024))
	a := w.accept(0)
	w.talks(w.dial(), w.attach(a.next()))
	_, err := w.c.DeleteSession(t.Context(), &pb.DeleteSessionRequest{SessionId: w.sessions()[0].GetSessionId()})
	require.NoError(t, err)
	w.empty()
	goroutines, fds := runtime.NumGoroutine(), descriptors(t)
	var conns []net.Conn
	for range silent {
		conns = append(conns, w.dialPlain())
	}
	w.pending(silent)
	peer := w.dial()
	k := w.attach(a.next())
	w.talks(peer, k)
	for i, conn := range conns { // half of them end, half are reset
		if i%2 == 0 {
			require.NoError(t, conn.(*net.TCPConn).SetLinger(0))
		}
		require.NoError(t, conn.Close())
	}
	w.pending(0)
	w.talks(peer, k)
	require.Len(t, w.sessions(), 1)
	k.cancel()
	_ = k.end()
	w.empty()
	_ = peer.Close()
	require.Eventually(t, func() bool { return descriptors(t) <= fds && runtime.NumGoroutine() <= goroutines+2 }, patience, 20*time.Millisecond,
		"%d goroutines before", goroutines)
	w.nothingMore(a)
}

// Peers that come and go in every way while readers take turns leave nothing.
func TestComingAndGoing(t *testing.T) {
	t.Parallel()
	const peers = 200
	w := plainListener(t, claimingSoon, backlog(16))
	ctx := t.Context()
	var readers, visitors errgroup.Group
	for range 2 {
		readers.Go(func() error {
			for {
				a := w.accept(4)
				for n := 0; ; n++ {
					got, err := a.stream.Recv()
					switch {
					case errors.Is(err, io.EOF), infoReason(err) == "LISTENER_NOT_FOUND":
						return nil
					case infoReason(err) == "SUPERSEDED":
					case err != nil:
						return err
					}
					if err != nil {
						break
					}
					if n%3 == 0 {
						_, _ = w.c.DeleteSession(ctx, &pb.DeleteSessionRequest{SessionId: got.GetSession().GetSessionId()})
					}
				}
				a.cancel()
			}
		})
	}
	visitors.SetLimit(32)
	for i := range peers {
		visitors.Go(func() error {
			conn, err := dialer.DialContext(ctx, "tcp", localAddr(w.l))
			if err != nil {
				return err
			}
			defer conn.Close()
			switch i % 4 {
			case 0:
				return conn.(*net.TCPConn).SetLinger(0)
			case 1:
				return nil
			case 2:
				_, err = conn.Write([]byte("hello"))
				return err
			}
			_ = conn.SetReadDeadline(time.Now().Add(patience))
			_, _ = conn.Read(make([]byte, 1)) // until the service ends it
			return nil
		})
	}
	require.NoError(t, visitors.Wait())
	w.empty()
	w.pending(0)
	require.EqualValues(t, peers, w.look().GetAcceptedCount())
	w.close()
	require.NoError(t, readers.Wait())
}
