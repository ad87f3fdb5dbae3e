package door_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"securesocket/server/door"
)

// open reports whether the door has not closed a connection.
func open(c *door.Conn) bool { return c.NetConn().SetDeadline(time.Time{}) == nil }

func TestStrangersLeaveAfterATime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := door.New(door.Config{SetupTimeout: 10 * time.Second, UnclaimedTimeout: 30 * time.Second})
		l := &fakeListener{conns: make(chan result, 1)}
		stranger, caller := accept(t, d, l), accept(t, d, l)
		require.NoError(t, caller.DoorTicket().Claim("anna"))
		time.Sleep(39 * time.Second)
		require.True(t, open(stranger))
		time.Sleep(2 * time.Second)
		synctest.Wait()
		require.False(t, open(stranger))
		require.Equal(t, uint64(1), d.Stats().Expired)
		time.Sleep(time.Hour)
		require.True(t, open(caller))
		require.Equal(t, 1, d.Stats().Open)
	})
}

func TestVisitorsMayStay(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := door.New(door.Config{})
		l := &fakeListener{conns: make(chan result, 1)}
		poller, watcher := accept(t, d, l), accept(t, d, l)
		leave, err := watcher.DoorTicket().Visit()
		require.NoError(t, err)
		for range 100 {
			leave, err := poller.DoorTicket().Visit()
			require.NoError(t, err)
			leave()
			time.Sleep(29 * time.Second)
		}
		synctest.Wait()
		require.True(t, open(poller))
		require.True(t, open(watcher))
		leave()
		time.Sleep(61 * time.Second)
		synctest.Wait()
		require.False(t, open(poller))
		require.False(t, open(watcher))
		require.Zero(t, d.Stats().Open)
	})
}

func TestARefusedClaimEndsTheConnection(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := door.New(door.Config{PerCaller: 1})
		l := &fakeListener{conns: make(chan result, 1)}
		a, b := accept(t, d, l), accept(t, d, l)
		require.NoError(t, a.DoorTicket().Claim("anna"))
		require.Error(t, b.DoorTicket().Claim("anna"))
		synctest.Wait()
		require.True(t, open(b), "until the refusal is with the caller")
		time.Sleep(time.Second)
		synctest.Wait()
		require.False(t, open(b))
		require.True(t, open(a))
		require.Zero(t, d.Stats().Expired)
	})
}
