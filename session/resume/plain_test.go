package resume

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// plain is a generation in plain mode that is not resumable.
func plain(t *testing.T, o Options) *Core {
	t.Helper()
	c := started(t, o)
	c.Keep(true)
	return c
}

func TestSentBytesAreKeptWhileThereIsRoom(t *testing.T) {
	t.Parallel()
	c := plain(t, Options{ChunkBytes: 4, ReceiveBytes: 8, SendBytes: 4})
	require.NoError(t, c.Received(1, buffer("abcd")))
	require.NoError(t, c.Received(1, buffer("efgh")))
	require.Zero(t, c.Room(1), "nothing was sent yet")
	require.Equal(t, "abcd", string(next(t, c, epoch0).Data.Bytes))
	require.Zero(t, c.KeptFrom(), "sent, and kept")
	require.NotZero(t, c.Effects()&WakeReader)
	require.Equal(t, 4, c.Room(1))
	require.EqualValues(t, 4, c.KeptFrom(), "its room was needed")
	require.NoError(t, c.Received(1, buffer("ijkl")))
	require.Equal(t, "efgh", string(next(t, c, epoch0).Data.Bytes))
	require.NoError(t, c.Ack(epoch0, 1, 1, 6, 0))
	require.EqualValues(t, 6, c.KeptFrom())
	c.Keep(false)
	require.EqualValues(t, 8, c.KeptFrom(), "what was sent")
	require.Equal(t, "ijkl", string(next(t, c, epoch0).Data.Bytes))
	require.Equal(t, 4, c.Room(1))
}

func TestRewind(t *testing.T) {
	t.Parallel()
	for _, resumable := range []bool{false, true} {
		c := plain(t, Options{ChunkBytes: 4, ReceiveBytes: 64, SendBytes: 4, Resumable: resumable})
		for _, s := range []string{"abcd", "efgh", "ijkl"} {
			require.NoError(t, c.Received(1, buffer(s)))
		}
		c.Emit(Event{At: epoch0, Value: "after twelve"})
		first, second := next(t, c, epoch0).Data, next(t, c, epoch0).Data
		require.NoError(t, c.Ack(epoch0, 1, 1, 3, 0))
		var oe *OffsetError
		_, err := c.Rewind(2)
		require.ErrorAs(t, err, &oe, "acked")
		_, err = c.Rewind(13)
		require.ErrorAs(t, err, &oe, "not received")

		back, err := c.Rewind(6)
		require.NoError(t, err)
		require.Equal(t, "ghijkl", string(back))
		_, _, received := c.Counts()
		require.EqualValues(t, 6, received)
		require.NoError(t, c.Received(1, buffer("GH")))
		require.Equal(t, "abcd", string(first.Bytes))
		require.Equal(t, "efgh", string(second.Bytes), "bytes that were handed out stay as they are")
		require.Equal(t, "after twelve", next(t, c, epoch0).Event.Value, "its place went back too")
		after := next(t, c, epoch0).Data
		require.EqualValues(t, 6, after.Offset)
		require.Equal(t, "GH", string(after.Bytes))
		require.NoError(t, c.Ack(epoch0, 1, 1, 8, 0))
		c.Keep(false)
		require.Zero(t, c.gen.recv.held)
	}
}

func TestRewindOfNothing(t *testing.T) {
	t.Parallel()
	c := plain(t, Options{})
	back, err := c.Rewind(0)
	require.NoError(t, err)
	require.Empty(t, back)
	require.NoError(t, c.Received(1, buffer("abc")))
	back, err = c.Rewind(3)
	require.NoError(t, err)
	require.Empty(t, back)
	require.Equal(t, "abc", string(next(t, c, epoch0).Data.Bytes))
}

func TestHold(t *testing.T) {
	t.Parallel()
	c := plain(t, Options{ChunkBytes: 4, SendBytes: 64})
	_, err := c.Data(epoch0, 1, 1, 0, []byte("abcdefgh"))
	require.NoError(t, err)
	require.Equal(t, "abc", string(c.NextWrite(1, 3).Bytes))
	var oe *OffsetError
	require.ErrorAs(t, c.Hold(2), &oe, "on its way")
	require.EqualValues(t, 3, oe.Have)
	require.NoError(t, c.Hold(5))
	c.Wrote(epoch0, 1, 3)
	require.Equal(t, "d", string(c.NextWrite(1, 64).Bytes))
	c.Wrote(epoch0, 1, 1)
	require.Equal(t, "e", string(c.NextWrite(1, 64).Bytes))
	c.Wrote(epoch0, 1, 1)
	require.NoError(t, c.Finish(epoch0, 1, 1, 8))
	require.Equal(t, Write{}, c.NextWrite(1, 64))
	c.LetGo()
	require.Equal(t, "fgh", string(c.NextWrite(1, 64).Bytes))
	c.Wrote(epoch0, 1, 3)
	require.True(t, c.NextWrite(1, 64).Finish)
}

func TestHoldBeforeTheHalfClose(t *testing.T) {
	t.Parallel()
	c := plain(t, Options{})
	_, err := c.Data(epoch0, 1, 1, 0, []byte("ab"))
	require.NoError(t, err)
	require.NoError(t, c.Finish(epoch0, 1, 1, 2))
	var oe *OffsetError
	require.ErrorAs(t, c.Hold(3), &oe, "never to come")
	require.NoError(t, c.Hold(2))
	c.Wrote(epoch0, 1, 2)
	require.Equal(t, Write{}, c.NextWrite(1, 64), "the half-close waits for TLS")
	c.LetGo()
	require.NotZero(t, c.Effects()&WakeWriter)
	require.True(t, c.NextWrite(1, 64).Finish)
}

func TestNextGenerationHoldsNothing(t *testing.T) {
	t.Parallel()
	c := plain(t, Options{})
	require.NoError(t, c.Hold(0))
	require.EqualValues(t, 2, c.Begin(epoch0, Options{}))
	_, err := c.Data(epoch0.Add(time.Second), 1, 2, 0, []byte("a"))
	require.NoError(t, err)
	require.Equal(t, "a", string(c.NextWrite(2, 1).Bytes))
}
