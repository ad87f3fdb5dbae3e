package door_test

import (
	"context"
	"strconv"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"
	"golang.org/x/net/http2"

	"securesocket/server/door"
)

// claims lets a caller's connection in, from an address that nobody else has.
func claims(t *testing.T, d *door.Door, caller string) *visitor {
	t.Helper()
	v := visit(t, d, "192.0.2.1")
	require.NotNil(t, v)
	require.NoError(t, v.ticket().Claim(caller))
	return v
}

// fills starts RPCs on some connections in turn until one is refused, and says how many.
func fills(ctx context.Context, t *testing.T, want door.LimitError, on ...*visitor) (n int) {
	t.Helper()
	for {
		if err := on[n%len(on)].ticket().Begin(ctx); err != nil {
			var limit *door.LimitError
			require.ErrorAs(t, err, &limit)
			require.Equal(t, want, *limit)
			return n
		}
		n++
	}
}

// TestGreedyCallersLeaveRPCsToOthers: those who take all that they may, over as many
// connections as they like.
func TestGreedyCallersLeaveRPCsToOthers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := door.New(door.Config{})
		own := door.LimitError{What: door.LimitRPCsPerCaller, Limit: 3024}
		all := door.LimitError{What: door.LimitRPCs, Limit: 41_340}
		for range 2 { // what has ended is there again, all of it
			ctx, end := context.WithCancel(t.Context())
			var first *visitor
			for i := range 15 {
				name := "greedy " + strconv.Itoa(i)
				on := []*visitor{claims(t, d, name), claims(t, d, name)}
				switch n := fills(ctx, t, map[bool]door.LimitError{true: own, false: all}[i < 13], on...); i {
				case 13:
					require.Equal(t, 41_340-13*3024, n)
				case 14:
					require.Equal(t, 43, n)
				default:
					require.Equal(t, 3024, n)
				}
				on = append(on, claims(t, d, name))
				require.Error(t, on[2].ticket().Begin(ctx), "another connection changes nothing")
				if i == 0 {
					first = on[2]
				}
				if i == 13 { // what is not kept is taken, exactly
					require.Equal(t, 43, fills(ctx, t, all, visit(t, d, "192.0.2.1")))
				}
			}
			require.Zero(t, fills(ctx, t, own, first), "his own limit is named first")
			for i := range 62 {
				name := "newcomer " + strconv.Itoa(i)
				require.Equal(t, 43, fills(ctx, t, all, claims(t, d, name), claims(t, d, name)))
			}
			late := visit(t, d, "192.0.2.1")
			require.Equal(t, 43, fills(ctx, t, all, late), "one who opens many at once has not too many")
			require.NoError(t, late.ticket().Claim("late"))
			require.NoError(t, late.Close())
			end()
			synctest.Wait()
		}
	})
}

// TestWhatBeganBeforeTheClaimIsCounted: who opens RPCs first, and says then who he is, has
// no more than others.
func TestWhatBeganBeforeTheClaimIsCounted(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := door.New(door.Config{RPCs: 100, RPCsPerCaller: 20})
		ctx, end := context.WithCancel(t.Context())
		first, second, third := visit(t, d, "192.0.2.1"), visit(t, d, "192.0.2.1"), visit(t, d, "192.0.2.1")
		for _, n := range []struct {
			v    *visitor
			rpcs int
		}{{first, 15}, {second, 6}, {third, 5}} {
			for range n.rpcs {
				require.NoError(t, n.v.ticket().Begin(ctx))
			}
		}
		require.NoError(t, first.ticket().Claim("eve"))
		var limit *door.LimitError
		require.ErrorAs(t, second.ticket().Claim("eve"), &limit)
		require.Equal(t, door.LimitError{What: door.LimitRPCsPerCaller, Limit: 20}, *limit)
		require.NoError(t, third.ticket().Claim("eve"), "they fit")
		require.Zero(t, fills(ctx, t, *limit, third, first))
		require.NoError(t, claims(t, d, "anna").ticket().Begin(ctx), "others are not concerned")
		few := visit(t, d, "192.0.2.1")
		for range 4 {
			require.NoError(t, few.ticket().Begin(ctx))
		}
		require.NoError(t, few.ticket().Claim("eve"), "the first ones begin in any case")
		end()
		synctest.Wait()
		after, cancel := context.WithCancel(t.Context())
		defer cancel()
		require.Equal(t, 20, fills(after, t, *limit, third, first, few), "and all are given back")

		last := visit(t, d, "192.0.2.1")
		for range 10 {
			brief, end := context.WithCancel(t.Context())
			for range 4 {
				require.NoError(t, last.ticket().Begin(brief))
			}
			end()
			synctest.Wait()
		}
		require.NoError(t, last.ticket().Claim("bert"))
		require.Equal(t, 20, fills(after, t, *limit, last), "what has ended by then is not his")
	})
}

// TestWhatIsNotTakenBeforeTheClaimIsCounted: streams whose answers wait, and messages that
// have not ended.
func TestWhatIsNotTakenBeforeTheClaimIsCounted(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := door.New(door.Config{RPCsPerCaller: 10, UnfinishedPerCaller: 2 * 160 << 10})
		comes := func(sends ...func(fr *http2.Framer)) *door.Ticket {
			v := visit(t, d, "192.0.2.1")
			v.greets(t)
			for _, frames := range sends {
				require.NoError(t, v.sends(t, frames))
			}
			return v.ticket()
		}
		streams := func(n int) func(fr *http2.Framer) {
			return func(fr *http2.Framer) {
				for i := range n {
					begins(uint32(2*i + 1))(fr) //nolint:gosec // small
				}
			}
		}
		hoard := data(1, false, message(200 << 10)[:150<<10])
		require.NoError(t, comes(streams(15)).Claim("eve"))
		var limit *door.LimitError
		require.ErrorAs(t, comes(streams(6)).Claim("eve"), &limit)
		require.Equal(t, door.LimitError{What: door.LimitRPCsPerCaller, Limit: 10}, *limit)
		require.NoError(t, comes(streams(5)).Claim("eve"))
		require.NoError(t, comes(streams(4)).Claim("eve"), "the first ones in any case")

		require.NoError(t, comes(begins(1), hoard).Claim("anna"))
		require.NoError(t, comes(begins(1), hoard).Claim("anna"), "exactly as much, in ten buffers each")
		require.ErrorAs(t, comes(begins(1), hoard).Claim("anna"), &limit)
		require.Equal(t, door.LimitError{What: door.LimitUnfinished, Limit: 320 << 10}, *limit)
		require.NoError(t, comes(streams(1)).Claim("anna"))
		require.NoError(t, comes(begins(1), hoard).Claim("bert"))
	})
}

// TestClaimsLeaveRPCsToOthers: the first RPCs of each connection begin in any case, but are
// not the caller's in any case.
func TestClaimsLeaveRPCsToOthers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := door.New(door.Config{RPCs: 2048, RPCsPerCaller: 512})
		all := door.LimitError{What: door.LimitRPCs, Limit: 1920}
		total := 0
		for i := range 4 {
			name := "greedy " + strconv.Itoa(i)
			first := claims(t, d, name)
			for first.ticket().Begin(t.Context()) == nil {
				total++
			}
			for range 10 {
				v := visit(t, d, "192.0.2.1")
				for range 4 {
					require.NoError(t, v.ticket().Begin(t.Context()))
				}
				if err := v.ticket().Claim(name); err != nil {
					var limit *door.LimitError
					require.ErrorAs(t, err, &limit)
					require.Equal(t, all, *limit)
				} else {
					total += 4
				}
			}
		}
		require.Equal(t, 1920, total)
		for i := range 64 {
			require.Equal(t, 2, fills(t.Context(), t, all, claims(t, d, "newcomer "+strconv.Itoa(i))))
		}
	})
}

// TestARefusedClaimCostsNothing: what goes on over the connection stays the strangers' until
// it ends with that.
func TestARefusedClaimCostsNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := door.New(door.Config{RPCsPerCaller: 10, UnfinishedPerCaller: 160 << 10})
		comes := func() *visitor {
			v := visit(t, d, "192.0.2.1")
			v.greets(t)
			require.NoError(t, v.sends(t, begins(1)))
			require.NoError(t, v.sends(t, data(1, false, message(200 << 10)[:150<<10])))
			return v
		}
		first, second := comes(), comes()
		require.NoError(t, first.ticket().Claim("anna"))
		for range 8 {
			require.NoError(t, second.ticket().Begin(t.Context()))
		}
		var limit *door.LimitError
		require.ErrorAs(t, second.ticket().Claim("anna"), &limit)
		require.Equal(t, door.LimitUnfinished, limit.What)
		require.Equal(t, 10, fills(t.Context(), t, door.LimitError{What: door.LimitRPCsPerCaller, Limit: 10}, first))
	})
}

func TestGreedyCallersLeaveConnectionsToOthers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := door.New(door.Config{Max: 64, PerCaller: 8})
		var in []*visitor
		comes := func(caller string, want door.LimitError) (n int) {
			t.Helper()
			for {
				v := visit(t, d, "192.0.2.1")
				if v == nil {
					require.Equal(t, door.LimitAll, want.What)
					return n
				}
				if err := v.ticket().Claim(caller); err != nil {
					var limit *door.LimitError
					require.ErrorAs(t, err, &limit)
					require.Equal(t, want, *limit)
					require.NoError(t, v.Close())
					return n
				}
				in = append(in, v)
				n++
			}
		}
		own, all := door.LimitError{What: door.LimitCaller, Limit: 8}, door.LimitError{What: door.LimitAll, Limit: 60}
		for range 2 {
			for i := range 7 {
				require.Equal(t, 8, comes("greedy "+strconv.Itoa(i), own))
			}
			require.Equal(t, 4, comes("greedy 7", all))
			for range 100 {
				require.Zero(t, comes("greedy 7", all), "who finds no room pays nothing, and takes no place")
			}
			for i := range 4 {
				require.Equal(t, 1, comes("newcomer "+strconv.Itoa(i), all))
			}
			require.Zero(t, comes("last", all))
			for _, v := range in {
				require.NoError(t, v.Close())
			}
			in = nil
			require.Zero(t, d.Stats().Open)
		}
	})
}
