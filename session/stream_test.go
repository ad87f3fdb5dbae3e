package session

import (
	"bytes"
	"context"
	"errors"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"
)

// halves is a session with a connection that has no socket, and its stream.
func halves(tb testing.TB) (*connection, *Attachment) {
	tb.Helper()
	r := NewRegistry(Config{})
	tb.Cleanup(r.Close)
	s, _, _, err := r.Create("owner", Settings{}, false, Request{})
	require.NoError(tb, err)
	a := attach(tb, s, 1)
	c := s.newConnection(ConnectArgs{}, s.effectiveLocked(), &Permit{limits: &r.limits})
	c.ctx, c.cancel = context.WithCancelCause(tb.Context())
	s.conn = c
	c.gen = s.core.Begin(c.timeline.began, c.streamOptions())
	close(c.done)
	tb.Cleanup(func() { c.ended = true })
	return c, a
}

func attach(tb testing.TB, s *Session, seq int64) *Attachment {
	tb.Helper()
	a, _, err := s.Attach(AttachArgs{Seq: seq, Trusted: true})
	require.NoError(tb, err)
	return a
}

// read is what readLoop does with bytes that came in one Read.
func (c *connection) readBytes(p []byte) {
	b := chunks.Get()
	b.Filled(copy(b.Spare(), p))
	c.receive(fitting(b), nil)
}

// drain writes what is queued, as writeLoop does.
func (c *connection) drain() string {
	var peer bytes.Buffer
	for {
		w, _, _ := c.nextWrite()
		if len(w.Bytes) == 0 {
			return peer.String()
		}
		n, err := peer.Write(w.Bytes)
		w.Release()
		c.wrote(n, err)
	}
}

// An event stands between the bytes before and after it, though there would be
// room for both in one frame.
func TestFrameEndsAtAnEvent(t *testing.T) {
	t.Parallel()
	c, a := halves(t)
	c.readBytes([]byte("before"))
	c.s.emitLocked(ModeChanged{})
	c.readBytes([]byte("after"))
	var got []string
	for {
		out, ok, err := a.Next()
		require.NoError(t, err)
		if !ok {
			break
		}
		switch {
		case out.Event != nil:
			got = append(got, "event")
		case len(out.Data.Bytes) > 0:
			got = append(got, string(out.Data.Bytes))
			out.Data.Release()
		}
	}
	require.Equal(t, []string{"before", "event", "after"}, got)
}

func TestFewBytesHoldNoLargeBuffer(t *testing.T) {
	t.Parallel()
	for n, capacity := range map[int]int{1: littleSize, littleSize: littleSize, littleSize + 1: recordSize, recordSize: recordSize, recordSize + 1: chunkSize} {
		b := chunks.Get()
		b.Filled(n)
		b = fitting(b)
		require.Equal(t, n, b.Len())
		require.Equal(t, capacity, cap(b.Bytes()))
		b.Release()
	}
}

// What went out before a write failed was written.
func TestBytesBeforeAnErrorCount(t *testing.T) {
	t.Parallel()
	c, a := halves(t)
	require.NoError(t, a.Write(t.Context(), 1, 0, []byte("hello")))
	w, _, _ := c.nextWrite()
	w.Release()
	c.stopped = true // there is no socket to tell
	require.False(t, c.wrote(2, errors.New("reset")))
	_, written, _ := c.s.core.Counts()
	require.EqualValues(t, 2, written)
}

// waiting begins to write a payload where there is no room, and returns when it
// waits.
func waiting(ctx context.Context, c *connection, a *Attachment, payload string) (done chan error) {
	done = make(chan error, 1)
	at, _, _ := c.s.core.Counts()
	go func() { done <- a.Write(ctx, 1, at, []byte(payload)) }()
	synctest.Wait()
	return done
}

func fullHalves(tb testing.TB) (*connection, *Attachment) {
	tb.Helper()
	c, a := halves(tb)
	require.NoError(tb, a.Write(tb.Context(), 1, 0, make([]byte, c.settings.SendBytes)))
	return c, a
}

func TestPayloadWaitsForRoom(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, a := fullHalves(t)
		done := waiting(t.Context(), c, a, "xy")
		require.Empty(t, done)
		got := c.drain()
		require.NoError(t, <-done)
		require.Equal(t, "xy", (got + c.drain())[c.settings.SendBytes:])
	})
}

// One who waits goes when there is nothing to wait for.
func TestPayloadThatWaitsInVain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		for name, end := range map[string]func(context.CancelFunc, *connection) error{
			"the stream ended": func(cancel context.CancelFunc, _ *connection) error {
				cancel()
				return context.Canceled
			},
			"superseded": func(_ context.CancelFunc, c *connection) error {
				attach(t, c.s, 2)
				return &SupersededError{}
			},
			"the connection ended": func(_ context.CancelFunc, c *connection) error {
				c.s.mu.Lock()
				defer c.s.mu.Unlock()
				c.stopLocked(CauseLocal, nil, true)
				c.ended = true
				c.s.emitLocked(Closed{})
				return &StateError{}
			},
		} {
			ctx, cancel := context.WithCancel(t.Context())
			c, a := fullHalves(t)
			done := waiting(ctx, c, a, "payload")
			require.Empty(t, done, name)
			want := end(cancel, c)
			err := <-done
			if errors.Is(want, context.Canceled) {
				require.ErrorIs(t, err, want, name)
			} else {
				require.IsType(t, want, err, name)
			}
			cancel()
		}
	})
}

// The stream that has the session now is not left waiting for a signal that the
// one before it took.
func TestRoomIsForTheLatestStream(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, old := fullHalves(t)
		before := waiting(t.Context(), c, old, "old")
		live := attach(t, c.s, 2)
		after := waiting(t.Context(), c, live, "live")
		got := c.drain()
		require.IsType(t, &SupersededError{}, <-before)
		require.NoError(t, <-after)
		require.Equal(t, "live", (got + c.drain())[c.settings.SendBytes:])
	})
}

// A frame of 64 KiB on its way from the peer's records to the server.
func BenchmarkReadHalf(b *testing.B) {
	c, a := halves(b)
	for b.SetBytes(MaxPayload); ; {
		if _, ok, _ := a.Next(); !ok {
			break
		}
	}
	b.ReportAllocs()
	for b.Loop() {
		chunk := chunks.Get()
		chunk.Filled(MaxPayload)
		c.receive(fitting(chunk), nil)
		out, _, _ := a.Next()
		out.Data.Release()
	}
}

// A frame of 64 KiB on its way from the server to the peer's records.
func BenchmarkWriteHalf(b *testing.B) {
	c, a := halves(b)
	p := make([]byte, MaxPayload/4)
	b.SetBytes(MaxPayload)
	b.ReportAllocs()
	for at := int64(0); b.Loop(); at += MaxPayload {
		_ = a.Write(b.Context(), 1, at, p, p, p, p)
		w, _, _ := c.nextWrite()
		w.Release()
		c.wrote(len(w.Bytes), nil)
		_, _, _ = a.Next() // the progress
	}
}
