package main

import (
	"net"
	"sync"

	"securesocket/session/quota"
)

// counted counts the descriptors of the connections that a listener accepts, for the service's own account. Above the
// limit they are let in all the same: who decides about that is asked before.
type counted struct {
	net.Listener
	descriptors *quota.Descriptors
}

// apiOwner is who holds the descriptors of connections to the API: no principal has a name without a colon but
// "anonymous".
const apiOwner = "api"

func (l counted) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	if l.descriptors.AcquireLive(apiOwner, 1) != nil {
		return conn, nil
	}
	return &countedConn{Conn: conn, release: sync.OnceFunc(func() { l.descriptors.Release(apiOwner, 1) })}, nil
}

type countedConn struct {
	net.Conn
	release func()
}

// NetConn is the connection below, which may be a Unix socket.
func (c *countedConn) NetConn() net.Conn { return c.Conn }

func (c *countedConn) Close() error {
	defer c.release()
	return c.Conn.Close()
}
