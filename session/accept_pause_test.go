package session

import (
	"net"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// exhausted is a socket for whose connections there are no descriptors, until the
// instant.
type exhausted struct {
	net.Listener
	until time.Time
	asked int
}

func (e *exhausted) Accept() (net.Conn, error) {
	e.asked++
	if time.Now().Before(e.until) {
		return nil, &net.OpError{Op: "accept", Err: syscall.EMFILE}
	}
	return nil, net.ErrClosed
}

// Where nothing can be accepted the listener waits, and lives.
func TestAcceptThatFailsIsNotAskedInALoop(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := NewRegistry(Config{Egress: everywhere{}})
		socket := &exhausted{until: time.Now().Add(30 * time.Second)}
		l := &Listener{reg: r, socket: socket, slots: make(chan struct{}, 1), stop: make(chan struct{}), stopped: make(chan struct{})}
		go l.run()
		<-l.stopped
		require.False(t, time.Now().Before(socket.until), "it lives as long as the trouble does")
		require.Less(t, socket.asked, 60)
		require.Empty(t, l.slots)
	})
}
