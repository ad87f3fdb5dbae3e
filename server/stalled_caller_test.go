package server_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"

	pb "securesocket/gen/securesocket/v1"
)

// stalledCaller is a caller of its own: the others of these tests keep all they
// get, and end too early.
type stalledCaller struct {
	number    int
	stream    grpc.BidiStreamingClient[pb.AttachRequest, pb.AttachResponse]
	resumable bool
	in        pattern
	sizes     map[int]int // frames of socket_data by their payload
	lastEvent int64
	acked     int64

	sending sync.Mutex // of the stream
	out     pattern
	told    sync.Cond // on mu
	mu      sync.Mutex
	limit   int64 // the last send_limit
}

// stalledConnections is how many HTTP/2 connections they share.
const stalledConnections = 4

// callAll has many callers open sessions at once, over a few HTTP/2 connections,
// to the peers, and waits until all peers know theirs.
func callAll(tb testing.TB, s *stalledService, peers *stalledPeers, settings *pb.SessionSettings) []*stalledCaller {
	tb.Helper()
	callers := make([]*stalledCaller, len(peers.known))
	var conns [stalledConnections]pb.SecureSocketServiceClient
	for i := range conns {
		conns[i] = pb.NewSecureSocketServiceClient(s.dial())
	}
	ctx, cancel := context.WithCancel(tb.Context())
	tb.Cleanup(cancel)
	host, port := hostPort(tb, peers.addr)
	var g errgroup.Group
	g.SetLimit(16)
	for i := range callers {
		g.Go(func() error {
			stream, err := conns[i%stalledConnections].Attach(ctx)
			if err != nil {
				return err
			}
			k := &stalledCaller{number: i, stream: stream, resumable: settings.GetResumable(), in: pattern{session: i}, out: pattern{session: i}, sizes: make(map[int]int)}
			k.told.L = &k.mu
			callers[i] = k
			err = stream.Send(openFrame(&pb.Open{
				Host: host, Port: port, Settings: settings,
				Certificates: []*pb.ExtraCertificate{{Certificate: peers.ca.Root().DER(), Trusted: true}},
			}))
			if err != nil {
				return err
			}
			if err := k.receiveUntil(func(e *pb.Event) bool { return e.GetSecureConnected() != nil }); err != nil {
				return err
			}
			return k.send(binary.BigEndian.AppendUint32(nil, uint32(i)), 0)
		})
	}
	require.NoError(tb, g.Wait())
	peers.left.Wait()
	return callers
}

// send sends one frame at an offset.
func (k *stalledCaller) send(p []byte, offset int64) error {
	k.sending.Lock()
	defer k.sending.Unlock()
	return k.stream.Send(&pb.AttachRequest{Frame: &pb.AttachRequest_Data{Data: &pb.Data{Offset: offset, Generation: 1, Payload: p}}})
}

// numberBytes stand before a caller's pattern.
const numberBytes = 4

// sendUpTo sends one frame of at most size bytes, once it may, or nothing if
// more says no meanwhile.
func (k *stalledCaller) sendUpTo(size int, moved *atomic.Int64, more func() bool) error {
	at := k.out.offset + numberBytes
	if k.resumable {
		k.mu.Lock()
		for k.limit <= at && more() {
			k.told.Wait()
		}
		size = int(min(k.limit-at, int64(size)))
		k.mu.Unlock()
	}
	if size <= 0 {
		return nil
	}
	p := k.out.next(size)
	err := k.send(p, at)
	moved.Add(int64(len(p)))
	return err
}

// finish half-closes at an offset.
func (k *stalledCaller) finish(offset int64) error {
	k.sending.Lock()
	defer k.sending.Unlock()
	return k.stream.Send(&pb.AttachRequest{Frame: &pb.AttachRequest_Finish{Finish: &pb.Finish{Offset: offset, Generation: 1}}})
}

// goOn lets a sender that waits for its send_limit look whether it should go on.
func (k *stalledCaller) goOn() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.told.Broadcast()
}

// receiveUntil receives until an event; the bytes are checked.
func (k *stalledCaller) receiveUntil(last func(*pb.Event) bool) error {
	for {
		m, err := k.stream.Recv()
		if err != nil {
			return fmt.Errorf("caller %d at %d: %w", k.number, k.in.offset, err)
		}
		switch f := m.GetFrame().(type) {
		case *pb.AttachResponse_Attached:
			k.progress(f.Attached.GetSendLimit())
		case *pb.AttachResponse_OutputProgress:
			k.progress(f.OutputProgress.GetSendLimit())
		case *pb.AttachResponse_SocketData:
			if f.SocketData.GetOffset() != k.in.offset || !k.in.continues(f.SocketData.GetPayload()) {
				return fmt.Errorf("caller %d at %d: %w", k.number, k.in.offset, errPattern)
			}
			k.sizes[len(f.SocketData.GetPayload())]++
			if k.in.offset-k.acked >= 4<<10 { // a quarter of the smallest buffer
				if err := k.ack(); err != nil {
					return err
				}
			}
		case *pb.AttachResponse_Event:
			k.lastEvent = f.Event.GetSeq()
			if last(f.Event) {
				return nil
			}
		default:
			return fmt.Errorf("caller %d: %v", k.number, m)
		}
	}
}

func (k *stalledCaller) progress(limit int64) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.limit = limit
	k.told.Broadcast()
}

func (k *stalledCaller) ack() error {
	if !k.resumable {
		return nil
	}
	k.acked = k.in.offset
	k.sending.Lock()
	defer k.sending.Unlock()
	return k.stream.Send(&pb.AttachRequest{Frame: &pb.AttachRequest_Ack{Ack: &pb.Ack{ReceivedOffset: k.in.offset, Generation: 1, EventSeq: k.lastEvent}}})
}

// receiveAll receives until the peer has ended its direction, ends the other one
// and takes what is left. The end is in order.
func (k *stalledCaller) receiveAll(finish bool) error {
	if err := k.receiveUntil(func(e *pb.Event) bool { return e.GetRemoteClosed() != nil }); err != nil {
		return err
	}
	if finish {
		if err := k.finish(numberBytes); err != nil {
			return err
		}
	}
	if err := k.receiveUntil(func(e *pb.Event) bool { return e.GetClosed() != nil }); err != nil {
		return err
	}
	if err := k.ack(); err != nil {
		return err
	}
	if _, err := k.stream.Recv(); !errors.Is(err, io.EOF) {
		return fmt.Errorf("caller %d: %w", k.number, err)
	}
	return nil
}
