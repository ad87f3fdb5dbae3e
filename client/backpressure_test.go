package client_test

import (
	"bytes"
	"crypto/sha256"
	"io"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	pb "securesocket/gen/securesocket/v1"
)

// TestUnreadConnStopsTheService: a Conn that is not read takes in a bounded amount; read again, it has every byte.
func TestUnreadConnStopsTheService(t *testing.T) {
	t.Parallel()
	const total = 16 << 20
	want := bytes.Repeat([]byte("0123456789abcde\n"), total/16)
	var sent atomic.Int64
	c, _ := startFake(t, func(s *fakeStream) error {
		s.secure(nil, nil, "")
		for chunk := want; len(chunk) > 0; chunk = chunk[64<<10:] {
			s.data(chunk[:64<<10])
			sent.Store(s.offset)
		}
		s.remoteClosed(pb.CloseCause_CLOSE_CAUSE_PEER_CLOSE_NOTIFY)
		s.closed(&pb.Closed{Cause: pb.CloseCause_CLOSE_CAUSE_PEER_CLOSE_NOTIFY})
		return nil
	})
	conn, err := c.DialContext(t.Context(), "tcp", "example.com:443")
	require.NoError(t, err)
	defer conn.Close()
	settled := int64(-1)
	require.Eventually(t, func() bool {
		before := settled
		settled = sent.Load()
		return settled > 0 && settled == before
	}, 10*time.Second, 200*time.Millisecond)
	// 1 MiB unread, 512 KiB of window, and the messages on both sides of it.
	require.Less(t, settled, int64(2<<20))

	got, err := io.ReadAll(conn)
	require.NoError(t, err)
	require.Equal(t, sha256.Sum256(want), sha256.Sum256(got))
}

// TestWritesDoNotMix: each Write is in one piece, whoever else writes, and readers share what comes.
func TestWritesDoNotMix(t *testing.T) {
	t.Parallel()
	const writers, size = 4, 300 << 10 // more than the buffer holds
	c, _ := startFake(t, echoes)
	conn, err := c.DialContext(t.Context(), "tcp", "example.com:443")
	require.NoError(t, err)
	defer conn.Close()
	var writing sync.WaitGroup
	for i := range writers {
		writing.Go(func() {
			if _, err := conn.Write(bytes.Repeat([]byte{byte(i)}, size)); err != nil {
				t.Error(err)
			}
		})
	}
	got := make([]byte, writers*size)
	_, err = io.ReadFull(conn, got)
	require.NoError(t, err)
	writing.Wait()
	for i := range writers {
		piece := got[i*size : (i+1)*size]
		require.Equal(t, size, bytes.Count(piece, piece[:1]))
	}
}
