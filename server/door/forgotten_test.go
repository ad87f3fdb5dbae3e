package door

import (
	"context"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// TestNothingIsKeptOfWhoIsGone: of connections that were claimed, refused and neither, and
// of refused RPCs whose deadlines are over.
func TestNothingIsKeptOfWhoIsGone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := New(Config{PerCaller: 1, RPCsPerCaller: 1})
		soon, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		for range 3 {
			near, far := net.Pipe()
			defer far.Close()
			c := d.admit(near)
			require.NotNil(t, c)
			defer c.Close()
			err := c.ticket.Claim("anna")
			require.Equal(t, c.ticket.Claimed(), err == nil)
			require.NoError(t, c.ticket.Begin(soon))
			if c.ticket.Claimed() {
				require.Error(t, c.ticket.Begin(soon))
			}
		}
		d.mu.Lock()
		require.Equal(t, map[string]int{"anna": 1}, d.lingering)
		require.Equal(t, 3, d.open)
		d.mu.Unlock()
		time.Sleep(time.Minute)
		synctest.Wait()
		d.mu.Lock()
		defer d.mu.Unlock()
		require.Empty(t, d.lingering)
		require.Len(t, d.callers, 1)
		require.Empty(t, d.places)
		require.Zero(t, d.unclaimed())
		for _, o := range []*owner{&d.strangers, d.callers["anna"]} {
			require.Zero(t, o.rpcs.held.Load())
		}
		require.Zero(t, d.rpcs.held.Load())
	})
}

// TestAnEndThatComesLateEndsNoCaller: the timer may have run out while he claimed.
func TestAnEndThatComesLateEndsNoCaller(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := New(Config{})
		near, far := net.Pipe()
		defer far.Close()
		c := d.admit(near)
		require.NoError(t, c.ticket.Claim("anna"))
		c.ticket.expire()
		time.Sleep(time.Hour)
		synctest.Wait()
		require.Equal(t, 1, d.open)
		require.NoError(t, c.Close())
		c.ticket.expire()
		time.Sleep(time.Hour)
		require.Zero(t, d.open)
		require.Zero(t, d.stats.Expired)
	})
}

func TestRefusalsAreWrittenOnceASecond(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var r refusals
		due := func(want int, ok bool) {
			t.Helper()
			more, now := r.due()
			require.Equal(t, ok, now)
			require.Equal(t, want, more)
		}
		due(0, true)
		due(0, false)
		due(0, false)
		time.Sleep(time.Second - time.Nanosecond)
		due(0, false)
		time.Sleep(time.Nanosecond)
		due(3, true)
		time.Sleep(time.Second)
		due(0, true)
	})
}
