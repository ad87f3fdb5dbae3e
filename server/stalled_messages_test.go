package server_test

import (
	"bytes"
	"encoding/binary"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	pb "securesocket/gen/securesocket/v1"
)

// The largest message that the service takes, of which a caller sends all but
// the end: on as many streams as he likes, and without a session.
func TestMessagesThatNeverEndHoldNoMoreThanTheFormula(t *testing.T) {
	const streams, largest = 12, 4 << 20
	for _, test := range []struct {
		name     string
		frame    int
		overhead int64 // buffers are so many times as large as the frames
	}{
		{"HTTP/2 frames of 16 KiB", 16 << 10, 1},
		{"HTTP/2 frames of 1,100 bytes", 1100, 2},
	} {
		t.Run(test.name, func(t *testing.T) {
			service := startStalledService(t, 0)
			empty := service.memory()
			conn, err := net.Dial("unix", service.socket)
			require.NoError(t, err)
			t.Cleanup(func() { _ = conn.Close() })
			require.NoError(t, conn.SetDeadline(time.Now().Add(patience)))
			_, err = conn.Write([]byte(http2.ClientPreface))
			require.NoError(t, err)
			f := http2.NewFramer(conn, conn)
			require.NoError(t, f.WriteSettings())
			require.NoError(t, f.WriteSettingsAck())
			for i := range streams {
				halfMessage(t, f, uint32(2*i+1), largest, test.frame)
			}
			// It has obeyed everything before the ping when it answers.
			require.NoError(t, f.WritePing(false, [8]byte{1}))
			for answered := false; !answered; {
				m, err := f.ReadFrame()
				require.NoError(t, err)
				p, ok := m.(*http2.PingFrame)
				answered = ok && p.IsAck() && p.Data == [8]byte{1}
			}
			held := service.memory().used() - empty.used()
			t.Logf("%.2f MiB a stream", float64(held)/streams/(1<<20))
			require.LessOrEqual(t, held, (streams*(largest*test.overhead+heldIdle)+heldProcess+heldConnection)*11/10)
		})
	}
}

// halfMessage begins a call whose message lacks its last byte.
func halfMessage(tb testing.TB, f *http2.Framer, stream uint32, size, frame int) {
	tb.Helper()
	var block bytes.Buffer
	e := hpack.NewEncoder(&block)
	for _, h := range [][2]string{
		{":method", "POST"}, {":scheme", "http"}, {":authority", "service"}, {":path", pb.SecureSocketService_Connect_FullMethodName},
		{"content-type", "application/grpc"}, {"te", "trailers"},
	} {
		require.NoError(tb, e.WriteField(hpack.HeaderField{Name: h[0], Value: h[1]}))
	}
	require.NoError(tb, f.WriteHeaders(http2.HeadersFrameParam{StreamID: stream, BlockFragment: block.Bytes(), EndHeaders: true}))
	require.NoError(tb, f.WriteData(stream, false, binary.BigEndian.AppendUint32([]byte{0}, uint32(size))))
	for widened := false; !widened; { // the service makes room for all of it
		m, err := f.ReadFrame()
		require.NoError(tb, err)
		w, ok := m.(*http2.WindowUpdateFrame)
		widened = ok && w.StreamID == stream
	}
	for left := size - 1; left > 0; left -= frame {
		require.NoError(tb, f.WriteData(stream, false, stalledBytes[:min(left, frame)]))
	}
}
