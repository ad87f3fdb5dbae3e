package server_test

import (
	"context"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	pb "securesocket/gen/securesocket/v1"
	"securesocket/server"
	"securesocket/server/servertest"
	"securesocket/session"
	"securesocket/session/quota"
)

// nextAddr leads a name elsewhere each time.
type nextAddr struct{ n atomic.Int64 }

func (r *nextAddr) LookupNetIP(context.Context, string, string) ([]netip.Addr, error) {
	n := r.n.Add(1)
	return []netip.Addr{netip.AddrFrom4([4]byte{127, 9, byte(n >> 8), byte(n)})}, nil
}

// One name is many destinations where it leads to many.
func TestLimitOfDestinationsByAddress(t *testing.T) {
	t.Parallel()
	const burst = 5
	var dialled sync.Map
	var n atomic.Int64
	svc := servertest.Start(t, servertest.AllowEgress(t, "127.0.0.0/8", "scan.test"), func(sc *session.Config, _ *server.Config) {
		sc.DestinationsPerOwner = quota.Limit{PerSecond: 1, Burst: burst}
		sc.Resolver = new(nextAddr)
		sc.Dial = func(ctx context.Context, d *net.Dialer, addr string) (net.Conn, error) {
			if _, old := dialled.LoadOrStore(addr, true); !old {
				n.Add(1)
			}
			return d.DialContext(ctx, "tcp", addr)
		}
	})
	c := svc.Client(t)
	s := newIdle(t.Context(), t, c, nil)
	limited := 0
	for range 100 {
		_, err := c.Connect(t.Context(), &pb.ConnectRequest{SessionId: s.id, Host: "scan.test", Port: 22})
		if reasonOf(t, err) == "LIMIT" {
			limited++
		}
	}
	require.Greater(t, limited, 50)
	require.Less(t, n.Load(), int64(50))
	require.GreaterOrEqual(t, n.Load(), int64(burst-1), "the name is one, and the first addresses the others")
}

// many is a name with as many addresses as are tried.
type many struct{}

func (many) LookupNetIP(context.Context, string, string) (out []netip.Addr, _ error) {
	for i := range 16 {
		out = append(out, netip.AddrFrom4([4]byte{127, 9, 1, byte(i)}))
	}
	return out, nil
}

// Sockets that are tried side by side are counted, each of them.
func TestDescriptorsOfOneConnect(t *testing.T) {
	t.Parallel()
	d := quota.NewDescriptors(quota.DescriptorsConfig{Soft: 1000, InUse: 1})
	var open atomic.Int64
	svc := servertest.Start(t, servertest.AllowEgress(t, "127.0.0.0/8", "many.test"), func(sc *session.Config, _ *server.Config) {
		sc.Resolver, sc.Descriptors = many{}, d
		sc.Dial = func(ctx context.Context, _ *net.Dialer, _ string) (net.Conn, error) {
			open.Add(1)
			defer open.Add(-1)
			<-ctx.Done() // a black hole
			return nil, ctx.Err()
		}
	})
	c := svc.Client(t)
	s := newIdle(t.Context(), t, c, nil)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		_, err := c.Connect(ctx, &pb.ConnectRequest{SessionId: s.id, Host: "many.test", Port: 22})
		done <- err
	}()
	require.Eventually(t, func() bool { return open.Load() >= 4 }, patience, 5*time.Millisecond)
	require.LessOrEqual(t, open.Load(), d.Total(), "sockets at once against descriptors counted")
	cancel()
	require.Error(t, <-done)
	require.Eventually(t, func() bool { return d.Total() == 0 }, patience, 5*time.Millisecond)
}

// Who hoards loses his own first, however young they are.
func TestHoardersAreShedFirst(t *testing.T) {
	t.Parallel()
	const ring, size = 1 << 20, 2 << 20
	svc := servertest.Start(t, limited(func(sc *session.Config) {
		sc.MaxBuffered, sc.DetachedShare = 20<<20, 12 // room for two rings
	})...)
	c, addr := svc.Client(t), sending(t, size)
	victim := servertest.As(t.Context(), "victim")
	v := hoarder(victim, t, c, addr)
	v.until(func() bool { return len(v.data) >= ring/4 })
	v.cancel()
	gone := 0
	var hoard []*caller
	for range 4 {
		k := hoarder(t.Context(), t, c, addr)
		k.until(func() bool { return len(k.data) >= ring/4 })
		k.cancel()
		hoard = append(hoard, k)
	}
	require.Eventually(t, func() bool {
		gone = 0
		for _, k := range hoard {
			if _, err := c.GetSession(t.Context(), &pb.GetSessionRequest{SessionId: k.session().id}); err != nil {
				gone++
			}
		}
		return gone >= 2
	}, patience, 5*time.Millisecond)
	_, err := c.GetSession(victim, &pb.GetSessionRequest{SessionId: v.session().id})
	require.NoError(t, err, "one ring of the two that there may be")
	deleteAll(victim, t, c)
	deleteAll(t.Context(), t, c)
}

// A limit is told instead of `attached`, and leaves no session.
func TestLimitOfAnOpen(t *testing.T) {
	t.Parallel()
	svc := servertest.Start(t, func(sc *session.Config, _ *server.Config) {
		sc.DestinationsPerOwner = quota.Limit{PerSecond: 1, Burst: 1}
	})
	c := svc.Client(t)
	addr, ca := echoServer(t)
	k := open(t, c, addr, ca)
	k.secure()
	k.cancel()
	other, _ := echoServer(t)
	host, port := hostPort(t, other)
	k = start(t.Context(), t, c, openFrame(&pb.Open{Host: host, Port: port, AttachSeq: 1, RequestId: "one"}))
	require.Equal(t, "LIMIT", reasonOf(t, k.end()))
	require.Nil(t, k.attached)
	list, err := c.ListSessions(t.Context(), &pb.ListSessionsRequest{})
	require.NoError(t, err)
	for _, s := range list.GetSessions() {
		require.NotEqual(t, port, s.GetPort())
	}
}
