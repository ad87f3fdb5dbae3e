package door_test

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
	"google.golang.org/grpc/credentials/insecure"

	"securesocket/server/door"
)

// TestWhatIsCountedIsWhatIsHeld by gRPC, however messages that do not end are cut.
func TestWhatIsCountedIsWhatIsHeld(t *testing.T) { //nolint:paralleltest // it measures memory
	heap := func() int64 {
		runtime.GC()
		runtime.GC() // pools keep what they have for one more
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc) //nolint:gosec // small
	}
	for _, frame := range []struct{ size, padding int }{{8, 0}, {8, 255}, {100, 0}, {769, 255}, {1025, 0}, {4000, 0}, {5000, 0}, {16384, 0}} {
		t.Run(fmt.Sprint(frame), func(t *testing.T) { //nolint:paralleltest // it measures memory
			d := door.New(door.Config{Unfinished: 16 << 30})
			conn, err := net.Dial("tcp", serve(t, d, listen(t, "tcp"), insecure.NewCredentials()).String())
			require.NoError(t, err)
			defer conn.Close()
			go func() { _, _ = io.Copy(io.Discard, conn) }()
			var wire, headers bytes.Buffer
			fr, enc := http2.NewFramer(&wire, nil), hpack.NewEncoder(&headers)
			wire.WriteString(http2.ClientPreface)
			require.NoError(t, fr.WriteSettings())
			const streams, window = 100, 60_000
			for stream := uint32(1); stream < 2*streams; stream += 2 {
				headers.Reset()
				for _, f := range []hpack.HeaderField{
					{Name: ":method", Value: "POST"}, {Name: ":scheme", Value: "http"}, {Name: ":authority", Value: "a"},
					{Name: ":path", Value: "/grpc.health.v1.Health/Check"}, {Name: "content-type", Value: "application/grpc"},
				} {
					require.NoError(t, enc.WriteField(f))
				}
				require.NoError(t, fr.WriteHeaders(http2.HeadersFrameParam{StreamID: stream, BlockFragment: headers.Bytes(), EndHeaders: true}))
				padding := []byte(nil)
				if frame.padding > 0 {
					padding = make([]byte, frame.padding)
				}
				part := append([]byte{0, 0, 0x20, 0, 0}, make([]byte, frame.size)...)[:frame.size] // of 2 MiB
				for n := 0; n+frame.size+1+frame.padding < window; n += frame.size + 1 + frame.padding {
					require.NoError(t, fr.WriteDataPadded(stream, false, part, padding))
					clear(part)
				}
			}
			before := heap()
			_, err = conn.Write(wire.Bytes())
			require.NoError(t, err)
			var held int64
			eventually(t, func() bool {
				last := held
				held = d.Stats().Unfinished
				return held > streams*window/2 && held == last
			})
			used := heap() - before
			held = d.Stats().Unfinished // after that: more may have come
			require.Less(t, used, held+held/4+1<<20)
		})
	}
}
