package server_test

import (
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"
)

func TestPeersThatNeverReadHoldNoMoreThanTheFormula(t *testing.T) {
	for _, s := range []stall{
		{name: "frames of 64 KiB", sessions: 500, size: 64 << 10, held: heldWindow},
		{name: "frames of 64 KiB, resumable", sessions: 250, resumable: true, size: 64 << 10},
		{name: "frames of 1,100 bytes", sessions: 25, size: 1100, held: heldSmallWindow},
		{name: "single bytes", sessions: 3, buffer: 16 << 10, size: 1, held: heldWindow},
		{name: "single bytes, resumable", sessions: 3, resumable: true, buffer: 32 << 10, size: 1},
	} {
		t.Run(s.name, s.senders)
	}
}

// senders has callers send to peers that do not read, and then do.
func (s stall) senders(t *testing.T) {
	s.fewer()
	service := startStalledService(t, 0)
	var stop atomic.Bool
	more := func() bool { return !stop.Load() }
	peers := stalledPeersOf(t, s.sessions, func(p *stalledPeer) error {
		if err := p.await(); err != nil {
			return err
		}
		return p.receive()
	})
	empty := service.memory()
	callers := callAll(t, service, peers, s.settings())
	idle := s.idle(service, empty)
	var sent atomic.Int64
	var g errgroup.Group
	for _, k := range callers {
		g.Go(func() error {
			for range 24 { // most of what the kernel takes
				if err := k.sendUpTo(16<<10, &sent, more); err != nil {
					return err
				}
			}
			for more() {
				if err := k.sendUpTo(s.size, &sent, more); err != nil {
					return err
				}
			}
			return k.finish(k.out.offset + numberBytes)
		})
		g.Go(func() error { return k.receiveAll(false) })
	}
	settled(t, sent.Load)
	full := service.memory()
	service.profile(t)

	stop.Store(true)
	for _, k := range callers {
		k.goOn()
	}
	close(peers.begin)
	require.NoError(t, g.Wait())
	peers.ended(t)
	for i, k := range callers {
		require.Equal(t, k.out.offset, peers.known[i].offset, "every byte came")
	}
	s.judge(t, empty, idle, full, int64(s.sendBuffer())+heldWriting)
}
