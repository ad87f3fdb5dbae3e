package resume

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// crossed is a resumable generation whose caller has 200 plain bytes and the event
// before them, and whose service has entered TLS behind the 10th.
func crossed(t *testing.T, secure int) *Core {
	t.Helper()
	now := time.Now()
	c := New(Config{})
	c.Begin(now, Options{Resumable: true})
	_, err := c.Attach(now, AttachArgs{Seq: 1})
	require.NoError(t, err)
	c.Emit(Event{Value: "connected"})
	require.NoError(t, c.Received(1, NewBuffer(make([]byte, 200))))
	for {
		f, err := c.Next(now, 1, 1000)
		require.NoError(t, err)
		if f.Kind == FrameNone {
			break
		}
		f.Data.Release()
	}
	c.Detach(now, 1)
	_, err = c.Rewind(10)
	require.NoError(t, err)
	c.Emit(Event{Value: "mode"})
	if secure > 0 {
		b := make([]byte, secure)
		for i := range b {
			b[i] = 's'
		}
		require.NoError(t, c.Received(1, NewBuffer(b)))
	}
	return c
}

// Who has bytes beyond the switch, and not the event of the switch, has the wrong ones.
func TestAttachOverASwitchThatTheCallerHasNotHeardOf(t *testing.T) {
	t.Parallel()
	c := crossed(t, 500)
	told, err := c.Attach(time.Now(), AttachArgs{Seq: 2, Trusted: true, Offset: 200, EventSeq: 1})
	require.NoError(t, err)
	require.EqualValues(t, 10, told.Offset, "bytes 10 to 199 of TLS are lost, and plain ones stand for them")
}

// An honest caller's newest attach is never refused for its offsets.
func TestAttachBeyondWhatWasTakenBack(t *testing.T) {
	t.Parallel()
	c := crossed(t, 0)
	_, err := c.Attach(time.Now(), AttachArgs{Seq: 2, Trusted: true, Offset: 200, EventSeq: 1})
	require.NoError(t, err)
}

// Where nothing was taken back, offsets are what they are.
func TestNothingWasTakenBack(t *testing.T) {
	t.Parallel()
	c := New(Config{})
	require.EqualValues(t, 7, c.Heard(7, 0), "before the first generation")
	c.Begin(time.Now(), Options{Resumable: true})
	require.NoError(t, c.Received(1, NewBuffer(make([]byte, 10))))
	require.EqualValues(t, 7, c.Heard(7, 0))
}
