package door

import (
	"bytes"
	"io"
	"net"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/net/http2"
)

func headers(f *frames, parts ...[]byte) (all []frameHeader) {
	for _, p := range parts {
		for {
			rest, h, ok := f.next(p)
			if !ok {
				break
			}
			all, p = append(all, h), rest
		}
	}
	return all
}

func TestFramesAreFoundHoweverTheyAreCut(t *testing.T) {
	t.Parallel()
	var wire bytes.Buffer
	fr := http2.NewFramer(&wire, nil)
	require.NoError(t, fr.WriteSettings())
	require.NoError(t, fr.WriteData(1, true, make([]byte, 20)))
	require.NoError(t, fr.WritePing(true, [8]byte{}))
	require.NoError(t, fr.WriteData(1<<31-1, false, nil))
	want := []frameHeader{
		{0, frameSettings, 0, 0}, {20, frameData, flagEndStream, 1}, {8, byte(http2.FramePing), byte(http2.FlagPingAck), 0}, {0, frameData, 0, 1<<31 - 1},
	}
	b := wire.Bytes()
	require.Equal(t, want, headers(&frames{}, b))
	require.Equal(t, want, headers(&frames{}, slices.Collect(slices.Chunk(b, 1))...))
	for i := range b {
		for j := i; j < len(b); j++ {
			var f frames
			require.Equal(t, want, headers(&f, b[:i], b[i:j], nil, b[j:]))
			require.True(t, f.between())
		}
	}
	var f frames
	headers(&f, b[:len(b)-1])
	require.False(t, f.between())
}

func FuzzFrames(f *testing.F) {
	f.Add([]byte{0, 0, 1, 0, 0, 0, 0, 0, 1, 'x', 0, 0, 0, 4}, 3)
	f.Add([]byte{0xff, 0xff, 0xff, 1, 2, 0xff, 0xff, 0xff, 0xff, 0}, 9)
	f.Fuzz(func(t *testing.T, b []byte, cut int) {
		cut = int(uint(cut) % uint(len(b)+1)) //nolint:gosec // any number will do
		var whole, halves frames
		require.Equal(t, headers(&whole, b), headers(&halves, b[:cut], b[cut:]))
		require.Equal(t, whole.skip, halves.skip)
		require.Equal(t, whole.have, halves.have)
	})
}

// endless is a connection that reads the same bytes again and again.
type endless struct {
	net.Conn
	bytes []byte
	at    int
}

func (e *endless) Read(p []byte) (int, error) {
	n := copy(p, e.bytes[e.at:])
	e.at = (e.at + n) % len(e.bytes)
	return n, nil
}

func (e *endless) Write(p []byte) (int, error)      { return len(p), nil }
func (e *endless) RemoteAddr() net.Addr             { return nil }
func (e *endless) Close() error                     { return nil }
func (e *endless) SetWriteDeadline(time.Time) error { return nil }

// dataFrames are a stream's, of messages of 64 KiB in frames of a size.
func dataFrames(size int) []byte {
	var wire bytes.Buffer
	fr := http2.NewFramer(&wire, nil)
	_ = fr.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, EndHeaders: true})
	message := append([]byte{0, 0, 1, 0, 0}, make([]byte, 64<<10)...)
	for wire.Len() < 1<<20 {
		for part := range slices.Chunk(message, size) {
			_ = fr.WriteData(1, false, part)
		}
	}
	return wire.Bytes()
}

// BenchmarkMeter compares reads of 32 KiB, as the HTTP/2 server makes them, and
// writes of 64 KiB, with and without a meter: in memory, where only the meter
// and a copy are left, and through a Unix socket.
func BenchmarkMeter(b *testing.B) {
	for name, size := range map[string]int{"DATA of 16 KiB": 16 << 10, "DATA of 64 B": 64} {
		wire := dataFrames(size)
		for _, metered := range []bool{false, true} {
			kind := map[bool]string{false: "bare", true: "metered"}[metered]
			wrap := func(conn net.Conn) net.Conn {
				if !metered {
					return conn
				}
				m := New(Config{}).Meter(conn).(*meter)
				m.in.skip = 0
				return m
			}
			b.Run("read/memory/"+name+"/"+kind, func(b *testing.B) {
				read(b, wrap(&endless{bytes: wire}))
			})
			b.Run("write/memory/"+name+"/"+kind, func(b *testing.B) {
				conn := wrap(&endless{bytes: wire})
				b.SetBytes(64 << 10)
				b.ReportAllocs()
				for rest := wire; b.Loop(); {
					n := min(64<<10, len(rest))
					_, _ = conn.Write(rest[:n])
					if rest = rest[n:]; len(rest) == 0 {
						rest = wire
					}
				}
			})
			b.Run("read/socket/"+name+"/"+kind, func(b *testing.B) {
				l, err := net.Listen("unix", b.TempDir()+"/s")
				require.NoError(b, err)
				far, err := net.Dial("unix", l.Addr().String())
				require.NoError(b, err)
				near, err := l.Accept()
				require.NoError(b, err)
				done := make(chan struct{})
				go func() {
					defer close(done)
					for {
						if _, err := far.Write(wire); err != nil {
							return
						}
					}
				}()
				read(b, wrap(near))
				_, _, _ = near.Close(), far.Close(), l.Close()
				<-done
			})
		}
	}
}

func read(b *testing.B, conn net.Conn) {
	b.Helper()
	buf := make([]byte, 32<<10)
	b.SetBytes(int64(len(buf)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := io.ReadFull(conn, buf); err != nil {
			b.Fatal(err)
		}
	}
}
