package client

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// TestLastEventIsAcked: the service keeps a session until its end is acked, so nothing comes to an end before that.
func TestLastEventIsAcked(t *testing.T) {
	t.Parallel()
	var w sendBuffer
	w.init(true)
	ended := 0
	w.ending = func() { ended++ }
	w.acks.on.Store(true)
	w.mu.Lock()
	w.link = &link{}
	w.acks.offset, w.acks.event, w.acks.toldOffset, w.acks.toldEvent = 10, 2, 10, 2
	w.mu.Unlock()

	w.complete(10, 3)

	w.mu.Lock()
	defer w.mu.Unlock()
	require.False(t, w.settledLocked())
	_, ok := w.nextLocked()
	require.True(t, ok, "the ack")
	require.EqualValues(t, 3, w.acks.toldEvent)
	require.Zero(t, ended)
	_, ok = w.nextLocked()
	require.False(t, ok)
	require.Equal(t, 1, ended)
}
