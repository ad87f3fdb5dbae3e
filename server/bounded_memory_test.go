package server_test

import (
	"crypto/tls"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	pb "securesocket/gen/securesocket/v1"
	"securesocket/server/servertest"
	"securesocket/tlsengine/tlstest"
)

// settled waits until a counter has stood still for a while, bounded.
func settled(tb testing.TB, counter func() int64) int64 {
	tb.Helper()
	const still = 500 * time.Millisecond
	ticker := time.NewTicker(still)
	defer ticker.Stop()
	last := int64(-1)
	for range int(patience / still) {
		<-ticker.C
		now := counter()
		if now == last {
			return now
		}
		last = now
	}
	tb.Fatalf("still moving at %d", last)
	return 0
}

func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// Not parallel: it measures the memory of the process.
func TestCallerThatNeverReadsStopsThePeer(t *testing.T) {
	const size = 1 << 30
	var sent atomic.Int64
	ca := tlstest.NewCA(t)
	addr := tlstest.Serve(t, serverConfig(ca.Leaf(tlstest.Names("127.0.0.1"))), func(conn *tls.Conn) {
		buf := make([]byte, 1<<20)
		for sent.Load() < size {
			n, err := conn.Write(buf)
			sent.Add(int64(n))
			if err != nil {
				return
			}
		}
	})
	c := servertest.Start(t).Client(t)
	before := heap()
	k := open(t, c, addr, ca)
	k.secure()
	stopped := settled(t, sent.Load)
	require.Less(t, stopped, int64(64<<20), "the peer was stopped by its own TCP window")
	require.Less(t, int64(heap())-int64(before), int64(32<<20), "buffers and windows of both ends")

	// It reads again: everything comes, in order.
	received := 0
	for received < 128<<20 {
		require.NoError(t, k.next())
		received += len(k.data)
		k.attached.SocketDataOffset += int64(len(k.data))
		k.data = k.data[:0]
	}
	k.send(closeFrame(pb.CloseSocket_HOW_ABORT))
	// It does not read again: the end is reached all the same.
	k.cancel()
}

func TestPeerThatNeverReadsStopsTheCaller(t *testing.T) {
	t.Parallel()
	ca := tlstest.NewCA(t)
	release := make(chan struct{})
	addr := tlstest.Serve(t, serverConfig(ca.Leaf(tlstest.Names("127.0.0.1"))), func(*tls.Conn) { <-release })
	defer close(release)
	k := open(t, servertest.Start(t).Client(t), addr, ca)
	k.secure()
	var sent atomic.Int64
	go func() {
		buf := make([]byte, 64<<10)
		for {
			offset := sent.Load()
			if k.stream.Send(&pb.AttachRequest{Frame: &pb.AttachRequest_Data{Data: &pb.Data{Offset: offset, Generation: 1, Payload: buf}}}) != nil {
				return
			}
			sent.Add(int64(len(buf)))
		}
	}()
	require.Less(t, settled(t, sent.Load), int64(64<<20))
	k.cancel() // ends the sender too
}
