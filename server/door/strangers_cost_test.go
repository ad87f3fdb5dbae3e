package door_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/net/http2"

	"securesocket/server/door"
)

// TestCallsOfStrangersCostALittle: an eighth of a frame without use, of an eighth of the
// allowance.
func TestCallsOfStrangersCostALittle(t *testing.T) {
	t.Parallel()
	const burst, perSecond = 400, 80
	calls := func(n int) func(fr *http2.Framer) {
		return func(fr *http2.Framer) {
			for range n {
				begins(1)(fr)
			}
		}
	}
	synctest.Test(t, func(t *testing.T) {
		d := door.New(door.Config{FrameBurst: burst, FramesPerSecond: perSecond})
		v := visit(t, d, "192.0.2.1")
		v.greets(t)
		require.NoError(t, v.sends(t, calls(burst)))
		time.Sleep(time.Second)
		require.NoError(t, v.sends(t, calls(perSecond)))
		time.Sleep(20 * time.Second)
		require.NoError(t, v.sends(t, calls(burst)), "no more than at once")
		var flood *door.FloodError
		require.ErrorAs(t, v.sends(t, calls(1)), &flood)
		require.Equal(t, uint8(http2.FrameHeaders), flood.Kind)

		known := visit(t, d, "198.51.100.1")
		require.NoError(t, known.ticket().Claim("anna"))
		known.greets(t)
		require.NoError(t, known.sends(t, calls(100*burst)))
	})
}

// TestWhoStayedTooLongPaysNothing, although HTTP/2 may yet end the connection while it looks
// at what came last.
func TestWhoStayedTooLongPaysNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const places = 16
		d := door.New(door.Config{PerAddress: places})
		var quiet []*visitor
		for range places {
			v := visit(t, d, "192.0.2.1")
			v.greets(t)
			quiet = append(quiet, v)
		}
		time.Sleep(40 * time.Second)
		synctest.Wait()
		require.Equal(t, uint64(places), d.Stats().Expired)
		for _, v := range quiet {
			_ = v.Close()
		}
		in := 0
		for v := visit(t, d, "192.0.2.1"); v != nil; v = visit(t, d, "192.0.2.1") {
			require.NoError(t, v.Close())
			in++
		}
		require.Equal(t, 2*places+1, in)
	})
}

// TestStreamsOfStrangersAreCounted: what HTTP/2 keeps of their RPCs, twice as many as they
// may have of these.
func TestStreamsOfStrangersAreCounted(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := door.New(door.Config{RPCs: 100})
		v := visit(t, d, "192.0.2.1")
		v.greets(t)
		opens := func(from, to uint32) {
			t.Helper()
			require.NoError(t, v.sends(t, func(fr *http2.Framer) {
				for i := from; i < to; i++ {
					begins(2*i + 1)(fr)
				}
			}))
		}
		opens(0, 100)
		for range 10 {
			require.NoError(t, v.ticket().Begin(t.Context()))
		}
		opens(100, 101)
		require.Zero(t, fills(t.Context(), t, door.LimitError{What: door.LimitRPCs, Limit: 50}, v))
		require.NoError(t, visit(t, d, "192.0.2.1").ticket().Begin(t.Context()), "the first ones begin in any case")
	})
}

// TestAClaimDoesNotForgive: what a stranger has sent counts when he is known.
func TestAClaimDoesNotForgive(t *testing.T) {
	t.Parallel()
	const burst = 400
	pings := func(n int) func(fr *http2.Framer) {
		return func(fr *http2.Framer) {
			for range n {
				_ = fr.WritePing(false, [8]byte{})
			}
		}
	}
	synctest.Test(t, func(t *testing.T) {
		v := visit(t, door.New(door.Config{FrameBurst: burst}), "192.0.2.1")
		v.greets(t)
		require.NoError(t, v.sends(t, pings(burst/8)))
		require.NoError(t, v.ticket().Claim("anna"))
		require.NoError(t, v.sends(t, pings(burst-burst/8)))
		var flood *door.FloodError
		require.ErrorAs(t, v.sends(t, pings(1)), &flood)
	})
}
