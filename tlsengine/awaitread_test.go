package tlsengine_test

import (
	"crypto/tls"
	"errors"
	"net"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"securesocket/tlsengine"
	"securesocket/tlsengine/tlstest"

	"github.com/stretchr/testify/require"
)

// A part of a record is nothing to read, and must not turn the waiting into a busy loop.
func TestAwaitReadWaitsBehindPartOfRecord(t *testing.T) {
	t.Parallel()
	bothVersions(t, func(t *testing.T, version uint16) {
		var pieces atomic.Int32
		step, sent := make(chan struct{}), make(chan struct{})
		conn := connectChopped(t, version, func([]byte) int {
			pieces.Add(1)
			select {
			case <-step:
			case <-t.Context().Done():
			}
			return 1
		}, func(c *tls.Conn) {
			_, _ = c.Write([]byte("a record"))
			close(sent)
			_, _ = c.Read(make([]byte, 1))
		})
		push := func() {
			select {
			case step <- struct{}{}:
			case <-sent:
			}
		}
		got := make([]byte, 100)
		n, waits := 0, 0
		push()
		for n == 0 {
			var err error
			n, err = conn.TryRead(got)
			if !errors.Is(err, tlsengine.ErrWouldBlock) {
				require.NoError(t, err)
				break
			}
			require.NoError(t, conn.SetReadDeadline(time.Now().Add(time.Millisecond)))
			err = conn.AwaitRead()
			require.NoError(t, conn.SetReadDeadline(time.Time{}))
			if err != nil {
				require.ErrorIs(t, err, os.ErrDeadlineExceeded)
				push()
				continue
			}
			waits++
			require.LessOrEqual(t, waits, int(pieces.Load()), "it returned without anything new")
		}
		require.Equal(t, "a record", string(got[:n]))
	})
}

func TestAwaitReadDeadline(t *testing.T) {
	t.Parallel()
	bothRoles(t, func(t *testing.T, version uint16, connect connecting) {
		conn := connect(t, version, tlstest.Echo)
		_, err := conn.TryRead(make([]byte, 1))
		require.ErrorIs(t, err, tlsengine.ErrWouldBlock)
		require.NoError(t, conn.SetReadDeadline(time.Now().Add(5*time.Millisecond)))
		require.ErrorIs(t, conn.AwaitRead(), os.ErrDeadlineExceeded)
		require.ErrorIs(t, conn.AwaitRead(), os.ErrDeadlineExceeded)
		_, err = conn.TryRead(make([]byte, 1))
		require.ErrorIs(t, err, os.ErrDeadlineExceeded)

		require.NoError(t, conn.SetReadDeadline(time.Time{}))
		_, err = conn.TryRead(make([]byte, 1))
		require.ErrorIs(t, err, tlsengine.ErrWouldBlock)
		woken := make(chan error)
		go func() { woken <- conn.AwaitRead() }()
		time.Sleep(5 * time.Millisecond)
		require.NoError(t, conn.SetReadDeadline(time.Now()))
		require.ErrorIs(t, <-woken, os.ErrDeadlineExceeded)

		require.NoError(t, conn.SetReadDeadline(time.Time{}))
		_, err = conn.Write([]byte("x"))
		require.NoError(t, err)
		require.NoError(t, conn.AwaitRead())
		n, err := conn.TryRead(make([]byte, 1))
		require.NoError(t, err)
		require.Equal(t, 1, n)
	})
}

// The kernel tells of a reset once. Waiting must leave it to the read, whether it came before or after the wait began.
func TestAwaitReadLeavesReset(t *testing.T) {
	t.Parallel()
	bothRoles(t, func(t *testing.T, version uint16, connect connecting) {
		for _, early := range []bool{true, false} {
			let, gone := make(chan struct{}), make(chan struct{})
			conn := connect(t, version, func(c *tls.Conn) {
				<-let
				tlstest.Reset(c)
				close(gone)
			})
			_, err := conn.TryRead(make([]byte, 1))
			require.ErrorIs(t, err, tlsengine.ErrWouldBlock)
			if early {
				close(let)
				<-gone
				time.Sleep(5 * time.Millisecond)
			} else {
				time.AfterFunc(5*time.Millisecond, func() { close(let) })
			}
			require.NoError(t, conn.AwaitRead())
			_, err = conn.TryRead(make([]byte, 1))
			end, _ := tlsengine.EndOf(err)
			require.Equal(t, tlsengine.EndReset, end, "%v", err)
			require.NoError(t, conn.AwaitRead(), "an end is worth a TryRead")
			_, again := conn.TryRead(make([]byte, 1))
			require.Equal(t, err, again)
		}
	})
}

func TestResetBetweenAwaitReadAndTryRead(t *testing.T) {
	t.Parallel()
	bothVersions(t, func(t *testing.T, version uint16) {
		let, gone := make(chan struct{}), make(chan struct{})
		conn := connectChopped(t, version, func([]byte) int { return 3 }, func(c *tls.Conn) {
			_, _ = c.Write([]byte("x"))
			<-let
			raw := c.NetConn().(*choppedConn).Conn.(*net.TCPConn)
			_ = raw.SetLinger(0)
			_ = raw.Close()
			close(gone)
		})
		_, err := tryRead(conn, make([]byte, 1))
		require.NoError(t, err)
		_, err = conn.TryRead(make([]byte, 1))
		require.ErrorIs(t, err, tlsengine.ErrWouldBlock)
		awaited := make(chan error)
		go func() { awaited <- conn.AwaitRead() }()
		close(let)
		<-gone
		require.NoError(t, <-awaited)
		require.NoError(t, conn.SetReadDeadline(time.Time{}))
		_, err = conn.TryRead(make([]byte, 1))
		end, _ := tlsengine.EndOf(err)
		require.Equal(t, tlsengine.EndReset, end, "%v", err)
	})
}
