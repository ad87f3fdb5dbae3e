package client_test

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"securesocket/client"
	pb "securesocket/gen/securesocket/v1"
)

// TestCloseDelivers: what was written before Close reaches the peer, although the peer is slow.
func TestCloseDelivers(t *testing.T) {
	t.Parallel()
	c, _ := startFake(t, proxy())
	conn, peer := newPipe(t, c)
	want := bytes.Repeat([]byte("0123456789abcdef"), 1<<14) // 256 KiB: as much as is buffered
	n, err := conn.Write(want)
	require.NoError(t, err)
	require.Equal(t, len(want), n)
	got := make(chan []byte, 1)
	go func() {
		time.Sleep(50 * time.Millisecond)
		all, _ := io.ReadAll(peer)
		peer.Close()
		got <- all
	}()
	require.NoError(t, conn.Close())
	require.True(t, bytes.Equal(want, <-got))
}

// TestCloseUnblocks: Read and Write that wait return at once, and so does whatever comes after.
func TestCloseUnblocks(t *testing.T) {
	t.Parallel()
	c, _ := startFake(t, func(s *fakeStream) error {
		s.secure(nil, nil, "")
		<-s.Context().Done()
		return nil
	})
	for name, end := range map[string]func(*client.Conn){
		"close": func(conn *client.Conn) { go conn.Close() }, // would wait for a service that does not answer
		"abort": (*client.Conn).Abort,
	} {
		t.Run(name, func(t *testing.T) {
			conn, err := c.DialContext(t.Context(), "tcp", "example.com:443")
			require.NoError(t, err)
			var blocked sync.WaitGroup
			blocked.Go(func() {
				_, err := conn.Read(make([]byte, 1))
				if !errors.Is(err, net.ErrClosed) {
					t.Errorf("Read: %v", err)
				}
			})
			blocked.Go(func() {
				for {
					if _, err := conn.Write(make([]byte, 1<<20)); err != nil {
						if !errors.Is(err, net.ErrClosed) {
							t.Errorf("Write: %v", err)
						}
						return
					}
				}
			})
			time.Sleep(20 * time.Millisecond)
			end(conn)
			blocked.Wait()
			_, err = conn.Read(nil)
			require.Equal(t, net.ErrClosed, err)
			_, err = conn.Write(nil)
			require.Equal(t, net.ErrClosed, err)
			require.Equal(t, net.ErrClosed, conn.CloseWrite())
			require.Equal(t, net.ErrClosed, conn.SetDeadline(time.Now()))
			require.Equal(t, net.ErrClosed, conn.SetWriteDeadline(time.Time{}))
			conn.Abort()
			require.NoError(t, conn.Close())
		})
	}
}

// TestCloseGivesUp: a peer that never reads holds Close for 5 s, and the stream for 20 s.
func TestCloseGivesUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var cancelled atomic.Int64
		start := time.Now()
		c, _ := startFake(t, func(s *fakeStream) error {
			s.secure(nil, nil, "")
			<-s.Context().Done()
			cancelled.Store(int64(time.Since(start)))
			return nil
		})
		conn, err := c.DialContext(t.Context(), "tcp", "example.com:443")
		require.NoError(t, err)
		start = time.Now()
		require.NoError(t, conn.Close())
		require.Equal(t, 5*time.Second, time.Since(start))
		require.Zero(t, cancelled.Load())
		time.Sleep(15 * time.Second)
		synctest.Wait()
		require.EqualValues(t, 20*time.Second, cancelled.Load())
		require.NoError(t, conn.Close())
		require.Equal(t, 20*time.Second, time.Since(start), "a stream that is over is not waited for")
	})
}

// TestServiceKeepsTheStream: a service that does not end the stream after closed has it cancelled after 5 s.
func TestServiceKeepsTheStream(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var cancelled atomic.Int64
		c, _ := startFake(t, func(s *fakeStream) error {
			s.secure(nil, nil, "")
			s.closed(&pb.Closed{Cause: pb.CloseCause_CLOSE_CAUSE_PEER_RESET})
			start := time.Now()
			<-s.Context().Done()
			cancelled.Store(int64(time.Since(start)))
			return nil
		})
		conn, err := c.DialContext(t.Context(), "tcp", "example.com:443")
		require.NoError(t, err)
		_, err = conn.Read(make([]byte, 1))
		require.ErrorIs(t, err, syscall.ECONNRESET)
		time.Sleep(6 * time.Second)
		require.EqualValues(t, 5*time.Second, cancelled.Load())
		require.NoError(t, conn.Close())
	})
}

// TestCloseTellsOfLoss: bytes that Write took over and the peer's socket never got are an error of Close.
func TestCloseTellsOfLoss(t *testing.T) {
	t.Parallel()
	conn := dialScript(t, func(s *fakeStream) error {
		_, _ = s.Recv()
		s.written.Store(3)
		s.closed(&pb.Closed{Cause: pb.CloseCause_CLOSE_CAUSE_PEER_RESET})
		return nil
	})
	_, err := conn.Write([]byte("lost"))
	require.NoError(t, err)
	for range 2 {
		requireError(t, conn.Close(), pb.ErrorReason_ERROR_REASON_PEER_RESET)
	}
}

// TestCloseAfterTheServiceHasGone: what was delivered long ago is no loss.
func TestCloseAfterTheServiceHasGone(t *testing.T) {
	t.Parallel()
	c, f := startFake(t, func(s *fakeStream) error {
		s.secure(nil, nil, "")
		request, _ := s.Recv()
		s.frame(&pb.AttachResponse{Frame: &pb.AttachResponse_OutputProgress{OutputProgress: &pb.OutputProgress{
			WrittenOffset: int64(len(request.GetData().GetPayload())), Generation: 1,
		}}})
		s.data([]byte("!"))
		<-s.Context().Done()
		return nil
	})
	conn, err := c.DialContext(t.Context(), "tcp", "example.com:443")
	require.NoError(t, err)
	_, err = conn.Write([]byte("delivered"))
	require.NoError(t, err)
	_, err = conn.Read(make([]byte, 1))
	require.NoError(t, err)
	f.server.Stop()
	require.NoError(t, conn.Close())
}

func TestAbortResets(t *testing.T) {
	t.Parallel()
	c, _ := startFake(t, proxy())
	conn, peer := newPipe(t, c)
	conn.Abort()
	_, err := peer.Read(make([]byte, 1))
	require.ErrorIs(t, err, syscall.ECONNRESET)
	require.NoError(t, conn.Close())
}

func TestHalfClose(t *testing.T) {
	t.Parallel()
	c, _ := startFake(t, proxy())
	conn, peer := newPipe(t, c)
	_, err := conn.Write([]byte("question"))
	require.NoError(t, err)
	require.NoError(t, conn.CloseWrite())
	question, err := io.ReadAll(peer)
	require.NoError(t, err)
	require.Equal(t, "question", string(question))
	time.Sleep(10 * time.Millisecond) // the reading half stays as long as the peer likes
	_, err = peer.Write([]byte("answer"))
	require.NoError(t, err)
	require.NoError(t, peer.Close())
	answer, err := io.ReadAll(conn)
	require.NoError(t, err)
	require.Equal(t, "answer", string(answer))
	require.NoError(t, conn.Close())
}

// TestDeadlines: what nettest does not ask for. A later deadline wakes nobody; bytes taken by Write are not lost.
func TestDeadlines(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, _ := startFake(t, func(s *fakeStream) error {
			s.secure(nil, nil, "")
			time.Sleep(time.Hour)
			for {
				request, err := s.Recv()
				if err != nil || request.GetClose() != nil {
					break
				}
				s.written.Add(int64(len(request.GetData().GetPayload())))
			}
			s.closed(&pb.Closed{Cause: pb.CloseCause_CLOSE_CAUSE_LOCAL})
			return nil
		})
		conn, err := c.DialContext(t.Context(), "tcp", "example.com:443")
		require.NoError(t, err)
		start := time.Now()
		require.NoError(t, conn.SetReadDeadline(start.Add(time.Second)))
		time.AfterFunc(500*time.Millisecond, func() { _ = conn.SetReadDeadline(start.Add(3 * time.Second)) })
		_, err = conn.Read(make([]byte, 1))
		require.Equal(t, os.ErrDeadlineExceeded, err)
		require.Equal(t, 3*time.Second, time.Since(start))

		start = time.Now()
		require.NoError(t, conn.SetWriteDeadline(start.Add(time.Second)))
		n, err := conn.Write(make([]byte, 4<<20))
		require.Equal(t, os.ErrDeadlineExceeded, err)
		require.Equal(t, time.Second, time.Since(start))
		require.Greater(t, n, 256<<10)
		require.Less(t, n, 512<<10)
		require.NoError(t, conn.SetDeadline(time.Time{}))
		m, err := conn.Write(make([]byte, 4<<20)) // waits for the service, which sleeps an hour
		require.NoError(t, err)
		require.Equal(t, 4<<20, m)
		require.NoError(t, conn.Close()) // would tell of loss
	})
}
