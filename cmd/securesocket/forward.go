package main

import (
	"context"
	"io"
	"net"
	"sync"
	"time"

	"securesocket/client"
)

// forwardDialTimeout is how long a session waits for the server that it is piped to.
const forwardDialTimeout = 10 * time.Second

// forward pipes sessions to the server at address, to which each gets a connection of its own.
func forward(address string) handler {
	return func(ctx context.Context, conn *client.Conn) error {
		dialer := &net.Dialer{Timeout: forwardDialTimeout}
		server, err := dialer.DialContext(ctx, "tcp", address)
		if err != nil {
			conn.Abort()
			return err
		}
		return exchange(ctx, conn, server.(*net.TCPConn))
	}
}

// exchange moves bytes both ways until both directions have ended, each by itself: an end in order is passed on, and any
// other resets both connections, so that neither side takes what it has for everything. It closes both.
func exchange(ctx context.Context, conn *client.Conn, server *net.TCPConn) error {
	var once sync.Once
	var failure error // the first, which has the others follow
	fail := func(err error) {
		once.Do(func() {
			failure = err
			conn.Abort()
			_ = server.SetLinger(0) // an RST rather than a FIN
			_ = server.Close()
		})
	}
	stop := context.AfterFunc(ctx, func() { fail(errInterrupted) })
	var halves sync.WaitGroup
	halves.Go(func() { copyHalf(server, conn, fail) })
	halves.Go(func() { copyHalf(conn, server, fail) })
	halves.Wait()
	err := conn.Close()
	_ = server.Close()
	stop()
	once.Do(func() {}) // waits for a failure that is being dealt with, and lets none come
	if failure != nil {
		return failure
	}
	return err
}

// halfCloser is a connection whose writing half can end alone.
type halfCloser interface {
	io.Writer
	CloseWrite() error
}

// copyHalf copies in to its end, and then ends out's half.
func copyHalf(out halfCloser, in io.Reader, fail func(error)) {
	if _, err := io.Copy(out, in); err != nil {
		fail(err)
	} else if err := out.CloseWrite(); err != nil {
		fail(err)
	}
}
