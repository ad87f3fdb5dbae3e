package server_test

import (
	"context"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"
	"google.golang.org/protobuf/proto"

	pb "securesocket/gen/securesocket/v1"
	"securesocket/server/servertest"
	"securesocket/session"
	"securesocket/tlsengine/tlstest"
)

// What a ring holds beyond a budget that is used up: the chunk that it may always
// have, and the one that was being read.
const beyondBudget = 2 * 64 << 10

// sending is a peer that sends so many bytes of noise, to everybody.
func sending(tb testing.TB, size int) string {
	tb.Helper()
	return tlstest.ServeRaw(tb, func(conn net.Conn) {
		if _, err := conn.Write(noise()[:size]); err == nil {
			_, _ = conn.Read(make([]byte, 1)) // it leaves the end to the others
		}
	})
}

// hoarder opens a resumable plain session whose bytes its caller takes and never acks,
// so that they stay in its ring of 1 MiB.
func hoarder(ctx context.Context, tb testing.TB, c pb.SecureSocketServiceClient, addr string) *caller {
	tb.Helper()
	host, port := hostPort(tb, addr)
	k := start(ctx, tb, c, openFrame(&pb.Open{Host: host, Port: port, Plain: true, AttachSeq: 1, Settings: &pb.SessionSettings{Resumable: proto.Bool(true)}}))
	k.event("CONNECTED")
	return k
}

// rests waits until what is buffered stands still, and returns it.
func rests(tb testing.TB, svc *servertest.Service) int64 {
	tb.Helper()
	return settled(tb, func() int64 { return svc.Registry.Stats().Buffered })
}

// A caller's sessions share his budget. Beyond it each has a chunk, over which all its
// bytes come; and when there is memory again, it has its whole ring.
func TestLimitOfBufferedBytes(t *testing.T) {
	t.Parallel()
	const budget, sessions, size = 2 << 20, 12, 3 << 20
	for name, change := range map[string]func(*session.Config){
		"of a caller":    func(sc *session.Config) { sc.MaxBufferedPerOwner = budget },
		"of the service": func(sc *session.Config) { sc.MaxBuffered = budget },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			svc := servertest.Start(t, limited(change)...)
			c, addr := svc.Client(t), sending(t, size)
			var callers []*caller
			for range sessions {
				callers = append(callers, hoarder(t.Context(), t, c, addr))
			}
			held := rests(t, svc)
			require.Greater(t, held, int64(budget*3/4), "the budget is there to be used")
			require.LessOrEqual(t, held, int64(budget+sessions*beyondBudget), "instead of %d", sessions<<20)

			if name == "of a caller" {
				k := hoarder(servertest.As(t.Context(), "other"), t, c, addr)
				require.Greater(t, rests(t, svc)-held, int64(1<<20-beyondBudget), "another caller has his whole ring")
				k.cancel()
				deleteAll(servertest.As(t.Context(), "other"), t, c)
			}

			// All of it comes over what each has, while none of it is freed by the others' end.
			var g errgroup.Group
			for _, k := range callers[1:] {
				g.Go(func() error {
					for len(k.data) < size {
						if err := k.next(); err != nil {
							return err
						}
						k.ack()
					}
					require.Equal(t, noise()[:size], k.data)
					return nil
				})
			}
			require.NoError(t, g.Wait())
			require.LessOrEqual(t, svc.Registry.Stats().Buffered, int64(budget+sessions*beyondBudget))

			// The last one has had a chunk, and acks what it got: its ring fills to its own bound.
			last := callers[0]
			last.until(func() bool { return len(last.data) >= 64<<10 })
			last.ack()
			require.Greater(t, rests(t, svc), int64(1<<20-beyondBudget))
			deleteAll(t.Context(), t, c)
			givenBack(t, svc)
		})
	}
}

// deleteAll deletes a caller's sessions.
func deleteAll(ctx context.Context, tb testing.TB, c pb.SecureSocketServiceClient) {
	tb.Helper()
	list, err := c.ListSessions(ctx, &pb.ListSessionsRequest{PageSize: 1000})
	require.NoError(tb, err)
	for _, s := range list.GetSessions() {
		_, err := c.DeleteSession(ctx, &pb.DeleteSessionRequest{SessionId: s.GetSessionId()})
		require.NoError(tb, err)
	}
}

// A caller whose budget is used up can still send, and is told so: his send_limit goes
// on, a chunk at a time, and never back.
func TestLimitOfBufferedBytesOfASender(t *testing.T) {
	t.Parallel()
	const size = 2 << 20
	got := make(chan []byte, 1)
	sink := tlstest.ServeRaw(t, func(conn net.Conn) {
		all := make([]byte, 0, size)
		for len(all) < size {
			n, err := conn.Read(all[len(all):size])
			if err != nil {
				break
			}
			all = all[:len(all)+n]
		}
		got <- all
		_, _ = conn.Read(make([]byte, 1))
	})
	svc := servertest.Start(t, limited(func(sc *session.Config) { sc.MaxBufferedPerOwner = 256 << 10 })...)
	c := svc.Client(t)
	hoarder(t.Context(), t, c, sending(t, size)) // it uses up the budget
	require.Greater(t, rests(t, svc), int64(256<<10))
	k := hoarder(t.Context(), t, c, sink)
	limit := k.attached.GetSendLimit()
	for k.sent < size {
		k.until(func() bool {
			if now := k.progress.GetSendLimit(); k.progress != nil {
				require.GreaterOrEqual(t, now, limit, "what was promised stays true")
				limit = now
			}
			return limit > k.sent
		})
		k.write(noise()[k.sent:min(size, limit)])
	}
	select {
	case all := <-got:
		require.Equal(t, noise()[:size], all)
	case <-time.After(patience):
		require.Fail(t, "the bytes did not come")
	}
	deleteAll(t.Context(), t, c)
	givenBack(t, svc)
}
