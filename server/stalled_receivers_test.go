package server_test

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"
)

// Not parallel, like all of these: they would be too slow together.
func TestCallersThatNeverReceiveHoldNoMoreThanTheFormula(t *testing.T) {
	for _, s := range []stall{
		{name: "records of 16 KiB", sessions: 1000, size: 16 << 10, held: heldReferenced},
		{name: "records of 16 KiB, resumable", sessions: 500, resumable: true, size: 16 << 10},
		{name: "single bytes", sessions: 6, buffer: 32 << 10, size: 1, held: heldShort},
		{name: "single bytes, resumable", sessions: 6, resumable: true, buffer: 32 << 10, size: 1, held: heldShort},
		{name: "single bytes, paced", sessions: 12, buffer: 32 << 10, size: 1, paced: true, held: heldShort},
		{name: "single bytes, paced, resumable", sessions: 6, resumable: true, buffer: 128 << 10, size: 1, paced: true, held: heldShort},
		{name: "1,025 bytes, paced", sessions: 25, size: 1025, paced: true, held: heldSmall},
		{name: "1,025 bytes, paced, resumable", sessions: 25, resumable: true, size: 1025, paced: true, held: heldHeaders},
		{name: "4,097 bytes, paced", sessions: 25, size: 4097, paced: true, held: heldSmall},
	} {
		t.Run(s.name, s.receivers)
	}
}

// receivers has peers send to callers that do not receive, and then do.
func (s stall) receivers(t *testing.T) {
	s.fewer()
	service := startStalledService(t, 0)
	var stop atomic.Bool
	more := func() bool { return !stop.Load() }
	peers := stalledPeersOf(t, s.sessions, func(p *stalledPeer) error {
		if err := p.await(); err != nil {
			return err
		}
		if err := p.send(s.size, more); err != nil {
			return err
		}
		return p.finish()
	})
	empty := service.memory()
	callers := callAll(t, service, peers, s.settings())
	idle := s.idle(service, empty)
	if s.paced {
		s.pace(t, service, peers)
	}
	close(peers.begin)
	settled(t, peers.moved.Load)
	full := service.memory()
	service.profile(t)

	stop.Store(true)
	var g errgroup.Group
	for _, k := range callers {
		g.Go(func() error { return k.receiveAll(true) })
	}
	require.NoError(t, g.Wait())
	peers.ended(t)
	for i, k := range callers {
		require.Equal(t, peers.known[i].offset, k.in.offset, "every byte came")
		if s.paced {
			require.Greater(t, k.sizes[s.size]*(s.size+maxOverhead), 64<<10, "the records came one by one")
		}
	}
	s.judge(t, empty, idle, full, int64(s.receiveBuffer())+heldReading)
}

// maxOverhead is what stands before a record in its frame, at most.
const maxOverhead = 20

// pace has the peers send one record each, in turns, the next when all were
// handed to their streams, until none is.
func (s stall) pace(tb testing.TB, service *stalledService, peers *stalledPeers) {
	tb.Helper()
	const tries, patient = 50, 10
	for _, p := range peers.known { // most of the streams' windows
		n, err := p.conn.Write(p.next(48 << 10))
		require.NoError(tb, err)
		peers.moved.Add(int64(n))
	}
	for before := int64(-1); ; {
		for _, p := range peers.known {
			n, err := p.conn.Write(p.next(s.size))
			require.NoError(tb, err)
			peers.moved.Add(int64(n))
		}
		now := service.delivered()
		for try := 0; now < peers.moved.Load() && try < tries; try++ {
			if try > patient {
				time.Sleep(time.Millisecond)
			}
			now = service.delivered()
		}
		if now == before {
			return
		}
		before = now
	}
}
