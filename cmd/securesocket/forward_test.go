package main

import (
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"securesocket/tlsengine/tlstest"
)

func TestToManyAtOnce(t *testing.T) {
	t.Parallel()
	l := startListen(t, strings.NewReader(""), "--to", tlstest.ServeRaw(t, echoRaw))
	askAll(t, l, 20)
	require.Equal(t, "listening "+l.address+"\n", l.said(), "nothing to complain about")
}

// Each direction ends by itself: the server answers after the client's end and no sooner, and the other way round.
func TestToHalfCloses(t *testing.T) {
	t.Parallel()
	server := tlstest.ServeRaw(t, func(conn net.Conn) {
		if all, err := io.ReadAll(conn); err == nil {
			_, _ = conn.Write([]byte("got " + string(all)))
		}
	})
	l := startListen(t, strings.NewReader(""), "--to", server)
	conn, err := l.dial(t, nil)
	require.NoError(t, err)
	got, err := converse(conn, "all")
	require.NoError(t, err)
	require.Equal(t, "got all", got)

	said := make(chan string, 1)
	server = tlstest.ServeRaw(t, func(conn net.Conn) {
		_, _ = conn.Write([]byte("first"))
		_ = conn.(*net.TCPConn).CloseWrite()
		all, _ := io.ReadAll(conn)
		said <- string(all)
	})
	for _, args := range [][]string{nil, {"--plain"}} {
		l = startListen(t, strings.NewReader(""), append(args, "--to", server)...)
		var conn halfCloser
		if args == nil {
			conn, err = l.dial(t, nil)
		} else {
			conn, err = dialPlain(t, l.address)
		}
		require.NoError(t, err)
		all, err := io.ReadAll(conn.(io.Reader))
		require.NoError(t, err)
		require.Equal(t, "first", string(all))
		_, err = conn.Write([]byte("second"))
		require.NoError(t, err)
		require.NoError(t, conn.CloseWrite())
		require.Equal(t, "second", <-said)
	}
}

func dialPlain(t *testing.T, address string) (*net.TCPConn, error) {
	t.Helper()
	conn, err := net.DialTimeout("tcp", address, patience)
	if err != nil {
		return nil, err
	}
	t.Cleanup(func() { conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(patience))
	return conn.(*net.TCPConn), nil
}

// An end that is none in order is none on the other side either.
func TestToPassesBreaksOn(t *testing.T) {
	t.Parallel()
	ended, there := make(chan error, 1), make(chan struct{}, 1)
	server := tlstest.ServeRaw(t, func(conn net.Conn) {
		_, _ = io.ReadFull(conn, make([]byte, 1))
		there <- struct{}{}
		_, err := io.ReadAll(conn)
		ended <- err
	})
	for _, how := range []string{"truncated", "interrupted"} {
		l := startListen(t, strings.NewReader(""), "--to", server)
		conn, err := l.dial(t, nil)
		require.NoError(t, err)
		_, err = conn.Write([]byte("x"))
		require.NoError(t, err)
		<-there
		if how == "truncated" {
			require.NoError(t, conn.NetConn().Close())
			require.Error(t, <-ended)
			require.Eventually(t, func() bool { return strings.Contains(l.said(), "(PEER_TRUNCATED)") }, patience, time.Millisecond)
			require.Contains(t, l.said(), conn.LocalAddr().String())
			continue
		}
		l.cancel()
		require.Equal(t, exitInterrupted, l.exit(t), l.said())
		require.Error(t, <-ended)
		_, err = io.ReadAll(conn)
		require.Error(t, err)
	}

	server = tlstest.ServeRaw(t, func(conn net.Conn) {
		_, _ = conn.Write([]byte("half of it"))
		_, _ = io.ReadFull(conn, make([]byte, 1))
		_ = conn.(*net.TCPConn).SetLinger(0)
	})
	l := startListen(t, strings.NewReader(""), "--to", server)
	conn, err := l.dial(t, nil)
	require.NoError(t, err)
	_, err = conn.Write([]byte("x"))
	require.NoError(t, err)
	_, err = io.ReadAll(conn)
	require.Error(t, err)
}

func TestToNobody(t *testing.T) {
	t.Parallel()
	unused := tlstest.Refusing(t)
	l := startListen(t, strings.NewReader(""), "--to", unused)
	conn, err := l.dial(t, nil)
	require.NoError(t, err)
	_, err = io.ReadAll(conn)
	require.Error(t, err)
	require.Eventually(t, func() bool { return strings.Contains(l.said(), unused) }, patience, time.Millisecond)
}
