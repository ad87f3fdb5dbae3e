package door_test

import (
	"fmt"
	"net"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/credentials/insecure"

	"securesocket/server/door"
)

// comes lets n in from an address, or from none.
func comes(t *testing.T, d *door.Door, ip string, n int) (in []*visitor) {
	t.Helper()
	for range n {
		v := visit(t, d, ip)
		require.NotNil(t, v, "from %q, after %d", ip, len(in))
		in = append(in, v)
	}
	return in
}

func stay(all []*visitor) (n int) {
	for _, v := range all {
		if v.open() {
			n++
		}
	}
	return n
}

// TestWhoHasMostGivesWayAtOnce to whoever has at least two fewer, and to nobody else.
func TestWhoHasMostGivesWayAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := door.New(door.Config{Unclaimed: 8, PerAddress: 8})
		first, second := comes(t, d, "192.0.2.1", 2), comes(t, d, "192.0.2.2", 2)
		more := append(comes(t, d, "192.0.2.3", 2), comes(t, d, "192.0.2.4", 2)...)
		require.Nil(t, visit(t, d, "192.0.2.4"), "no address has more than a quarter")
		newcomer := comes(t, d, "198.51.100.1", 1)
		require.False(t, first[0].open(), "who has had so many for longest, and of them the quietest")
		require.Nil(t, visit(t, d, "198.51.100.1"), "he has one, others have two")
		require.Nil(t, visit(t, d, "192.0.2.1"))
		comes(t, d, "198.51.100.2", 1)
		comes(t, d, "2001:db8::1", 1)
		comes(t, d, "2001:db8:0:1::1", 1)
		require.Equal(t, [3]int{1, 1, 2}, [3]int{stay(first), stay(second), stay(more)})
		require.Nil(t, visit(t, d, "198.51.100.3"), "all have one")
		s := d.Stats()
		require.Equal(t, [2]uint64{4, 3}, [2]uint64{s.GaveWay, s.Refused[door.LimitUnclaimed]})

		time.Sleep(time.Second)
		require.True(t, newcomer[0].open())
		last := comes(t, d, "198.51.100.1", 1)
		require.False(t, newcomer[0].open(), "whose address has as many as any gives way to his neighbour")
		require.True(t, last[0].open())
		require.Equal(t, 8, d.Stats().Open)
	})
}

// TestTheNetworkAndTheMachineKeepNobodyOut: each may have all where nobody else comes, and
// gives way down to its part.
func TestTheNetworkAndTheMachineKeepNobodyOut(t *testing.T) {
	t.Parallel()
	addresses := func(t *testing.T, d *door.Door, n int) (in []*visitor) {
		t.Helper()
		for i := range n {
			in = append(in, comes(t, d, "192.0.2."+strconv.Itoa(i), 1)...)
		}
		return in
	}
	synctest.Test(t, func(t *testing.T) {
		d := door.New(door.Config{Unclaimed: 16})
		remote := addresses(t, d, 16)
		local := comes(t, d, "", 4)
		require.Equal(t, 12, stay(remote))
		require.Nil(t, visit(t, d, ""), "they have their part")
		require.Nil(t, visit(t, d, "198.51.100.1"))
		require.Equal(t, 4, stay(local))
	})
	synctest.Test(t, func(t *testing.T) {
		d := door.New(door.Config{Unclaimed: 16})
		local := comes(t, d, "", 16)
		remote := addresses(t, d, 12)
		require.Equal(t, 4, stay(local))
		require.Nil(t, visit(t, d, "198.51.100.1"), "they have their part")
		require.Nil(t, visit(t, d, ""))
		require.Equal(t, 12, stay(remote))
	})
}

// TestTheLastPlaceIsForALocalUser, who may be the administrator, however many are callers'.
func TestTheLastPlaceIsForALocalUser(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := door.New(door.Config{Max: 8})
		for i := range 7 {
			claims(t, d, []string{"eve", "mallory"}[i%2])
		}
		for _, caller := range []string{"eve", "mallory"} {
			v := visit(t, d, "192.0.2.1")
			var limit *door.LimitError
			require.ErrorAs(t, v.ticket().Claim(caller), &limit)
			require.Equal(t, door.LimitError{What: door.LimitAll, Limit: 7}, *limit)
			require.NoError(t, v.Close())
		}
		remote := comes(t, d, "192.0.2.1", 1)
		require.Nil(t, visit(t, d, "198.51.100.1"))
		local := comes(t, d, "", 1)
		require.Zero(t, stay(remote))
		time.Sleep(time.Second)
		require.Nil(t, visit(t, d, "198.51.100.1"))
		require.NoError(t, local[0].ticket().Claim("administrator"))
		require.Equal(t, 8, d.Stats().Open)
	})
}

// TestWhoIsAloneMayHaveAllConnections, where one caller may, and until another comes.
func TestWhoIsAloneMayHaveAllConnections(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := door.New(door.Config{Max: 8, PerCaller: 8})
		var in []*visitor
		for range 8 {
			in = append(in, claims(t, d, "anna"))
		}
		require.Nil(t, visit(t, d, ""))
		for _, v := range in[:2] {
			require.NoError(t, v.Close())
		}
		claims(t, d, "bert")
		again := visit(t, d, "192.0.2.1")
		require.Error(t, again.ticket().Claim("anna"), "the last is for who has none")
		require.NoError(t, visit(t, d, "").ticket().Claim("administrator"))
	})
}

// TestFewPlacesAreNotAllOfOneAddress: whatever connections_per_address says, it has a part.
func TestFewPlacesAreNotAllOfOneAddress(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ most, each int }{{1, 1}, {2, 2}, {4, 2}, {8, 2}, {32, 2}, {64, 4}, {240, 15}, {256, 16}, {4096, 16}} {
		synctest.Test(t, func(t *testing.T) {
			d := door.New(door.Config{Max: tc.most, PerAddress: 16})
			in := 0
			for visit(t, d, "192.0.2.1") != nil {
				in++
			}
			require.Equal(t, tc.each, in, "of %d", tc.most)
		})
	}
}

// TestStrangersWhoComeBackKeepNobodyOut: many addresses, each with as many connections as it
// may have and more, which come again as soon as they are closed.
func TestStrangersWhoComeBackKeepNobodyOut(t *testing.T) {
	t.Parallel()
	const addresses, each = 12, 8
	d := door.New(door.Config{Max: 128, PerAddress: each}) // 32 of strangers
	tcp, unix := serve(t, d, listen(t, "tcp"), insecure.NewCredentials()), serve(t, d, listen(t, "unix"), insecure.NewCredentials())
	t.Cleanup(func() { eventually(t, func() bool { return d.Stats().Open == 0 }) }) // before either server is stopped
	ctx := t.Context()
	stop := make(chan struct{})
	var flood sync.WaitGroup
	defer func() {
		close(stop)
		flood.Wait()
	}()
	for i := range addresses * each {
		dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(fmt.Sprintf("127.0.2.%d", i/each+1))}}
		flood.Go(func() {
			for {
				conn, err := dialer.DialContext(ctx, "tcp", tcp.String())
				if err == nil {
					until := make(chan struct{})
					go func() {
						defer close(until)
						_, _ = conn.Read(make([]byte, 1000)) // the server's SETTINGS
						_, _ = conn.Read(make([]byte, 1000))
					}()
					select {
					case <-stop:
					case <-until:
					}
					_ = conn.Close()
					<-until
				}
				select {
				case <-stop:
					return
				default:
				}
			}
		})
	}
	eventually(t, func() bool { return d.Stats().Refused[door.LimitUnclaimed] > 100 })
	for i := range 10 {
		require.NoError(t, check(as(ctx, "anna"), client(t, tcp, "127.0.3.1", nil)), "attempt %d: %+v", i, d.Stats())
		require.NoError(t, check(as(ctx, "administrator"), client(t, unix, "", nil)), "attempt %d: %+v", i, d.Stats())
	}
	s := d.Stats()
	require.Positive(t, s.GaveWay)
	require.LessOrEqual(t, s.Unclaimed, 32)
	require.Equal(t, 20, s.Open-s.Unclaimed)
}
