package session

import (
	"bytes"
	"context"
	"errors"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"
)

// lent is a payload that knows whether it was given back.
type lent struct {
	pieces   [][]byte
	released int
}

func (l *lent) Pieces() [][]byte { return l.pieces }
func (l *lent) Release()         { l.released++ }

func lend(pieces ...string) *lent {
	l := &lent{}
	for _, p := range pieces {
		l.pieces = append(l.pieces, []byte(p))
	}
	return l
}

func large(b byte) string { return string(bytes.Repeat([]byte{b}, maxJoined)) }

// drain writes what is queued, as writeLoop does.
func (c *connection) drain(tb testing.TB) string {
	tb.Helper()
	var peer bytes.Buffer
	for {
		p, ok, _ := c.next()
		if !ok {
			return peer.String()
		}
		n, err := p.writeTo(&peer)
		require.True(tb, c.wrote(n, err))
	}
}

func TestPayloadIsKeptUntilItIsWritten(t *testing.T) {
	t.Parallel()
	c := halves()
	l := lend(large('a'), "b")
	full, err := c.acceptLocked(0, l)
	require.NoError(t, err)
	require.False(t, full)
	require.Zero(t, l.released)
	require.Equal(t, large('a')+"b", c.drain(t))
	require.Equal(t, 1, l.released)
}

func TestSmallPayloadsAreJoined(t *testing.T) {
	t.Parallel()
	c := halves()
	for i := range 1000 {
		l := lend("ten ", "bytes.")
		_, err := c.acceptLocked(int64(10*i), l)
		require.NoError(t, err)
		require.Equal(t, 1, l.released, "it was copied")
	}
	require.Len(t, c.queue, 1)
	require.Equal(t, string(bytes.Repeat([]byte("ten bytes."), 1000)), c.drain(t))
}

// Bytes that come again are left out, wherever the new ones begin.
func TestBytesThatComeAgain(t *testing.T) {
	t.Parallel()
	whole := "x" + large('a') + "yz" + large('b')
	for _, had := range []int{0, 1, 2, maxJoined, maxJoined + 1, maxJoined + 2, maxJoined + 3, len(whole) - 1, len(whole)} {
		c := halves()
		_, err := c.acceptLocked(0, lend(whole[:had]))
		require.NoError(t, err)
		l := lend("x", large('a'), "yz", large('b'))
		_, err = c.acceptLocked(0, l)
		require.NoError(t, err)
		require.EqualValues(t, len(whole), c.accepted)
		require.Equal(t, whole, c.drain(t))
		require.Equal(t, 1, l.released, "with %d bytes before", had)
	}
}

func TestRefusedPayloadIsReleased(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		offset int64
		before func(*connection)
	}{
		"a gap":        {1, func(*connection) {}},
		"finished":     {0, func(c *connection) { c.finishAt = 0 }},
		"beyond it":    {0, func(c *connection) { c.finishAt = 1 }},
		"stopped":      {0, func(c *connection) { c.stopped = true }},
		"not writable": {0, func(c *connection) { c.writeCause = CausePeerReset }},
	} {
		c := halves()
		tc.before(c)
		l := lend("payload")
		full, err := c.acceptLocked(tc.offset, l)
		require.Error(t, err, name)
		require.False(t, full, name)
		require.Equal(t, 1, l.released, name)
	}
}

// fullHalves is a connection whose queue has no room.
func fullHalves(tb testing.TB) (*connection, *Attachment) {
	tb.Helper()
	c := halves()
	_, err := c.acceptLocked(0, lend(string(make([]byte, c.s.reg.cfg.BufferBytes))))
	require.NoError(tb, err)
	return c, &Attachment{s: c.s, kick: make(chan struct{}, 1), gone: make(chan struct{})}
}

// waiting begins to write a payload, and returns when it waits.
func waiting(ctx context.Context, c *connection, a *Attachment, l *lent) (done chan error) {
	done = make(chan error, 1)
	at := c.accepted
	go func() { done <- a.WritePayload(ctx, 1, at, l) }()
	synctest.Wait()
	return done
}

func TestPayloadWaitsForRoom(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, a := fullHalves(t)
		l := lend(large('x'), "y")
		done := waiting(t.Context(), c, a, l)
		require.Empty(t, done)
		require.Zero(t, l.released)
		c.drain(t)
		require.NoError(t, <-done)
		require.Equal(t, large('x')+"y", c.drain(t))
		require.Equal(t, 1, l.released)
	})
}

// One who waits goes when there is nothing to wait for, and leaves the payload's
// buffers behind.
func TestPayloadThatWaitsInVain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		for name, end := range map[string]func(context.CancelFunc, *connection, *Attachment) error{
			"the stream ended": func(cancel context.CancelFunc, _ *connection, _ *Attachment) error {
				cancel()
				return context.Canceled
			},
			"superseded": func(_ context.CancelFunc, c *connection, a *Attachment) error {
				c.s.mu.Lock()
				defer c.s.mu.Unlock()
				a.superseded = true
				close(a.gone)
				return &SupersededError{}
			},
			"the connection ended": func(_ context.CancelFunc, c *connection, _ *Attachment) error {
				c.s.mu.Lock()
				defer c.s.mu.Unlock()
				c.stopLocked(CauseLocal, nil, true)
				c.ended = true
				c.s.wakeLocked()
				return &StateError{}
			},
		} {
			ctx, cancel := context.WithCancel(t.Context())
			c, a := fullHalves(t)
			l := lend("payload")
			done := waiting(ctx, c, a, l)
			require.Empty(t, done, name)
			want := end(cancel, c, a)
			err := <-done
			if errors.Is(want, context.Canceled) {
				require.ErrorIs(t, err, want, name)
			} else {
				require.IsType(t, want, err, name)
			}
			require.Equal(t, 1, l.released, name)
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
		before := waiting(t.Context(), c, old, lend("old"))
		c.s.mu.Lock()
		old.superseded = true
		c.s.mu.Unlock()
		live := &Attachment{s: c.s, kick: make(chan struct{}, 1), gone: make(chan struct{})}
		after := waiting(t.Context(), c, live, lend("live"))
		close(old.gone)
		c.drain(t)
		require.IsType(t, &SupersededError{}, <-before)
		require.NoError(t, <-after)
		require.Equal(t, "live", c.drain(t))
	})
}

type failing int

var errFailing = errors.New("failing")

func (f *failing) Write(p []byte) (int, error) {
	if *f -= failing(len(p)); *f < 0 {
		return 0, errFailing
	}
	return len(p), nil
}

func TestPayloadOfAFailedWriteIsReleased(t *testing.T) {
	t.Parallel()
	l := lend("four", "more")
	p := pending{payload: l, skip: 1}
	room := failing(5)
	n, err := p.writeTo(&room)
	require.ErrorIs(t, err, errFailing)
	require.Equal(t, 3, n)
	require.Equal(t, 1, l.released)
}

// A frame of 64 KiB on its way from the server to the peer's records.
func BenchmarkWriteHalf(b *testing.B) {
	c := halves()
	a := &Attachment{s: c.s, kick: make(chan struct{}, 1)}
	a.reported.Generation = 1
	l := &lent{}
	for range MaxPieces {
		l.pieces = append(l.pieces, make([]byte, readSize))
	}
	var sink failing = 1 << 62
	b.SetBytes(MaxPieces * readSize)
	b.ReportAllocs()
	for b.Loop() {
		_ = a.WritePayload(b.Context(), 1, c.accepted, l)
		p, _, _ := c.next()
		c.wrote(p.writeTo(&sink))
		_, _, _ = a.nextLocked() // the progress
	}
}
