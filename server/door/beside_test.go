package door

import (
	"bytes"
	"context"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/net/http2"
)

// TestStreamsBeginAndEndBesideEachOther: what is read and what is written are looked at by
// two goroutines, and a claim by a third.
func TestStreamsBeginAndEndBesideEachOther(t *testing.T) {
	t.Parallel()
	const streams, hoarded = 20_000, 100
	d := New(Config{FrameBurst: 1 << 20, RPCs: 1 << 20, RPCsPerCaller: 1 << 20})
	near, far := net.Pipe()
	defer far.Close()
	c := d.admit(near)
	m := d.Meter(c)
	var wire bytes.Buffer
	wire.WriteString(http2.ClientPreface)
	fr := http2.NewFramer(&wire, nil)
	for id := uint32(1); id < 2*streams; id += 2 {
		require.NoError(t, fr.WriteHeaders(http2.HeadersFrameParam{StreamID: id, EndHeaders: true}))
		require.NoError(t, fr.WriteData(id, false, append([]byte{0, 0, 0, 4, 0}, make([]byte, hoarded)...)))
	}
	size := wire.Len()
	begun := make(chan uint32, streams)
	var wg sync.WaitGroup
	wg.Go(func() { _, _ = io.Copy(far, &wire) })
	wg.Go(func() { _, _ = io.Copy(io.Discard, far) })
	wg.Go(func() {
		defer close(begun)
		next := uint32(1)
		for read, buf := 0, make([]byte, 32<<10); read < size; {
			n, err := m.Read(buf)
			if err != nil {
				t.Error(err)
				return
			}
			for read += n; next <= m.(*meter).last; next += 2 {
				begun <- next
			}
		}
	})
	wg.Go(func() {
		fr := http2.NewFramer(m, nil)
		for id := range begun {
			if id == streams+1 {
				continue // this one goes on
			}
			if err := fr.WriteHeaders(http2.HeadersFrameParam{StreamID: id, EndHeaders: true, EndStream: true}); err != nil {
				t.Error(err)
			}
		}
		_ = far.Close()
	})
	wg.Go(func() {
		if err := c.ticket.Claim("anna"); err != nil {
			t.Error(err)
		}
	})
	wg.Go(func() {
		for range streams {
			ctx, cancel := context.WithCancel(t.Context())
			if err := c.ticket.Begin(ctx); err != nil {
				t.Error(err)
			}
			cancel()
		}
	})
	wg.Wait()
	anna := d.callers["anna"]
	require.Eventually(t, func() bool { return anna.rpcs.held.Load() == 0 }, 20*time.Second, time.Millisecond, "they end a little later")
	require.Zero(t, d.strangers.rpcs.held.Load())
	require.Equal(t, int64(1), anna.streams.held.Load())
	require.InDelta(t, hoarded, anna.unfinished.held.Load(), backlogStep)
	require.NoError(t, m.Close())
	for _, o := range []*owner{anna, &d.strangers} {
		require.Zero(t, o.streams.held.Load())
		require.Zero(t, o.unfinished.held.Load())
	}
}
