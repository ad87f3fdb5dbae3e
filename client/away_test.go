package client_test

import (
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	pb "securesocket/gen/securesocket/v1"
)

// TestDeadlinesWhileAway: they go on counting, and so does the room for what is written.
func TestDeadlinesWhileAway(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, k := startKeeper(t)
		conn := dialKeeper(t, c)
		k.do(func() { k.refuse = func(*pb.AttachRequest) error { return status.Error(codes.Unavailable, "down") } })
		k.breakOnce()
		_, err := conn.Write([]byte("x"))
		require.NoError(t, err)
		time.Sleep(time.Second)

		start := time.Now()
		require.NoError(t, conn.SetDeadline(start.Add(2*time.Second)))
		var both sync.WaitGroup
		both.Go(func() {
			n, err := conn.Write(make([]byte, 4<<20))
			if !errors.Is(err, os.ErrDeadlineExceeded) || n != 1<<20-1 {
				t.Errorf("%d bytes, %v", n, err)
			}
		})
		both.Go(func() {
			_, err := conn.Read(make([]byte, 1))
			if !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Error(err)
			}
		})
		both.Wait()
		require.Equal(t, 2*time.Second, time.Since(start))

		k.do(func() { k.refuse = nil })
		require.NoError(t, conn.SetDeadline(time.Time{}))
		got := make([]byte, 1<<20)
		_, err = io.ReadFull(conn, got)
		require.NoError(t, err)
		require.Equal(t, byte('x'), got[0])
		require.NoError(t, conn.Close())
	})
}

// TestReadsWhileAway: what has come is there, although the stream is not.
func TestReadsWhileAway(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, k := startKeeper(t)
		conn := dialKeeper(t, c)
		_, err := conn.Write([]byte("hello"))
		require.NoError(t, err)
		synctest.Wait()
		k.do(func() { k.refuse = func(*pb.AttachRequest) error { return status.Error(codes.Unavailable, "down") } })
		k.breakOnce()
		_, err = conn.Write([]byte(", world"))
		require.NoError(t, err)
		synctest.Wait()
		got := make([]byte, 12)
		n, err := conn.Read(got)
		require.NoError(t, err)
		require.Equal(t, "hello", string(got[:n]))
		k.do(func() { k.refuse = nil })
		_, err = io.ReadFull(conn, got[n:])
		require.NoError(t, err)
		require.Equal(t, "hello, world", string(got))
		last := k.begun()[len(k.begun())-1].GetAttach()
		require.EqualValues(t, 5, last.GetReceivedOffset(), "what has come is not asked for again")
		require.EqualValues(t, 2, last.GetReceivedEventSeq())
		require.NoError(t, conn.Close())
	})
}

// TestCloseWhileAway: what was written is delivered, if the way comes back within Close's own time.
func TestCloseWhileAway(t *testing.T) {
	t.Parallel()
	for name, back := range map[string]time.Duration{"in time": 2 * time.Second, "later": 10 * time.Second, "too late": 30 * time.Second} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				c, k := startKeeper(t)
				conn := dialKeeper(t, c)
				s := k.only()
				k.do(func() { k.refuse = func(*pb.AttachRequest) error { return status.Error(codes.Unavailable, "down") } })
				k.breakOnce()
				_, err := conn.Write([]byte("last words"))
				require.NoError(t, err)
				synctest.Wait()
				time.AfterFunc(back, func() { k.do(func() { k.refuse = nil }) })
				start := time.Now()
				require.NoError(t, conn.Close())
				require.LessOrEqual(t, time.Since(start), 5*time.Second)
				time.Sleep(time.Minute)
				if name == "too late" {
					require.Len(t, k.closings(), 1, "given up")
					require.Equal(t, pb.CloseSocket_HOW_ABORT, k.closings()[0].GetClose().GetHow())
					require.Empty(t, k.heard(s))
				} else {
					require.Empty(t, k.closings())
					require.Equal(t, "last words", k.heard(s))
				}
				require.Equal(t, 1, k.gone())
			})
		})
	}
}

// TestAbortOfAResumable ends at once, and the service hears of it although no stream says so.
func TestAbortOfAResumable(t *testing.T) {
	t.Parallel()
	for name, away := range map[string]bool{"attached": false, "away": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				c, k := startKeeper(t)
				conn := dialKeeper(t, c)
				if away {
					k.do(func() { k.refuse = func(*pb.AttachRequest) error { return status.Error(codes.Unavailable, "down") } })
					k.breakOnce()
					_, err := conn.Write([]byte("x"))
					require.NoError(t, err)
					synctest.Wait()
				}
				conn.Abort()
				require.NoError(t, conn.Close())
				synctest.Wait()
				require.Len(t, k.closings(), 1)
				require.Equal(t, conn.SessionID(), k.closings()[0].GetSessionId())
				require.Equal(t, pb.CloseSocket_HOW_ABORT, k.closings()[0].GetClose().GetHow())
				require.Equal(t, 1, k.gone())
			})
		})
	}
}

// TestClientClosedWhileAway ends both halves at once; the session is left to its grace.
func TestClientClosedWhileAway(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, k := startKeeper(t)
		conn := dialKeeper(t, c)
		k.do(func() { k.refuse = func(*pb.AttachRequest) error { return status.Error(codes.Unavailable, "down") } })
		k.breakOnce()
		_, err := conn.Write([]byte("x"))
		require.NoError(t, err)
		time.Sleep(20 * time.Second)
		start := time.Now()
		require.NoError(t, c.Close())
		_, err = conn.Read(make([]byte, 1))
		require.ErrorIs(t, err, net.ErrClosed)
		require.Equal(t, start, time.Now())
		require.Empty(t, k.closings())
		require.Zero(t, k.gone())
	})
}
