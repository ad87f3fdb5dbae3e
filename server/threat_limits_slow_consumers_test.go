package server_test

import (
	"errors"
	"fmt"
	"io"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"
	"google.golang.org/protobuf/proto"

	pb "securesocket/gen/securesocket/v1"
)

// smallBudget is what its sessions may buffer together.
const smallBudget = 32 << 20

// drain receives all there is, as receiveAll does, and acks every frame: where memory is
// scarce what is not acked leaves room for nothing else.
func (k *stalledCaller) drain() error {
	for {
		m, err := k.stream.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("caller %d at %d: %w", k.number, k.in.offset, err)
		}
		if d := m.GetSocketData(); d != nil && (d.GetOffset() != k.in.offset || !k.in.continues(d.GetPayload())) {
			return fmt.Errorf("caller %d at %d: %w", k.number, k.in.offset, errPattern)
		}
		e := m.GetEvent()
		k.lastEvent = max(k.lastEvent, e.GetSeq())
		if e.GetRemoteClosed() != nil {
			if err := k.finish(numberBytes); err != nil {
				return err
			}
		}
		if err := k.ack(); err != nil && !errors.Is(err, io.EOF) {
			return err
		}
	}
}

// TestThreat36SlowConsumers has many callers that do not receive, against peers that
// send as fast as they can: the service holds its budget, what a session costs without
// buffers, a chunk for each, and a tenth; and then every byte comes, over what there is.
func TestThreat36SlowConsumers(t *testing.T) {
	for _, s := range []stall{
		{name: "resumable", sessions: 400, resumable: true, size: 16 << 10},
		{name: "not resumable", sessions: 300, size: 16 << 10, held: heldReferenced},
	} {
		t.Run(s.name, func(t *testing.T) {
			s.fewer()
			service := startStalledService(t, smallBudget)
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
			callers := callAll(t, service, peers, &pb.SessionSettings{
				Resumable: proto.Bool(s.resumable), ReceiveBufferBytes: 1 << 20,
				Tls: &pb.TlsSettings{Trust: &pb.TrustSettings{Base: pb.TrustSettings_BASE_NONE}},
			})
			close(peers.begin)
			settled(t, peers.moved.Load)
			full := service.memory()

			stop.Store(true)
			var g errgroup.Group
			for _, k := range callers {
				g.Go(k.drain)
			}
			require.NoError(t, g.Wait())
			peers.ended(t)
			for i, k := range callers {
				require.Equal(t, peers.known[i].offset, k.in.offset, "every byte came")
			}
			n := int64(s.sessions)
			used, may := full.used()-empty.used(), smallBudget+n*(heldIdle+heldReading+64<<10+s.held)+heldProcess+stalledConnections*heldConnection
			t.Logf("%d sessions hold %d MiB of %d; their rings alone might have %d; resident %d MiB", n, used>>20, may>>20, n, full.Resident>>20)
			require.LessOrEqual(t, used, may*11/10)
			if n > 100 {
				require.Less(t, used, n<<20, "the budget was what bounded it")
			}
		})
	}
}
