package client

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"syscall"
	"time"

	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
)

// lastWordsWait is how long a write that has failed waits for what the service said before it closed the connection.
const lastWordsWait = time.Second

// wayConn is a connection to the service that explains its end, if that comes before the service has said a word.
type wayConn struct {
	net.Conn
	explain func(error) error
	// judge, where set, looks at the first bytes.
	judge func([]byte) error

	once  sync.Once
	heard chan struct{} // closed by the first Read, as it returns
	early error         // before heard is closed: why that is the last one; nil: the service has spoken

	writing  sync.Mutex // one Write at a time
	wasReset bool       // as a Write was told
}

func newWayConn(conn net.Conn, explain func(error) error, judge func([]byte) error) *wayConn {
	return &wayConn{Conn: conn, explain: explain, judge: judge, heard: make(chan struct{})}
}

// Read implements net.Conn.
func (c *wayConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.once.Do(func() {
		defer close(c.heard)
		switch {
		case n == 0 && err != nil:
			c.early = c.explain(c.endOf(err))
			err = c.early
		case c.judge != nil:
			if c.early = c.judge(p[:n]); c.early != nil {
				n, err = 0, c.early
			}
		}
	})
	return n, err
}

// Write implements net.Conn. One that fails because the service has gone may be the first to notice, although the service
// has said why: gRPC's reader is told that at any moment.
func (c *wayConn) Write(p []byte) (int, error) {
	n, err := c.write(p)
	if err == nil || !ended(err) {
		return n, err
	}
	timer := time.NewTimer(lastWordsWait)
	defer timer.Stop()
	select {
	case <-c.heard:
		if c.early != nil {
			err = c.early
		}
	case <-timer.C:
	}
	return n, err
}

func (c *wayConn) write(p []byte) (int, error) {
	c.writing.Lock()
	defer c.writing.Unlock()
	n, err := c.Conn.Write(p)
	c.wasReset = c.wasReset || errors.Is(err, syscall.ECONNRESET)
	return n, err
}

// endOf is the error of the first Read: a kernel that has told a Write of a reset shows a Read the end of a file. It waits
// for that Write, which is small: nobody sends much to a service that has not spoken.
func (c *wayConn) endOf(err error) error {
	if !errors.Is(err, io.EOF) {
		return err
	}
	c.writing.Lock()
	defer c.writing.Unlock()
	if c.wasReset {
		return syscall.ECONNRESET
	}
	return err
}

// plainCredentials are none, but notice TLS, and a service that takes no connection.
type plainCredentials struct {
	credentials.TransportCredentials
	local bool // a Unix socket, where nobody speaks TLS
}

func newPlainCredentials(addr address) credentials.TransportCredentials {
	return plainCredentials{insecure.NewCredentials(), addr.network == "unix"}
}

// ClientHandshake implements credentials.TransportCredentials.
func (p plainCredentials) ClientHandshake(ctx context.Context, authority string, raw net.Conn) (net.Conn, credentials.AuthInfo, error) {
	conn, info, err := p.TransportCredentials.ClientHandshake(ctx, authority, raw)
	if err != nil {
		return nil, nil, err
	}
	if p.local {
		return newWayConn(conn, silentLocalEnd, nil), info, nil
	}
	return newWayConn(conn, silentEnd, notHTTP2), info, nil
}

// Clone implements credentials.TransportCredentials.
func (p plainCredentials) Clone() credentials.TransportCredentials {
	return plainCredentials{p.TransportCredentials.Clone(), p.local}
}

// silentEnd is about a service that has ended a connection without a word, as servers of TLS do that are not greeted in it.
func silentEnd(err error) error {
	switch {
	case !ended(err):
		return err
	case reset(err):
		return noRoom()
	}
	return newWayError(wayWantsTLS, "the service ended the connection without a word; it may speak nothing but TLS", nil)
}

// silentLocalEnd is the same at a Unix socket, which is reset only where something was on its way.
func silentLocalEnd(err error) error {
	if !ended(err) {
		return err
	}
	return noRoom()
}

// notHTTP2 knows what other servers say to a client of plain HTTP/2: an alert of TLS (RFC 8446 section 5.1), or HTTP/1. A
// frame of HTTP/2 that begins so would have a length that nobody has allowed yet.
func notHTTP2(p []byte) error {
	switch {
	case len(p) >= 2 && p[0] == 21 && p[1] == 3:
		return newWayError(wayWantsTLS, "the service speaks TLS at this address", nil)
	case bytes.HasPrefix(p, []byte("HTTP/")):
		return newWayError(wayWantsTLS, "the service speaks HTTP/1 at this address; it may speak HTTP/2 in TLS", nil)
	}
	return nil
}
