package door_test

import (
	"io"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"
	"golang.org/x/net/http2"

	"securesocket/server/door"
)

// TestWhatFramesCost: of a caller who may send a hundred without use, how many he can send
// after some others.
func TestWhatFramesCost(t *testing.T) {
	t.Parallel()
	const burst = 100
	times := func(n int, write func(fr *http2.Framer)) func(fr *http2.Framer) {
		return func(fr *http2.Framer) {
			for range n {
				write(fr)
			}
		}
	}
	ping := func(fr *http2.Framer) { _ = fr.WritePing(false, [8]byte{}) }
	end := func(fr *http2.Framer) { _ = fr.WriteData(1, true, nil) }
	settings := func(fr *http2.Framer) { _ = fr.WriteSettings() }
	three := func(fr *http2.Framer) { _ = fr.WriteSettings(make([]http2.Setting, 3)...) }
	none := func(*http2.Framer) {}
	for name, tc := range map[string]struct {
		first, answers, again func(fr *http2.Framer)
		want                  int
	}{
		"PING":                        {none, none, ping, burst},
		"SETTINGS without any":        {none, none, settings, burst},
		"SETTINGS with three":         {none, none, three, burst / 4},
		"the end of a stream, once":   {begins(1), none, end, burst + 1},
		"answers without data":        {none, times(50, func(fr *http2.Framer) { _ = fr.WriteData(1, false, nil) }), ping, burst},
		"answers with a byte, used":   {times(40, ping), times(10, func(fr *http2.Framer) { _ = fr.WriteData(1, false, []byte{0}) }), ping, burst},
		"more answers than were used": {times(40, ping), times(50, func(fr *http2.Framer) { _ = fr.WriteData(1, false, []byte{0}) }), ping, 60 + 1 + burst},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				v := visit(t, door.New(door.Config{FrameBurst: burst}), "192.0.2.1")
				require.NoError(t, v.ticket().Claim("anna"))
				v.greets(t)
				require.NoError(t, v.sends(t, tc.first))
				go func() { _, _ = io.Copy(io.Discard, v.far) }()
				tc.answers(http2.NewFramer(v, nil))
				n := 0
				for n < 10*burst && v.sends(t, tc.again) == nil {
					n++
				}
				require.Equal(t, tc.want, n)
			})
		})
	}
}

// TestTheReservedBitOfAStreamIsIgnored (RFC 9113 section 4.1).
func TestTheReservedBitOfAStreamIsIgnored(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := door.New(door.Config{})
		v := visit(t, d, "192.0.2.1")
		v.greets(t)
		require.NoError(t, v.bytes(t, []byte{0, 0, 0, 1, 4, 0x80, 0, 0, 1}))
		require.NoError(t, v.sends(t, data(1, false, message(200_000)[:100_000])))
		require.InDelta(t, 100_000, d.Stats().Unfinished, 32<<10)
	})
}

// TestNothingIsAnnouncedInsideAFrame that was written in part when there was too much.
func TestNothingIsAnnouncedInsideAFrame(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		v := visit(t, door.New(door.Config{}), "192.0.2.1")
		part := []byte{0, 0, 100, 0, 0, 0, 0, 0, 1, 'p', 'a', 'r', 't'}
		read := make(chan []byte)
		go func() {
			all, _ := io.ReadAll(v.far)
			read <- all
		}()
		_, err := v.Write(part)
		require.NoError(t, err)
		v.flood(t)
		require.Equal(t, part, <-read)
	})
}
