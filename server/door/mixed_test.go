package door_test

import (
	"context"
	"fmt"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"

	"securesocket/server/door"
)

// TestCountsAreExactAfterAllEnds: RPCs that end in every way there is leave nothing
// behind, and take nothing away.
func TestCountsAreExactAfterAllEnds(t *testing.T) {
	t.Parallel()
	const perCaller, all, workers = 12, 20, 24
	rpcs := 100_000
	if testing.Short() {
		rpcs /= 10
	}
	d := door.New(door.Config{RPCs: all, RPCsPerCaller: perCaller, PerAddress: 1000, FrameBurst: 1 << 20, FramesPerSecond: 1 << 30})
	l := listen(t, "tcp")
	addr := serve(t, d, l, insecure.NewCredentials())
	callers := []string{"", "anna", "bert", "carl"}
	var wg sync.WaitGroup
	var ended [4]atomic.Int64 // well, refused, for their time, for anything else
	for worker := range workers {
		caller := callers[worker%len(callers)]
		ctx := t.Context()
		if caller != "" {
			ctx = as(ctx, caller)
		}
		wg.Go(func() {
			var cc *grpc.ClientConn
			var conn atomic.Pointer[net.Conn]
			for n := range rpcs / workers {
				if cc == nil || n%500 == 0 {
					if cc != nil {
						_ = cc.Close()
					}
					cc = dial(t, addr, &conn)
				}
				err := mixed(ctx, healthpb.NewHealthClient(cc), n, func() {
					if c := conn.Load(); c != nil {
						_ = (*c).Close()
					}
				})
				switch status.Code(err) {
				case codes.OK:
					ended[0].Add(1)
				case codes.ResourceExhausted:
					ended[1].Add(1)
				case codes.DeadlineExceeded:
					ended[2].Add(1)
				default:
					ended[3].Add(1)
				}
			}
			_ = cc.Close()
		})
	}
	wg.Wait()
	for i := range ended {
		require.Positive(t, ended[i].Load(), "way %d to end", i)
	}
	eventually(t, func() bool { return d.Stats().Open == 0 })
	require.Zero(t, d.Stats().Unfinished)

	fake := &fakeListener{conns: make(chan result, 1)}
	fits := func(ticket *door.Ticket, want int) {
		t.Helper()
		n := 0
		eventually(t, func() bool { // contexts end a little after their RPCs
			if ticket.Begin(t.Context()) == nil {
				n++
			}
			return n == want
		})
		require.Error(t, ticket.Begin(t.Context()))
	}
	for i, want := range []int{all / 2, perCaller, all - perCaller - 1, 1} { // the last one is for who has none
		ticket := accept(t, d, fake).DoorTicket()
		if callers[i] != "" {
			require.NoError(t, ticket.Claim(callers[i]))
		}
		fits(ticket, want)
	}
}

// dial returns a client that shows its last connection in at.
func dial(tb testing.TB, addr net.Addr, at *atomic.Pointer[net.Conn]) *grpc.ClientConn {
	tb.Helper()
	cc, err := grpc.NewClient("passthrough:///"+addr.String(), grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithConnectParams(grpc.ConnectParams{MinConnectTimeout: time.Second}),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) {
			conn, err := new(net.Dialer).DialContext(ctx, addr.Network(), addr.String())
			if err == nil {
				at.Store(&conn)
			}
			return conn, err
		}))
	if err != nil {
		tb.Error(err)
	}
	return cc
}

// mixed makes the n-th RPC.
func mixed(ctx context.Context, c healthpb.HealthClient, n int, kill func()) error {
	var cancel context.CancelFunc = func() {}
	switch n % 11 {
	case 1, 6:
		ctx, cancel = context.WithTimeout(ctx, time.Duration(n%7)*100*time.Microsecond)
	case 2, 7:
		ctx, cancel = context.WithCancel(ctx)
		time.AfterFunc(time.Duration(n%5)*50*time.Microsecond, cancel)
	}
	defer cancel()
	if n%3 == 0 {
		_, err := c.Check(ctx, &healthpb.HealthCheckRequest{Service: strings.Repeat("x", n%40_000)})
		if status.Code(err) == codes.NotFound { // nobody has such a service
			err = nil
		}
		return err
	}
	ctx, end := context.WithCancel(ctx)
	defer end()
	s, err := c.Watch(ctx, &healthpb.HealthCheckRequest{Service: fmt.Sprint(n)})
	if err == nil {
		_, err = s.Recv()
	}
	if n%301 == 0 {
		kill()
	}
	return err
}
