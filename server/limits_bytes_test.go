package server_test

import (
	"context"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	pb "securesocket/gen/securesocket/v1"
	"securesocket/server/servertest"
	"securesocket/session"
	"securesocket/session/quota"
	"securesocket/tlsengine/tlstest"
)

// Bytes are delayed, never refused, and never come before their time: what the shaper
// has let through is at most the burst and what the rate allows since.
func TestLimitOfBytes(t *testing.T) {
	t.Parallel()
	const rate, burst, size = 1 << 20, 128 << 10, 640 << 10
	// What was received is paid for before more is read, and each piece of a frame's
	// size when its turn comes.
	const slack = 2 * 64 << 10
	each := quota.Limit{PerSecond: rate, Burst: burst}
	for name, change := range map[string]func(*session.Config){
		"of a caller":    func(sc *session.Config) { sc.BytesPerOwner = each },
		"of the service": func(sc *session.Config) { sc.Bytes = each },
	} {
		for direction, up := range map[string]bool{"to the peer": true, "from the peer": false} {
			t.Run(name+", "+direction, func(t *testing.T) {
				t.Parallel()
				received := make(chan time.Time, 2)
				addr := tlstest.ServeRaw(t, func(conn net.Conn) {
					if up {
						_, _ = io.CopyN(io.Discard, conn, size)
						received <- time.Now()
						return
					}
					_, _ = conn.Write(noise()[:size])
				})
				svc := servertest.Start(t, limited(change)...)
				c := svc.Client(t)
				began := time.Now()
				// Two sessions of one caller have no more than one.
				var wg sync.WaitGroup
				for range 2 {
					k := open(t, c, addr, nil, plainly)
					wg.Go(func() {
						if up {
							k.write(noise()[:size])
						} else {
							k.until(func() bool { return len(k.data) == size })
							received <- time.Now()
						}
					})
				}
				wg.Wait()
				<-received
				last := <-received
				require.GreaterOrEqual(t, last.Sub(began), time.Second*(2*size-burst-2*slack)/rate)
			})
		}
	}
}

// Whoever uses up his bytes delays himself alone; and who waits for his turn can leave.
func TestLimitOfBytesIsNobodyElses(t *testing.T) {
	t.Parallel()
	addr := tlstest.ServeRaw(t, func(conn net.Conn) { _, _ = io.Copy(conn, conn) })
	svc := servertest.Start(t, limited(func(sc *session.Config) { sc.BytesPerOwner = quota.Limit{PerSecond: 2 << 10, Burst: 64 << 10} })...)
	c := svc.Client(t)
	host, port := hostPort(t, addr)
	openAs := func(ctx context.Context) *caller {
		k := start(ctx, t, c, openFrame(&pb.Open{Host: host, Port: port, Plain: true}))
		k.event("CONNECTED")
		return k
	}
	greedy := openAs(servertest.As(t.Context(), "greedy"))
	const much = 200 << 10 // more than a minute, to the peer alone
	greedy.write(noise()[:much])
	for range 3 {
		k := openAs(servertest.As(t.Context(), "modest"))
		k.write([]byte("a word"))
		k.until(func() bool { return string(k.data) == "a word" })
		k.cancel()
	}
	greedy.send(closeFrame(pb.CloseSocket_HOW_ABORT))
	require.Less(t, greedy.closed().GetReceivedBytes(), int64(much), "nobody has waited for the greedy one's bytes, nor he himself")
	greedy.cancel()
	givenBack(t, svc)
}
