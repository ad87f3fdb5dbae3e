package door_test

import (
	"bytes"
	"net"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/net/http2"

	"securesocket/server/door"
)

// TestUnfinishedMessagesAreCounted: what has come of messages that are not complete,
// whoever ends them.
func TestUnfinishedMessagesAreCounted(t *testing.T) {
	t.Parallel()
	half := message(200_000)[:100_000]
	none := []byte(nil)
	for name, tc := range map[string]struct {
		do   func(t *testing.T, v *visitor)
		want int // of a caller, to within what need not be told
	}{
		"complete": {func(t *testing.T, v *visitor) {
			t.Helper()
			require.NoError(t, v.sends(t, data(1, false, slices.Concat(message(200_000), message(0), message(1)))))
		}, 0},
		"half of one": {func(t *testing.T, v *visitor) {
			t.Helper()
			require.NoError(t, v.sends(t, data(1, false, half)))
		}, 100_000},
		"half of one behind others": {func(t *testing.T, v *visitor) {
			t.Helper()
			require.NoError(t, v.sends(t, data(1, false, slices.Concat(message(3), message(70_000), half))))
		}, 100_000},
		"its end comes": {func(t *testing.T, v *visitor) {
			t.Helper()
			require.NoError(t, v.sends(t, data(1, false, half)))
			require.NoError(t, v.sends(t, data(1, false, message(200_000)[100_000:])))
		}, 0},
		"a length in pieces": {func(t *testing.T, v *visitor) {
			t.Helper()
			for b := range slices.Chunk(half[:6], 1) {
				require.NoError(t, v.sends(t, data(1, false, b)))
			}
			require.NoError(t, v.sends(t, data(1, false, half[6:])))
		}, 100_000},
		"padding": {func(t *testing.T, v *visitor) {
			t.Helper()
			require.NoError(t, v.sends(t, func(fr *http2.Framer) {
				for part := range slices.Chunk(message(200_000), 1000) {
					_ = fr.WriteDataPadded(1, false, part, make([]byte, 255))
				}
				_ = fr.WriteDataPadded(1, false, none, make([]byte, 255))
			}))
		}, 0},
		"padding is kept with what it pads": {func(t *testing.T, v *visitor) {
			t.Helper()
			require.NoError(t, v.sends(t, func(fr *http2.Framer) {
				for part := range slices.Chunk(half[:8000], 8) {
					_ = fr.WriteDataPadded(1, false, part, make([]byte, 255))
				}
			}))
		}, 1000 * (264 + 64)},
		"frames a little larger than a buffer": {func(t *testing.T, v *visitor) {
			t.Helper()
			require.NoError(t, v.sends(t, func(fr *http2.Framer) {
				for part := range slices.Chunk(half[:1025*40], 1025) {
					_ = fr.WriteData(1, false, part)
				}
			}))
		}, 40 * 4096},
		"the last byte of a frame begins the next one": {func(t *testing.T, v *visitor) {
			t.Helper()
			for stream := uint32(1); stream < 20; stream += 2 {
				require.NoError(t, v.sends(t, begins(stream)))
				require.NoError(t, v.sends(t, data(stream, false, append(message(15_000), 0))))
			}
		}, 10 * 16384},
		"a reset by the caller": {func(t *testing.T, v *visitor) {
			t.Helper()
			require.NoError(t, v.sends(t, data(1, false, half)))
			require.NoError(t, v.sends(t, func(fr *http2.Framer) { _ = fr.WriteRSTStream(1, http2.ErrCodeCancel) }))
		}, 0},
		"the end by the caller is not the server's": {func(t *testing.T, v *visitor) {
			t.Helper()
			require.NoError(t, v.sends(t, data(1, false, half[:90_000])))
			require.NoError(t, v.sends(t, data(1, true, half[90_000:])))
		}, 100_000},
		"an answer": {func(t *testing.T, v *visitor) {
			t.Helper()
			require.NoError(t, v.sends(t, data(1, false, half)))
			v.answers(t, trailers(1))
			require.NoError(t, v.sends(t, data(1, false, half)), "on its way when the answer was made")
		}, 0},
		"a reset by the server": {func(t *testing.T, v *visitor) {
			t.Helper()
			require.NoError(t, v.sends(t, data(1, false, half)))
			v.answers(t, func(fr *http2.Framer) error { return fr.WriteRSTStream(1, http2.ErrCodeCancel) })
			require.NoError(t, v.sends(t, func(fr *http2.Framer) { _ = fr.WritePing(false, [8]byte{}) }))
		}, 0},
		"several streams": {func(t *testing.T, v *visitor) {
			t.Helper()
			for stream := uint32(3); stream < 9; stream += 2 {
				require.NoError(t, v.sends(t, begins(stream)))
				require.NoError(t, v.sends(t, data(stream, false, half)))
			}
			v.answers(t, trailers(5))
			require.NoError(t, v.sends(t, data(1, false, half)))
		}, 300_000},
		"an answer, and nothing after it": {func(t *testing.T, v *visitor) {
			t.Helper()
			require.NoError(t, v.sends(t, data(1, false, half)))
			v.answers(t, trailers(1))
		}, 0},
		"an answer in the middle of a frame": {func(t *testing.T, v *visitor) {
			t.Helper()
			var frame bytes.Buffer
			whole := message(50_000) // which it would complete
			data(1, false, whole[49_000:])(http2.NewFramer(&frame, nil))
			require.NoError(t, v.sends(t, data(1, false, whole[:49_000])))
			require.NoError(t, v.sends(t, begins(3)))
			require.NoError(t, v.sends(t, data(3, false, half)))
			require.NoError(t, v.bytes(t, frame.Bytes()[:500]))
			v.answers(t, trailers(1))
			require.NoError(t, v.bytes(t, frame.Bytes()[500:]))
		}, 100_000},
		"one of two answers": {func(t *testing.T, v *visitor) {
			t.Helper()
			require.NoError(t, v.sends(t, begins(3)))
			require.NoError(t, v.sends(t, data(3, false, half)))
			require.NoError(t, v.sends(t, data(1, false, half[:40_000])))
			v.answers(t, trailers(3))
		}, 40_000},
		"little is left, and then nothing": {func(t *testing.T, v *visitor) {
			t.Helper()
			for stream, frames := range map[uint32]int{1: 40, 3: 4} {
				require.NoError(t, v.sends(t, begins(stream)))
				require.NoError(t, v.sends(t, func(fr *http2.Framer) {
					for part := range slices.Chunk(half[:1000*frames], 1000) {
						_ = fr.WriteData(stream, false, part)
					}
				}))
			}
			v.answers(t, trailers(1))
			v.answers(t, trailers(3))
		}, 0},
		"headers again": {func(t *testing.T, v *visitor) {
			t.Helper()
			require.NoError(t, v.sends(t, data(1, false, half)))
			require.NoError(t, v.sends(t, begins(1)))
			v.answers(t, trailers(1))
		}, 0},
		"padding that is longer than its frame": {func(t *testing.T, v *visitor) {
			t.Helper()
			require.NoError(t, v.sends(t, func(fr *http2.Framer) {
				_ = fr.WriteRawFrame(http2.FrameData, http2.FlagDataPadded, 1, []byte{200, 1, 2, 3})
			}))
		}, 0},
		"a stream that nobody began": {func(t *testing.T, v *visitor) {
			t.Helper()
			require.NoError(t, v.sends(t, data(7, false, half)))
		}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				d := door.New(door.Config{})
				v := visit(t, d, "192.0.2.1")
				require.NoError(t, v.ticket().Claim("anna"))
				v.greets(t)
				require.NoError(t, v.sends(t, begins(1)))
				tc.do(t, v)
				if tc.want == 0 {
					require.Zero(t, d.Stats().Unfinished)
				} else {
					require.InDelta(t, tc.want, d.Stats().Unfinished, 16<<10)
				}
				require.NoError(t, v.Close())
				require.Zero(t, d.Stats().Unfinished)
			})
		})
	}
}

func TestUnfinishedMessagesOfACallerHaveALimit(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := door.New(door.Config{Unfinished: 64 << 20, UnfinishedPerCaller: 1 << 20})
		hold := func(principal string) error {
			v := visit(t, d, "192.0.2.1")
			if err := v.ticket().Claim(principal); err != nil {
				return err
			}
			v.greets(t)
			require.NoError(t, v.sends(t, begins(1)))
			return v.sends(t, data(1, false, message(4 << 20)[:400_000]))
		}
		require.NoError(t, hold("eve"))
		require.NoError(t, hold("eve"))
		var backlog *door.BacklogError
		require.ErrorAs(t, hold("eve"), &backlog)
		require.Equal(t, uint64(1), d.Stats().Hoarded)
		require.NoError(t, hold("anna"), "others have their own")
		require.NoError(t, hold("anna"))

		v := visit(t, d, "192.0.2.1")
		require.NoError(t, v.ticket().Claim("eve"), "it was not enough to be kept out for")
		v.greets(t)
		require.NoError(t, v.sends(t, begins(1)))
		require.NoError(t, v.sends(t, data(1, false, message(60_000))), "and a little is always free")
	})
}

// TestWhoHasTooMuchMayHaveLess: what is always free may be more than a caller may have.
func TestWhoHasTooMuchMayHaveLess(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := door.New(door.Config{Unfinished: 64 << 20, UnfinishedPerCaller: 1 << 20})
		hold := func(sizes ...int) *visitor {
			v := visit(t, d, "192.0.2.1")
			require.NoError(t, v.ticket().Claim("anna"))
			v.greets(t)
			for i, size := range sizes {
				stream := uint32(2*i + 1) //nolint:gosec // small
				require.NoError(t, v.sends(t, begins(stream)))
				require.NoError(t, v.sends(t, data(stream, false, message(4 << 20)[:size])))
			}
			return v
		}
		v := hold(100_000, 850_000)
		for range 8 {
			hold(60_000)
		}
		require.NoError(t, v.sends(t, func(fr *http2.Framer) { _ = fr.WriteRSTStream(1, http2.ErrCodeCancel) }))
		require.InDelta(t, 1_330_000, d.Stats().Unfinished, 200_000)
		var backlog *door.BacklogError
		require.ErrorAs(t, v.sends(t, data(3, false, make([]byte, 100_000))), &backlog)
	})
}

// TestWhatOthersHoardCostsThemAlone: whoever has to go because there is no room in all
// comes back as often as he likes.
func TestWhatOthersHoardCostsThemAlone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := door.New(door.Config{Unfinished: 1 << 20, UnfinishedPerCaller: 900_000})
		hold := func(principal string, size int) error {
			v := visit(t, d, "192.0.2.1")
			require.NoError(t, v.ticket().Claim(principal))
			v.greets(t)
			require.NoError(t, v.sends(t, begins(1)))
			return v.sends(t, data(1, false, message(4 << 20)[:size]))
		}
		require.NoError(t, hold("eve", 840_000))
		require.NoError(t, hold("mallory", 180_000))
		for range 100 {
			var backlog *door.BacklogError
			require.ErrorAs(t, hold("anna", 200_000), &backlog)
			require.False(t, backlog.Own)
		}
		require.NoError(t, hold("anna", 50_000))
	})
}

// TestStrangersHaveLittleRoom: complete messages count too, on streams that go on.
func TestStrangersHaveLittleRoom(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := door.New(door.Config{Unfinished: 8 << 20, PerAddress: 1000})
		send := func(ip string) *visitor {
			v := visit(t, d, ip)
			v.greets(t)
			require.NoError(t, v.sends(t, begins(1)))
			require.NoError(t, v.sends(t, data(1, false, message(500_000))))
			return v
		}
		first := send("192.0.2.1")
		require.InDelta(t, 500_000, d.Stats().Unfinished, 16<<10)
		second := send("192.0.2.2")
		require.True(t, first.open())
		third := send("192.0.2.3")
		require.False(t, first.open(), "who has been there longest of those who have as much")

		// Whoever turns out to be a caller frees what strangers have.
		require.NoError(t, second.ticket().Claim("anna"))
		require.NoError(t, second.sends(t, data(1, false, message(1))))
		require.InDelta(t, 500_000, d.Stats().Unfinished, 16<<10)
		third.answers(t, trailers(1))
		require.NoError(t, third.sends(t, func(fr *http2.Framer) { _ = fr.WritePing(false, [8]byte{}) }))
		require.Zero(t, d.Stats().Unfinished)
	})
}

// TestAStrangerLeavesRoomForOthers, wherever else they come from.
func TestAStrangerLeavesRoomForOthers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := door.New(door.Config{Unfinished: 256 << 20}) // 32 MiB of strangers, 8 MiB of one
		hold := func(ip string) error {
			v := visit(t, d, ip)
			v.greets(t)
			require.NoError(t, v.sends(t, begins(1)))
			return v.sends(t, data(1, false, message(4 << 20)[:4_000_000]))
		}
		require.NoError(t, hold("192.0.2.1"))
		require.NoError(t, hold("192.0.2.1"))
		var backlog *door.BacklogError
		require.ErrorAs(t, hold("192.0.2.1"), &backlog)
		require.True(t, backlog.Own)
		for _, ip := range []string{"198.51.100.1", "198.51.100.2", "198.51.100.3"} {
			require.NoError(t, hold(ip))
			require.NoError(t, hold(ip))
		}
		require.Equal(t, 8, d.Stats().Open)
		require.NoError(t, hold("198.51.100.4"))
		require.Equal(t, 8, d.Stats().Open, "somebody else has gone")
	})
}

// TestAHoardIsAFlood: nobody comes to it by accident.
func TestAHoardIsAFlood(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := door.New(door.Config{Unfinished: 32 << 20})
		v := visit(t, d, "192.0.2.1")
		require.NoError(t, v.ticket().Claim("eve"))
		v.greets(t)
		var err error
		for stream := uint32(1); err == nil; stream += 2 {
			require.NoError(t, v.sends(t, begins(stream)))
			err = v.sends(t, data(stream, false, message(4 << 20)[:1<<20]))
		}
		var backlog *door.BacklogError
		require.ErrorAs(t, err, &backlog)
		require.NoError(t, v.Close())
		require.Positive(t, refusal(t, visit(t, d, "192.0.2.1").ticket().Claim("eve")))
		time.Sleep(10 * time.Second)
		require.Zero(t, d.Stats().Unfinished)
	})
}

// FuzzBacklog: however frames are cut, what is counted is the same, never below
// zero, and nothing is left at the end.
func FuzzBacklog(f *testing.F) {
	var wire bytes.Buffer
	fr := http2.NewFramer(&wire, nil)
	begins(1)(fr)
	data(1, false, message(70_000)[:50_000])(fr)
	_ = fr.WriteDataPadded(1, false, make([]byte, 30_000), make([]byte, 9))
	f.Add(wire.Bytes(), 20_000, true)
	f.Add([]byte{0, 0, 1, 0, 8, 0, 0, 0, 1, 9}, 9, false)
	f.Fuzz(func(t *testing.T, b []byte, cut int, claim bool) {
		cut = int(uint(cut) % uint(len(b)+1)) //nolint:gosec // any number will do
		b = append([]byte(http2.ClientPreface), b...)
		cut += len(http2.ClientPreface)
		count := func(parts ...[]byte) int64 {
			d := door.New(door.Config{FrameBurst: 1 << 30, Unfinished: 1 << 40})
			near, far := net.Pipe()
			defer far.Close()
			l := &fakeListener{conns: make(chan result, 1)}
			l.conns <- result{conn: fakeConn{near, &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1)}}}
			conn, err := d.Listener(l).Accept()
			require.NoError(t, err)
			m := d.Meter(conn)
			if claim {
				require.NoError(t, door.FromConn(m).Claim("anna"))
			}
			for _, p := range parts {
				go func() { _, _ = far.Write(p) }()
				for n := 0; n < len(p); {
					k, err := m.Read(make([]byte, len(p)))
					if err != nil {
						break
					}
					n += k
				}
			}
			held := d.Stats().Unfinished
			require.GreaterOrEqual(t, held, int64(0))
			require.LessOrEqual(t, held, int64(8*len(b)+16<<10), "each frame has a buffer")
			require.NoError(t, m.Close())
			require.Zero(t, d.Stats().Unfinished)
			return held
		}
		whole := count(b)
		require.InDelta(t, whole, count(b[:cut], b[cut:]), 32<<10) // what need not be told, twice
	})
}

// TestWhoHoardsMakesRoom: not the stranger who brings the last bytes has to go, but the
// one of the address that has most.
func TestWhoHoardsMakesRoom(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := door.New(door.Config{Unfinished: 160 << 20}) // 20 MiB for strangers
		enter := func(ip string, bytes int) (*visitor, error) {
			v := visit(t, d, ip)
			require.NotNil(t, v)
			v.greets(t)
			require.NoError(t, v.sends(t, begins(1)))
			return v, v.sends(t, data(1, false, message(64 << 20)[:bytes]))
		}
		hold := func(ip string, bytes int) *visitor {
			v, err := enter(ip, bytes)
			require.NoError(t, err)
			return v
		}
		big := hold("192.0.2.1", 7<<20)
		var many []*visitor
		for range 5 { // less each than anybody, and more together
			many = append(many, hold("192.0.2.2", 1500<<10))
		}
		good := hold("192.0.2.3", 3<<20)
		next := hold("192.0.2.4", 4<<20)
		open := func(of ...*visitor) (n int) {
			for _, v := range of {
				if v.open() {
					n++
				}
			}
			return n
		}
		require.Less(t, open(many...), 5)
		require.Equal(t, 3, open(big, good, next))
		last := hold("192.0.2.5", 4<<20)
		require.False(t, big.open())
		require.Equal(t, 3, open(good, next, last))
		require.Equal(t, 1+5-open(many...), int(d.Stats().Hoarded)) //nolint:gosec // small
		require.LessOrEqual(t, d.Stats().Unfinished, int64(20<<20))
		require.NotNil(t, visit(t, d, "192.0.2.2"), "it is no flood")
	})
}
