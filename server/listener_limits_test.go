package server_test

import (
	"context"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	pb "securesocket/gen/securesocket/v1"
	"securesocket/server"
	"securesocket/server/servertest"
	"securesocket/session"
)

func limited(f func(*session.Config)) []servertest.Option {
	return []servertest.Option{func(sc *session.Config, _ *server.Config) { f(sc) }}
}

func TestTooManyListeners(t *testing.T) {
	t.Parallel()
	w := plainListener(t, limited(func(sc *session.Config) { sc.MaxListeners, sc.MaxListenersPerOwner = 3, 2 }))
	other := servertest.As(t.Context(), "other")
	listen := func(ctx context.Context) error {
		_, err := w.lc.Listen(ctx, &pb.ListenRequest{Address: "127.0.0.1"})
		return err
	}
	require.NoError(t, listen(t.Context()))
	for range 2 {
		require.Equal(t, "LIMIT", reasonOf(t, listen(t.Context())), "of a caller")
	}
	require.NoError(t, listen(other))
	require.Equal(t, "LIMIT", reasonOf(t, listen(other)), "of the service")
	w.close()
	require.NoError(t, listen(other))
}

// Callers who take all that they may leave some to those who come after them.
func TestLimitOfListenersLeavesRoomForNewcomers(t *testing.T) {
	t.Parallel()
	w := plainListener(t, limited(func(sc *session.Config) { sc.MaxListeners, sc.MaxListenersPerOwner = 16, 10 }))
	listens := func(owner, what, limit string) (n int) {
		t.Helper()
		for {
			_, err := w.lc.Listen(servertest.As(t.Context(), owner), &pb.ListenRequest{Address: "127.0.0.1"})
			if err != nil {
				requireLimit(t, err, what, limit, false)
				return n
			}
			n++
		}
	}
	require.Equal(t, 10, listens("anna", "listeners of a caller", "10"))
	require.Equal(t, 4, listens("bert", "listeners", "15"), "there is one of the test's")
	require.Equal(t, 1, listens("cleo", "listeners", "15"))
	require.Zero(t, listens("dora", "listeners", "16"))
	w.close()
	require.Equal(t, 1, listens("dora", "listeners", "15"))
}

// A connection for which there is no room is reset, and the listener goes on.
func TestNoRoomForAnAcceptedSession(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*session.Config){
		"of a caller":    func(sc *session.Config) { sc.MaxSessionsPerOwner = 2 },
		"of the service": func(sc *session.Config) { sc.MaxSessions = 2 },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := plainListener(t, limited(change))
			a := w.accept(0)
			first, second := w.dialPlain(), w.dialPlain()
			k, l := w.attach(a.next()), w.attach(a.next())
			if k.attached.GetSession().GetRemote().GetPort() != portOf(first) {
				k, l = l, k
			}
			for range 3 {
				w.turnedAway()
			}
			w.talks(first, k)
			w.talks(second, l)
			require.NoError(t, first.CloseWrite())
			k.finish()
			require.NoError(t, k.end())
			third := w.dialPlain()
			w.talks(third, w.attach(a.next()))
			require.EqualValues(t, 3, w.look().GetAcceptedCount(), "only those that became sessions")
			w.nothingMore(a)
		})
	}
}

// turnedAway is a peer that is reset, as soon as it is there.
func (w *listenerWorld) turnedAway() {
	w.tb.Helper()
	conn, err := dialer.DialContext(w.tb.Context(), "tcp", localAddr(w.l))
	if err == nil {
		defer conn.Close()
		require.NoError(w.tb, conn.SetReadDeadline(time.Now().Add(patience)))
		_, err = conn.Read(make([]byte, 1))
	}
	require.ErrorIs(w.tb, err, syscall.ECONNRESET)
}
