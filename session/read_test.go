package session

import (
	"bytes"
	"context"
	"math"
	"testing"

	"github.com/stretchr/testify/require"
)

// halves is a connection that has no socket.
func halves() *connection {
	s := &Session{reg: &Registry{cfg: Config{BufferBytes: 256 << 10}}}
	c := &connection{s: s, gen: 1}
	c.ctx, c.cancel = context.WithCancelCause(context.Background())
	c.space, c.ready = make(chan struct{}, 1), make(chan struct{}, 1)
	c.finishAt = -1
	s.conn, s.generation = c, 1
	return c
}

// read is what readLoop does with bytes that came in one Read.
func (c *connection) read(p []byte) {
	k := newChunk()
	k.buf = append(k.buf, p...)
	c.receive(k, nil)
}

func TestFrameIsMadeOfWhatIsThere(t *testing.T) {
	t.Parallel()
	c := halves()
	want := bytes.Repeat([]byte("0123456789abcdef"), readSize*6/16)
	for p := want; len(p) > 0; p = p[readSize:] {
		c.read(p[:readSize])
	}
	require.Equal(t, 6*readSize, c.held)
	first, second := c.takeLocked(math.MaxInt64), c.takeLocked(math.MaxInt64)
	require.Nil(t, c.takeLocked(math.MaxInt64))
	require.Len(t, first.Pieces, MaxPieces)
	require.Len(t, second.Pieces, 2)
	require.EqualValues(t, MaxPieces*readSize, second.Offset)
	require.Equal(t, want, bytes.Join(append(first.Pieces, second.Pieces...), nil))
	require.Zero(t, c.held)
	require.EqualValues(t, len(want), c.delivered)
	first.Release()
	second.Release()
}

func TestLittleRecordsShareABuffer(t *testing.T) {
	t.Parallel()
	c := halves()
	for range 1000 {
		c.read([]byte("ten bytes."))
	}
	require.Equal(t, readSize, c.held)
	r := c.takeLocked(math.MaxInt64)
	require.Equal(t, bytes.Repeat([]byte("ten bytes."), 1000), bytes.Join(r.Pieces, nil))
	r.Release()
}

// An event stands between the bytes before and after it, though there would be
// room for both in one frame.
func TestFrameEndsAtAnEvent(t *testing.T) {
	t.Parallel()
	c := halves()
	a := &Attachment{s: c.s, kick: make(chan struct{}, 1)}
	a.reported.Generation = 1
	c.read([]byte("before"))
	c.s.emitLocked(ModeChanged{})
	c.read([]byte("after"))
	var got []string
	for {
		out, ok, err := a.nextLocked()
		require.NoError(t, err)
		if !ok {
			break
		}
		if out.Event != nil {
			got = append(got, "event")
			continue
		}
		got = append(got, string(bytes.Join(out.Data.Pieces, nil)))
		out.Data.Release()
	}
	require.Equal(t, []string{"before", "event", "after"}, got)
}

// A frame of 64 KiB on its way from the peer's records to the server.
func BenchmarkReadHalf(b *testing.B) {
	c := halves()
	a := &Attachment{s: c.s, kick: make(chan struct{}, 1)}
	a.reported.Generation = 1
	record := make([]byte, readSize)
	b.SetBytes(MaxPieces * readSize)
	b.ReportAllocs()
	for b.Loop() {
		for range MaxPieces {
			c.read(record)
		}
		out, _, _ := a.nextLocked()
		out.Data.Release()
	}
}
