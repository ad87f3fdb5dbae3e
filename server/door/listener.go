package door

import (
	"errors"
	"net"
	"sync"
	"time"
)

// Listener returns a listener that accepts those of l for whom there is room,
// each as a *[Conn]. Its Accept fails only where asking again is of no use:
// while descriptors are missing it waits, and Close ends the wait.
func (d *Door) Listener(l net.Listener) net.Listener {
	return &listener{Listener: l, door: d, closed: make(chan struct{})}
}

type listener struct {
	net.Listener
	door   *Door
	once   sync.Once
	closed chan struct{} // closed by Close
}

// The waits after an accept(2) that failed.
const (
	firstBackoff = 5 * time.Millisecond
	maxBackoff   = time.Second
)

func (l *listener) Accept() (net.Conn, error) {
	var backoff time.Duration
	for {
		conn, err := l.Listener.Accept()
		if err == nil {
			backoff = 0
			if c := l.door.admit(conn); c != nil {
				return c, nil
			}
			continue
		}
		if !temporary(err) {
			return nil, err
		}
		backoff = min(max(2*backoff, firstBackoff), maxBackoff)
		if !l.door.wait(err, backoff, l.closed) {
			return nil, net.ErrClosed
		}
	}
}

func (l *listener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return l.Listener.Close()
}

// temporary reports whether accept(2) may succeed later: a connection was gone
// before it was taken, or descriptors or buffers are missing.
func temporary(err error) bool {
	t, ok := errors.AsType[interface {
		error
		Temporary() bool
	}](err)
	return ok && t.Temporary()
}

func (d *Door) wait(err error, backoff time.Duration, closed <-chan struct{}) bool {
	d.mu.Lock()
	d.stats.AcceptErrors++
	d.mu.Unlock()
	if more, ok := d.log.due(); ok {
		d.cfg.Logger.Warn("accept failed", "error", err.Error(), "more_since_last", more)
	}
	timer := time.NewTimer(backoff)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-closed:
		return false
	}
}

func (d *Door) refuse(conn net.Conn, err error) {
	hangUp(conn)
	if more, ok := d.log.due(); ok {
		d.cfg.Logger.Warn("connection refused", "address", conn.RemoteAddr().String(), "error", err.Error(), "more_since_last", more)
	}
}

// admit returns conn with its ticket, or closes it.
func (d *Door) admit(conn net.Conn) *Conn {
	if err := d.cfg.Reserve(); err != nil {
		d.mu.Lock()
		d.stats.refuse(LimitReserve)
		d.mu.Unlock()
		d.refuse(conn, err)
		return nil
	}
	t, gone, err := d.enter(conn)
	if err != nil {
		d.refuse(conn, err)
		return nil
	}
	if gone != nil {
		hangUp(gone.conn)
		if more, ok := d.ends.due(); ok {
			d.cfg.Logger.Warn("unclaimed connection gave way", "address", gone.conn.RemoteAddr().String(), "more_since_last", more)
		}
	}
	setUserTimeout(conn, d.cfg.UserTimeout)
	return &Conn{Conn: conn, ticket: t, remote: &address{conn.RemoteAddr(), t}}
}
