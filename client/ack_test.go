package client_test

import (
	"bytes"
	"context"
	"io"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"securesocket/client"
	pb "securesocket/gen/securesocket/v1"
)

// TestAcksAreSparse: they come after 64 KiB or 25 ms, for what Read has returned and no more.
func TestAcksAreSparse(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, k := startKeeper(t, func(k *keeper) { k.window = 1 << 20 })
		conn := dialKeeper(t, c)
		time.Sleep(time.Second)
		require.Len(t, k.told(), 1, "the events of the dial")
		require.EqualValues(t, 2, k.told()[0].GetEventSeq())
		k.forgetAcks()

		_, err := conn.Write(make([]byte, 300_000))
		require.NoError(t, err)
		time.Sleep(time.Second)
		require.Empty(t, k.told(), "received is not read")
		for range 100 {
			_, err = io.ReadFull(conn, make([]byte, 1000))
			require.NoError(t, err)
		}
		synctest.Wait()
		require.Len(t, k.told(), 1)
		require.EqualValues(t, 66_000, k.told()[0].GetReceivedOffset())
		time.Sleep(20 * time.Millisecond)
		require.Len(t, k.told(), 1)
		time.Sleep(10 * time.Millisecond)
		require.Len(t, k.told(), 2)
		require.EqualValues(t, 100_000, k.told()[1].GetReceivedOffset())

		k.breakOnce()
		k.forgetAcks()
		_, err = conn.Write([]byte("x"))
		require.NoError(t, err)
		synctest.Wait()
		require.Len(t, k.told(), 1, "an attach is no ack")
		require.EqualValues(t, 100_000, k.told()[0].GetReceivedOffset())
		require.EqualValues(t, 2, k.told()[0].GetEventSeq())
		require.NoError(t, conn.Close())
		require.Equal(t, 1, k.gone(), "closed, and everything acked")
	})
}

// TestSmallRings: a service that keeps little is told more often, and a caller that sends is held back by it alone.
func TestSmallRings(t *testing.T) {
	t.Parallel()
	c, _ := startKeeper(t, func(k *keeper) { k.window, k.chunk = 2000, 900 })
	conn := dialKeeper(t, c)
	want := bytes.Repeat([]byte("0123456789"), 20_000)
	go func() {
		_, _ = conn.Write(want)
		_ = conn.CloseWrite()
	}()
	got, err := io.ReadAll(conn)
	require.NoError(t, err)
	require.True(t, bytes.Equal(want, got))
	require.NoError(t, conn.Close())
}

// TestUnreadDoesNotHoldUpProgress: a resumable Conn that is not read can be written to for as long as the peer takes it.
func TestUnreadDoesNotHoldUpProgress(t *testing.T) {
	t.Parallel()
	c, k := startKeeper(t)
	conn := dialKeeper(t, c)
	_, err := conn.Write(make([]byte, 4<<20))
	require.NoError(t, err)
	s := k.only()
	require.Eventually(t, func() bool {
		k.mu.Lock()
		defer k.mu.Unlock()
		return len(s.in) == 4<<20 && s.cursor == k.window && s.acked == 0
	}, 10*time.Second, time.Millisecond)
	_, err = io.ReadFull(conn, make([]byte, 4<<20))
	require.NoError(t, err)
	require.NoError(t, conn.Close())
}

// TestReadAfterTheEnd: a connection that has ended keeps its stream until what came is read, so that who is killed before
// can still get it.
func TestReadAfterTheEnd(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, k := startKeeper(t)
		conn := dialKeeper(t, c)
		_, err := io.WriteString(conn, greeting)
		require.NoError(t, err)
		require.NoError(t, conn.CloseWrite())
		time.Sleep(time.Minute)
		require.Zero(t, k.gone())
		require.Equal(t, io.EOF, readEnd(t, conn))
		time.Sleep(time.Second)
		require.Equal(t, 1, k.gone())
		require.NoError(t, conn.Close())
	})
}

// TestNoAnswerToAnAttach: a way that has died without a word is left for another one.
func TestNoAnswerToAnAttach(t *testing.T) {
	t.Parallel()
	for name, dedicated := range map[string]bool{"shared": false, "dedicated": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				c, k := startKeeper(t)
				conn := dialKeeper(t, c, func(d *client.Dialer) { d.Dedicated = dedicated })
				var asked atomic.Int32
				k.do(func() {
					k.refuse = func(*pb.AttachRequest) error {
						if asked.Add(1) == 1 {
							time.Sleep(40 * time.Second)
							return status.Error(codes.Unavailable, "too late")
						}
						return nil
					}
				})
				k.breakOnce()
				start := time.Now()
				_, err := conn.Write([]byte("x"))
				require.NoError(t, err)
				_, err = conn.Read(make([]byte, 1))
				require.NoError(t, err)
				require.GreaterOrEqual(t, time.Since(start), 10*time.Second)
				require.Less(t, time.Since(start), 11*time.Second)
				require.NoError(t, conn.Close())
				time.Sleep(time.Minute)
			})
		})
	}
}

// TestDedicated: a connection of its own, which goes with the Conn.
func TestDedicated(t *testing.T) {
	t.Parallel()
	c, f := startFake(t, echoes, client.WithMaxStreamsPerConn(10))
	d := client.Dialer{Client: c, Dedicated: true}
	var conns []*client.Conn
	for range 3 {
		conn, err := d.Dial(t.Context(), "tcp", "example.com:443")
		require.NoError(t, err)
		conns = append(conns, conn)
	}
	shared, err := c.DialContext(t.Context(), "tcp", "example.com:443")
	require.NoError(t, err)
	require.EqualValues(t, 4, f.conns.Load())
	for _, conn := range append(conns, shared) {
		_, err = io.WriteString(conn, greeting)
		require.NoError(t, err)
		require.NoError(t, conn.Close())
	}
	again, err := c.DialContext(t.Context(), "tcp", "example.com:443")
	require.NoError(t, err)
	require.NoError(t, again.Close())
	require.EqualValues(t, 4, f.conns.Load(), "the shared one is kept")
	require.NoError(t, c.Close())
	_, err = d.Dial(context.Background(), "tcp", "example.com:443")
	requireError(t, err, pb.ErrorReason_ERROR_REASON_CANCELLED)
}
