package door_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"

	"securesocket/server/door"
)

// TestRPCsAreCounted: those of a caller over all of his connections, and those of all.
func TestRPCsAreCounted(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		cfg  door.Config
		want door.LimitError
	}{
		"a caller's":  {door.Config{RPCsPerCaller: 3}, door.LimitError{What: door.LimitRPCsPerCaller, Limit: 3}},
		"all callers": {door.Config{RPCs: 3}, door.LimitError{What: door.LimitRPCs, Limit: 3}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				d := door.New(tc.cfg)
				l := &fakeListener{conns: make(chan result, 1)}
				enter := func() *door.Ticket {
					ticket := accept(t, d, l).DoorTicket()
					require.NoError(t, ticket.Claim("anna"))
					return ticket
				}
				a, b := enter(), enter()
				first, endFirst := context.WithCancel(t.Context())
				rest, endRest := context.WithCancel(t.Context())
				defer endRest()
				full := func() {
					t.Helper()
					for _, ticket := range []*door.Ticket{a, b} {
						var limit *door.LimitError
						require.ErrorAs(t, ticket.Begin(rest), &limit)
						require.Equal(t, tc.want, *limit)
					}
				}
				require.NoError(t, a.Begin(first))
				require.NoError(t, a.Begin(rest))
				require.NoError(t, b.Begin(rest))
				full()
				endFirst()
				synctest.Wait()
				require.NoError(t, b.Begin(rest))
				full()
				require.NoError(t, enter().Claim("bert"), "it is anna's, and claimed")
				full()
				endRest()
				synctest.Wait()
				after, endAfter := context.WithCancel(t.Context())
				defer endAfter()
				for range 3 {
					require.NoError(t, b.Begin(after))
				}
				require.Error(t, b.Begin(after))
			})
		})
	}
}

// TestRPCsOfStrangersAreCounted: all together have a limit, which keeps nobody from his
// first ones.
func TestRPCsOfStrangersAreCounted(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := door.New(door.Config{RPCs: 20})
		l := &fakeListener{conns: make(chan result, 1)}
		eve := accept(t, d, l).DoorTicket()
		brief, end := context.WithCancel(t.Context())
		for range 6 {
			require.NoError(t, eve.Begin(t.Context()))
		}
		first := accept(t, d, l).DoorTicket()
		for range 4 {
			require.NoError(t, first.Begin(brief))
		}
		require.Error(t, eve.Begin(t.Context()))
		require.NoError(t, first.Claim("bert"))
		for range 4 {
			require.NoError(t, eve.Begin(t.Context()), "there is the room of those who were claimed")
		}
		end()
		synctest.Wait()
		ctx, cancel := context.WithCancel(t.Context())
		newcomer := accept(t, d, l).DoorTicket()
		full := func() {
			t.Helper()
			for _, ticket := range []*door.Ticket{eve, newcomer} {
				var limit *door.LimitError
				require.ErrorAs(t, ticket.Begin(t.Context()), &limit)
				require.Equal(t, door.LimitError{What: door.LimitRPCs, Limit: 10}, *limit)
			}
		}
		for range 4 {
			require.NoError(t, newcomer.Begin(ctx))
		}
		full()
		require.NoError(t, newcomer.Claim("anna"), "and then they are a caller's")
		for range 16 {
			require.NoError(t, newcomer.Begin(ctx))
		}
		require.Error(t, newcomer.Begin(ctx), "they are 20")
		require.NoError(t, accept(t, d, l).DoorTicket().Begin(ctx))
		cancel()
		synctest.Wait()
		newcomer = accept(t, d, l).DoorTicket()
		for range 4 {
			require.NoError(t, newcomer.Begin(t.Context()))
		}
		full()
	})
}

// TestRPCsBeginAndEndBesideEachOther where there is room for few of them, on many
// connections, some of which are claimed meanwhile.
func TestRPCsBeginAndEndBesideEachOther(t *testing.T) {
	t.Parallel()
	d := door.New(door.Config{RPCs: 8, RPCsPerCaller: 3, PerAddress: 100})
	l := &fakeListener{conns: make(chan result, 1)}
	var wg sync.WaitGroup
	defer wg.Wait()
	for i := range 9 {
		ticket := accept(t, d, l).DoorTicket()
		wg.Go(func() {
			for n := range 50_000 {
				ctx, cancel := context.WithCancel(t.Context())
				var limit *door.LimitError
				if err := ticket.Begin(ctx); err != nil && !errors.As(err, &limit) {
					t.Error(err)
				}
				if n == 40_000 && i%3 > 0 {
					_ = ticket.Claim([]string{"", "anna", "bert"}[i%3])
				}
				cancel()
			}
		})
	}
	wg.Wait()
	fits := func(ticket *door.Ticket, want int) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		n := 0
		eventually(t, func() bool { // the last ones end
			if ticket.Begin(ctx) == nil {
				n++
			}
			return n == want
		})
		require.Error(t, ticket.Begin(ctx))
	}
	fits(accept(t, d, l).DoorTicket(), 4)
	anna := accept(t, d, l).DoorTicket()
	require.NoError(t, anna.Claim("anna"))
	fits(anna, 3)
}

func TestVisitsOfAConnectionAreBounded(t *testing.T) {
	t.Parallel()
	d := door.New(door.Config{})
	addr := serve(t, d, listen(t, "tcp"), insecure.NewCredentials())
	c := client(t, addr, "", nil)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	watch := func() error {
		s, err := c.Watch(ctx, &healthpb.HealthCheckRequest{})
		require.NoError(t, err)
		_, err = s.Recv()
		return err
	}
	for range 32 {
		require.NoError(t, watch())
	}
	require.Error(t, watch())
	require.Error(t, check(ctx, c))
	require.NoError(t, check(as(ctx, "anna"), c), "what is no visit goes on")
	cancel()
	eventually(t, func() bool { return status.Code(check(t.Context(), c)) == codes.OK })
}
