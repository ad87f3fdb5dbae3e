package door_test

import (
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/net/http2"

	"securesocket/server/door"
)

// visitor is a connection that was let in, as the HTTP/2 server has it.
type visitor struct {
	net.Conn
	far net.Conn
}

func (v visitor) ticket() *door.Ticket { return door.FromConn(v.Conn) }

// flood sends frames without use until the door has had enough.
func (v visitor) flood(t *testing.T) {
	t.Helper()
	go func() {
		_, _ = v.far.Write([]byte(http2.ClientPreface))
		fr := http2.NewFramer(v.far, nil)
		for fr.WriteSettings(make([]http2.Setting, 2000)...) == nil {
			continue
		}
	}()
	var err error
	for buf := make([]byte, 4096); err == nil; {
		_, err = v.Read(buf)
	}
	var flood *door.FloodError
	require.ErrorAs(t, err, &flood)
	require.NoError(t, v.Close())
}

// visit lets somebody in from an address, or returns nil.
func visit(t *testing.T, d *door.Door, ip string) *visitor {
	t.Helper()
	near, far := from(ip)
	l := &fakeListener{conns: make(chan result, 1)}
	l.conns <- result{conn: near}
	_ = l.Close()
	conn, err := d.Listener(l).Accept()
	if err != nil {
		return nil
	}
	v := &visitor{d.Meter(conn), far}
	t.Cleanup(func() { _, _ = v.Close(), far.Close() })
	return v
}

// refusal is of a caller who flooded.
func refusal(t *testing.T, err error) time.Duration {
	t.Helper()
	var limit *door.LimitError
	require.ErrorAs(t, err, &limit)
	require.Equal(t, door.LimitMisuse, limit.What)
	return limit.Retry
}

func TestAFloodDoesNotGoOnOverTheNextConnection(t *testing.T) {
	t.Parallel()
	for name, ip := range map[string]string{"an address": "192.0.2.1", "a network": "2001:db8::1", "Unix": ""} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				d := door.New(door.Config{})
				stays, floods := visit(t, d, ip), visit(t, d, ip)
				floods.flood(t)
				require.Nil(t, visit(t, d, ip))
				require.Equal(t, uint64(1), d.Stats().Refused[door.LimitMisuse])
				require.NoError(t, visit(t, d, "198.51.100.1").ticket().Claim("anna"), "others come in")
				require.NoError(t, stays.ticket().Claim("eve"), "what there was goes on")
				time.Sleep(10*time.Second - time.Nanosecond)
				require.Nil(t, visit(t, d, ip))
				time.Sleep(time.Nanosecond)
				require.NoError(t, visit(t, d, ip).ticket().Claim("eve"))
			})
		})
	}
}

func TestACallersFloodDoesNotGoOnFromAnotherAddress(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := door.New(door.Config{})
		stays, floods := visit(t, d, "192.0.2.1"), visit(t, d, "192.0.2.1")
		require.NoError(t, stays.ticket().Claim("eve"))
		require.NoError(t, floods.ticket().Claim("eve"))
		floods.flood(t)
		require.NoError(t, floods.ticket().Claim("eve"), "an RPC of before: it changes nothing")
		require.NoError(t, stays.ticket().Claim("eve"), "what there was goes on")
		require.NoError(t, visit(t, d, "192.0.2.1").ticket().Claim("anna"), "others who come from there do too")
		again := visit(t, d, "198.51.100.1")
		require.Equal(t, 10*time.Second, refusal(t, again.ticket().Claim("eve")))
		time.Sleep(10 * time.Second)
		synctest.Wait()
		require.False(t, again.open())
		require.NoError(t, visit(t, d, "198.51.100.1").ticket().Claim("eve"))
	})
}

func (v visitor) open() bool { return v.SetDeadline(time.Time{}) == nil }

func TestUselessConnectionsAreCounted(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := door.New(door.Config{PerAddress: 16})
		come := func() bool {
			v := visit(t, d, "192.0.2.1")
			return v != nil && v.Close() == nil
		}
		in := 0
		for come() {
			in++
		}
		require.Equal(t, uint64(33), d.Stats().Unused)
		require.Equal(t, 33, in, "twice as many, and the one that makes it too much")
		time.Sleep(time.Second)
		in = 0
		for come() {
			in++
		}
		require.Equal(t, 4, in)
		time.Sleep(time.Minute)
		for range 1000 {
			v := visit(t, d, "192.0.2.1")
			require.NoError(t, v.ticket().Claim("anna"))
			require.NoError(t, v.Close())
		}
		require.True(t, come(), "those that a caller had cost nothing")
		time.Sleep(time.Minute)
		for range 64 {
			require.NoError(t, visit(t, d, "198.51.100.1").ticket().Claim("anna"))
		}
		for range 1000 {
			v := visit(t, d, "192.0.2.1")
			require.Error(t, v.ticket().Claim("anna"))
			require.NoError(t, v.Close())
		}
		require.Equal(t, uint64(38), d.Stats().Unused)
		require.True(t, come(), "nor do those that a caller has no room for")
	})
}

// TestWhatHTTP2EndsIsMisuse: as grpc-go does, which closes a connection from where
// it reads, or announces the error with GOAWAY.
func TestWhatHTTP2EndsIsMisuse(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		end    func(t *testing.T, v *visitor)
		misuse bool
	}{
		"closed while it is looked at": {func(t *testing.T, v *visitor) {
			t.Helper()
			go func() { _, _ = v.far.Write([]byte(http2.ClientPreface)) }()
			_, err := v.Read(make([]byte, 100))
			require.NoError(t, err)
		}, true},
		"GOAWAY with an error": {func(t *testing.T, v *visitor) {
			t.Helper()
			go func() { _, _ = v.far.Read(make([]byte, 100)) }()
			require.NoError(t, http2.NewFramer(v, nil).WriteGoAway(1, http2.ErrCodeProtocol, nil))
		}, true},
		"GOAWAY without": {func(t *testing.T, v *visitor) {
			t.Helper()
			go func() { _, _ = v.far.Read(make([]byte, 100)) }()
			require.NoError(t, http2.NewFramer(v, nil).WriteGoAway(1, http2.ErrCodeNo, nil))
		}, false},
		"closed by the caller": {func(t *testing.T, v *visitor) {
			t.Helper()
			go func() {
				_, _ = v.far.Write([]byte(http2.ClientPreface))
				_ = v.far.Close()
			}()
			_, err := v.Read(make([]byte, 100))
			require.NoError(t, err)
			_, err = v.Read(make([]byte, 100))
			require.Error(t, err)
		}, false},
		"announced, and closed while it is looked at": {func(t *testing.T, v *visitor) { // and paid for once
			t.Helper()
			v.greets(t)
			v.answers(t, func(fr *http2.Framer) error { return fr.WriteGoAway(1, http2.ErrCodeProtocol, nil) })
		}, true},
		"closed while more is waited for": {func(t *testing.T, v *visitor) {
			t.Helper()
			v.greets(t)
			go func() { _, _ = v.Read(make([]byte, 100)) }()
			synctest.Wait()
		}, false},
		"closed because it is broken": {func(t *testing.T, v *visitor) {
			t.Helper()
			go func() {
				_, _ = v.far.Write([]byte(http2.ClientPreface))
				_ = v.far.Close()
			}()
			_, err := v.Read(make([]byte, 100))
			require.NoError(t, err)
			_, err = v.Write([]byte("anything"))
			require.Error(t, err)
		}, false},
		"closed while it is waited for": {func(t *testing.T, v *visitor) {
			t.Helper()
			go func() { _, _ = v.Read(make([]byte, 100)) }()
			synctest.Wait()
		}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				d := door.New(door.Config{})
				var refused error
				for range 40 {
					v := visit(t, d, "192.0.2.1")
					if refused = v.ticket().Claim("eve"); refused != nil {
						break
					}
					tc.end(t, v)
					require.NoError(t, v.Close())
				}
				if tc.misuse {
					require.Equal(t, 500*time.Millisecond, refusal(t, refused))
				} else {
					require.NoError(t, refused)
				}
			})
		})
	}
}

// TestWhoIsKeptOutPaysForTrying: the caller's name costs him nothing more, the place he
// comes from does.
func TestWhoIsKeptOutPaysForTrying(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := door.New(door.Config{PerAddress: 4})
		v := visit(t, d, "192.0.2.1")
		require.NoError(t, v.ticket().Claim("eve"))
		v.flood(t)
		in := 0
		for v := visit(t, d, "192.0.2.1"); v != nil && in < 20; v = visit(t, d, "192.0.2.1") {
			require.Equal(t, 10*time.Second, refusal(t, v.ticket().Claim("eve")))
			require.NoError(t, v.Close())
			in++
		}
		require.Equal(t, 9, in)
	})
}

func TestUselessLocalConnectionsAreCounted(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := door.New(door.Config{PerAddress: 1, Local: 10})
		in := 0
		for v := visit(t, d, ""); v != nil; v = visit(t, d, "") {
			in++
			require.NoError(t, v.Close())
		}
		require.Equal(t, 21, in)
	})
}

// TestCallersAreForgottenWithTheirConnections, and one who comes too late is none.
func TestCallersAreForgottenWithTheirConnections(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := door.New(door.Config{})
		a, b, late := visit(t, d, "192.0.2.1"), visit(t, d, "192.0.2.1"), visit(t, d, "192.0.2.1")
		require.NoError(t, a.ticket().Claim("anna"))
		require.NoError(t, b.ticket().Claim("anna"))
		require.NoError(t, a.Close())
		require.Equal(t, 1, d.Stats().Callers)
		require.NoError(t, b.Close())
		require.NoError(t, late.Close())
		require.NoError(t, late.ticket().Claim("anna"))
		require.Zero(t, d.Stats().Callers)
		require.Zero(t, d.Stats().Open)
	})
}

func TestDebtorsAreForgotten(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := door.New(door.Config{PerAddress: 1})
		for i := range 20_000 { // more than are kept
			v := visit(t, d, net.IPv4(10, 1, byte(i>>8), byte(i)).String())
			require.NotNil(t, v)
			require.NoError(t, v.Close())
		}
		require.Zero(t, d.Stats().Open)
	})
}

// TestALargeAllowanceIsNoSmallOne: what time earns does not overflow.
func TestALargeAllowanceIsNoSmallOne(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := door.New(door.Config{FrameBurst: 100, FramesPerSecond: 1 << 30})
		v := visit(t, d, "192.0.2.1")
		require.NoError(t, v.ticket().Claim("anna"))
		v.greets(t)
		time.Sleep(20 * time.Millisecond)
		require.NoError(t, v.sends(t, func(fr *http2.Framer) {
			for range 150 {
				_ = fr.WritePing(false, [8]byte{})
			}
		}))
	})
}

// TestAFloodIsPaidForBehindAnError: an error that HTTP/2 has announced before does not make
// it cheaper.
func TestAFloodIsPaidForBehindAnError(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := door.New(door.Config{})
		v := visit(t, d, "192.0.2.1")
		require.NoError(t, v.ticket().Claim("eve"))
		go func() { _, _ = v.far.Read(make([]byte, 100)) }()
		require.NoError(t, http2.NewFramer(v, nil).WriteGoAway(1, http2.ErrCodeEnhanceYourCalm, nil))
		v.flood(t)
		require.Equal(t, 10*time.Second, refusal(t, visit(t, d, "192.0.2.1").ticket().Claim("eve")))
	})
}

// TestWhoIsKeptOutBarsHisAddressOnlyInTheEnd: others may come from there, until he has
// flooded his refusals too.
func TestWhoIsKeptOutBarsHisAddressOnlyInTheEnd(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := door.New(door.Config{})
		v := visit(t, d, "192.0.2.1")
		require.NoError(t, v.ticket().Claim("eve"))
		v.flood(t)
		again := func() {
			t.Helper()
			v := visit(t, d, "192.0.2.1")
			require.NotNil(t, v)
			refusal(t, v.ticket().Claim("eve"))
			v.flood(t)
		}
		again()
		other := visit(t, d, "192.0.2.1")
		require.NotNil(t, other)
		require.NoError(t, other.ticket().Claim("anna"))
		again()
		require.Nil(t, visit(t, d, "192.0.2.1"))
		require.NoError(t, visit(t, d, "198.51.100.1").ticket().Claim("bert"))
		time.Sleep(5 * time.Second)
		require.NotNil(t, visit(t, d, "192.0.2.1"))
	})
}
