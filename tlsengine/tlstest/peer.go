package tlstest

import (
	"crypto/tls"
	"io"
	"net"
	"slices"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// ServeRaw listens on 127.0.0.1 and runs handle for every connection, each on its own goroutine. The connection is closed
// when handle returns, and when the test ends.
func ServeRaw(tb testing.TB, handle func(net.Conn)) (address string) {
	tb.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(tb, err)
	var (
		wg   sync.WaitGroup
		mu   sync.Mutex
		open = make(map[net.Conn]bool)
		done bool
	)
	tb.Cleanup(func() {
		_ = l.Close()
		mu.Lock()
		done = true
		for conn := range open {
			_ = conn.Close()
		}
		mu.Unlock()
		wg.Wait()
	})
	wg.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			if done {
				mu.Unlock()
				_ = conn.Close()
				return
			}
			open[conn] = true
			wg.Go(func() {
				handle(conn)
				_ = conn.Close()
				mu.Lock()
				delete(open, conn)
				mu.Unlock()
			})
			mu.Unlock()
		}
	})
	return l.Addr().String()
}

// Serve listens on 127.0.0.1 with TLS and runs handle after each handshake that succeeds; after one that fails the
// connection is closed. Sessions are not resumed, so that no ticket mixes with the data.
func Serve(tb testing.TB, config *tls.Config, handle func(*tls.Conn)) (address string) {
	tb.Helper()
	ctx := tb.Context() // here: a fuzz test's is not to be asked for later
	config = config.Clone()
	config.SessionTicketsDisabled = true
	return ServeRaw(tb, func(raw net.Conn) {
		conn := tls.Server(&peerConn{Conn: raw}, config)
		if conn.HandshakeContext(ctx) == nil {
			handle(conn)
		}
	})
}

// Echo is a handler that sends back what it gets, and a close_notify after the client's.
func Echo(conn *tls.Conn) {
	if _, err := io.Copy(conn, conn); err == nil {
		CloseNotify(conn)
	}
}

// peerConn lets an ending spoil what a tls.Conn writes and reads.
type peerConn struct {
	net.Conn
	spoil  func([]byte) []byte // changes the next write; nil: nothing
	inject []byte              // is read next, as if the client had sent it
}

func (c *peerConn) Read(p []byte) (int, error) {
	if len(c.inject) == 0 {
		return c.Conn.Read(p)
	}
	n := copy(p, c.inject)
	c.inject = c.inject[n:]
	return n, nil
}

func (c *peerConn) Write(p []byte) (int, error) {
	if c.spoil == nil {
		return c.Conn.Write(p)
	}
	out := c.spoil(p)
	c.spoil = nil
	if _, err := c.Conn.Write(out); err != nil {
		return 0, err
	}
	return len(p), nil
}

// The endings below end a connection of Serve or Connect from the far side. Each is for the handler's last act.

// CloseNotify sends close_notify and then FIN.
func CloseNotify(conn *tls.Conn) { _ = conn.Close() }

// Truncate sends FIN without close_notify and waits for the other side to go.
func Truncate(conn *tls.Conn) {
	raw := conn.NetConn().(*peerConn).Conn.(*net.TCPConn)
	_ = raw.CloseWrite()
	_, _ = io.Copy(io.Discard, raw) // unread data would turn the FIN into a reset
}

// TruncateRecord sends the first n bytes of a record and then FIN; fewer than five are a part of the header.
func TruncateRecord(conn *tls.Conn, n int) {
	conn.NetConn().(*peerConn).spoil = func(p []byte) []byte { return p[:n] }
	_, _ = conn.Write(make([]byte, 100))
	Truncate(conn)
}

// Reset sends RST.
func Reset(conn *tls.Conn) {
	raw := conn.NetConn().(*peerConn).Conn.(*net.TCPConn)
	_ = raw.SetLinger(0)
	_ = raw.Close()
}

// SpoilRecord sends a record that does not decrypt, waits for the other side's alert and returns it as crypto/tls gives it.
func SpoilRecord(conn *tls.Conn) error {
	conn.NetConn().(*peerConn).spoil = func(p []byte) []byte {
		out := slices.Clone(p)
		out[len(out)-1] ^= 1
		return out
	}
	_, _ = conn.Write(make([]byte, 100))
	_, err := conn.Read(make([]byte, 1))
	return err
}

// FatalAlert sends the fatal alert bad_record_mac, and then FIN: the peer is made to read a record that the other side
// never sent.
func FatalAlert(conn *tls.Conn) {
	record := make([]byte, 5+64)
	copy(record, []byte{23, 3, 3, 0, 64})
	conn.NetConn().(*peerConn).inject = record
	_, _ = conn.Read(make([]byte, 1))
	Truncate(conn)
}
