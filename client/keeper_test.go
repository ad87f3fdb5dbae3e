package client_test

import (
	"context"
	"errors"
	"io"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"
	"google.golang.org/protobuf/protoadapt"
	"google.golang.org/protobuf/types/known/durationpb"

	"securesocket/client"
	pb "securesocket/gen/securesocket/v1"
)

// keeper is a service that keeps its sessions over their streams, with a peer in each that sends back what it gets. It
// holds the caller to the contract, and does not keep to it itself where a test wants so.
type keeper struct {
	pb.UnimplementedSecureSocketServiceServer
	tb     testing.TB
	window int64         // bytes beyond what is acked, or accepted
	chunk  int           // bytes of a data frame
	grace  time.Duration // said, and not kept to

	// cut is asked before and after every frame, in either direction; true: the stream breaks there.
	cut func(n int) bool
	// refuse is asked at every first frame; an error ends the stream.
	refuse func(first *pb.AttachRequest) error
	// lie may change what an attach is answered.
	lie func(*pb.Attached)

	mu       sync.Mutex
	moved    sync.Cond
	cuts     int // places where it might have broken
	sessions map[string]*kept
	firsts   []*pb.AttachRequest
	acks     []*pb.Ack
	closes   []*pb.CloseRequest // unary
	deleted  int
}

// startKeeper serves in memory. Both are gone when the test ends.
func startKeeper(t *testing.T, change ...func(*keeper)) (*client.Client, *keeper) {
	t.Helper()
	k := &keeper{tb: t, window: 64 << 10, chunk: 16 << 10, grace: time.Minute, sessions: map[string]*kept{}}
	k.moved.L = &k.mu
	for _, f := range change {
		f(k)
	}
	server := grpc.NewServer()
	pb.RegisterSecureSocketServiceServer(server, k)
	listener := bufconn.Listen(1 << 20)
	served := make(chan struct{})
	go func() {
		defer close(served)
		_ = server.Serve(listener)
	}()
	c, err := client.Dial("grpc://keeper:1", client.WithMaxStreamsPerConn(100), client.WithContextDialer(
		func(ctx context.Context, _ string) (net.Conn, error) { return listener.DialContext(ctx) }))
	require.NoError(t, err)
	t.Cleanup(func() {
		require.NoError(t, c.Close())
		server.Stop()
		<-served
	})
	return c, k
}

// refusal is the service's status for a reason.
func refusal(code codes.Code, reason pb.ErrorReason, metadata map[string]string, more ...protoadapt.MessageV1) error {
	st, err := status.New(code, "scripted").WithDetails(append([]protoadapt.MessageV1{&errdetails.ErrorInfo{
		Domain: "securesocket.v1", Reason: reason.String()[len("ERROR_REASON_"):], Metadata: metadata,
	}}, more...)...)
	if err != nil {
		return err
	}
	return st.Err()
}

var errCut = status.Error(codes.Unavailable, "cut")

// mayBreak says whether the stream breaks here.
func (k *keeper) mayBreakLocked() bool {
	k.cuts++
	return k.cut != nil && k.cut(k.cuts)
}

// only is the one session there is.
func (k *keeper) only() *kept {
	k.mu.Lock()
	defer k.mu.Unlock()
	require.Len(k.tb, k.sessions, 1)
	for _, s := range k.sessions {
		return s
	}
	return nil
}

// do changes sessions and wakes their streams.
func (k *keeper) do(f func()) {
	k.mu.Lock()
	defer k.mu.Unlock()
	f()
	k.moved.Broadcast()
}

func (k *keeper) Attach(stream grpc.BidiStreamingServer[pb.AttachRequest, pb.AttachResponse]) error {
	first, err := stream.Recv()
	if err != nil {
		return err
	}
	k.mu.Lock()
	k.firsts = append(k.firsts, first)
	refuse := k.refuse
	broken := k.mayBreakLocked()
	k.mu.Unlock()
	if broken {
		return errCut
	}
	if refuse != nil {
		if err := refuse(first); err != nil {
			return err
		}
	}
	k.mu.Lock()
	s, err := k.takeLocked(first)
	if err != nil {
		k.mu.Unlock()
		return err
	}
	mine := s.stream
	attached := &pb.Attached{
		Session: k.messageLocked(s), ResumeToken: s.token, AcceptedOffset: int64(len(s.in)), SocketDataOffset: s.cursor,
		DetachGrace: durationpb.New(k.grace), SendLimit: int64(len(s.in)) + k.window,
	}
	if k.lie != nil {
		k.lie(attached)
	}
	s.reported = keptProgress{attached.GetAcceptedOffset(), attached.GetSendLimit()}
	broken = k.mayBreakLocked()
	k.mu.Unlock()
	if broken {
		return errCut
	}
	if err := stream.Send(&pb.AttachResponse{Frame: &pb.AttachResponse_Attached{Attached: attached}}); err != nil {
		return err
	}
	if s.asks != nil && !s.secureSent {
		_ = stream.Send(&pb.AttachResponse{Frame: &pb.AttachResponse_DecisionRequest{DecisionRequest: s.asks}})
	}
	over := make(chan error, 1)
	go func() {
		over <- k.receive(stream, s, mine)
		k.do(func() {})
	}()
	stop := context.AfterFunc(stream.Context(), func() { k.do(func() {}) })
	defer stop()
	return k.send(stream, s, mine, over)
}

// receive obeys the caller until the stream is over.
func (k *keeper) receive(stream grpc.BidiStreamingServer[pb.AttachRequest, pb.AttachResponse], s *kept, mine int) error {
	for {
		request, err := stream.Recv()
		if err != nil {
			if errors.Is(err, io.EOF) {
				return nil
			}
			return err
		}
		k.mu.Lock()
		if s.stream != mine {
			k.mu.Unlock()
			return nil
		}
		before := k.mayBreakLocked()
		if !before {
			err = k.obeyLocked(s, request)
		}
		after := k.mayBreakLocked()
		k.moved.Broadcast()
		k.mu.Unlock()
		switch {
		case before || after:
			return errCut
		case err != nil:
			k.tb.Error(err)
			return err
		}
	}
}

// send tells the caller what there is to be told until the stream is over.
func (k *keeper) send(stream grpc.BidiStreamingServer[pb.AttachRequest, pb.AttachResponse], s *kept, mine int, over <-chan error) error {
	for {
		k.mu.Lock()
		var response *pb.AttachResponse
		for response == nil {
			if s.stream != mine { // which ends receive as well
				k.mu.Unlock()
				return refusal(codes.Aborted, pb.ErrorReason_ERROR_REASON_SUPERSEDED, nil)
			}
			select {
			case err := <-over:
				k.mu.Unlock()
				return err
			default:
			}
			if stream.Context().Err() != nil {
				k.mu.Unlock()
				return stream.Context().Err()
			}
			if s.ended && s.acked == int64(len(s.out)) && s.ackedTo == int64(len(s.events)) {
				k.deleted++
				delete(k.sessions, s.id)
				k.mu.Unlock()
				return nil
			}
			if response = k.nextLocked(s); response == nil {
				k.moved.Wait()
			}
		}
		before := k.mayBreakLocked()
		k.mu.Unlock()
		if before {
			return errCut
		}
		if err := stream.Send(response); err != nil {
			return err
		}
		k.mu.Lock()
		after := k.mayBreakLocked()
		k.mu.Unlock()
		if after {
			return errCut
		}
	}
}

func (k *keeper) GetSession(_ context.Context, request *pb.GetSessionRequest) (*pb.GetSessionResponse, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	s := k.sessions[request.GetSessionId()]
	if s == nil {
		return nil, refusal(codes.NotFound, pb.ErrorReason_ERROR_REASON_SESSION_NOT_FOUND, nil)
	}
	return &pb.GetSessionResponse{Session: k.messageLocked(s)}, nil
}

func (k *keeper) GetCertificateStatus(context.Context, *pb.GetCertificateStatusRequest) (*pb.GetCertificateStatusResponse, error) {
	return &pb.GetCertificateStatusResponse{Report: &pb.CertificateReport{TrustBasis: pb.CertificateReport_TRUST_BASIS_VALIDATED}}, nil
}

func (k *keeper) Close(_ context.Context, request *pb.CloseRequest) (*pb.CloseResponse, error) {
	k.do(func() {
		k.closes = append(k.closes, request)
		if s := k.sessions[request.GetSessionId()]; s != nil {
			s.close(pb.CloseCause_CLOSE_CAUSE_LOCAL)
		}
	})
	return &pb.CloseResponse{}, nil
}

func (k *keeper) DeleteSession(_ context.Context, request *pb.DeleteSessionRequest) (*pb.DeleteSessionResponse, error) {
	k.do(func() {
		k.deleted++
		delete(k.sessions, request.GetSessionId())
	})
	return &pb.DeleteSessionResponse{}, nil
}

// breakOnce ends the next stream that does something, as if the way had broken.
func (k *keeper) breakOnce() {
	k.mu.Lock()
	defer k.mu.Unlock()
	before := k.cut
	k.cut = func(int) bool {
		k.cut = before
		return true
	}
}

// What the keeper has seen, as of now.

func (k *keeper) gone() int                  { return look(k, func() int { return k.deleted }) }
func (k *keeper) places() int                { return look(k, func() int { return k.cuts }) }
func (k *keeper) decisions(s *kept) int      { return look(k, func() int { return s.decided }) }
func (k *keeper) heard(s *kept) string       { return look(k, func() string { return string(s.in) }) }
func (k *keeper) acknowledged(s *kept) int64 { return look(k, func() int64 { return s.acked }) }
func (k *keeper) begun() []*pb.AttachRequest {
	return look(k, func() []*pb.AttachRequest { return slices.Clone(k.firsts) })
}
func (k *keeper) closings() []*pb.CloseRequest {
	return look(k, func() []*pb.CloseRequest { return slices.Clone(k.closes) })
}
func (k *keeper) told() []*pb.Ack { return look(k, func() []*pb.Ack { return slices.Clone(k.acks) }) }
func (k *keeper) forgetAcks()     { k.do(func() { k.acks = nil }) }

func look[T any](k *keeper, f func() T) T {
	k.mu.Lock()
	defer k.mu.Unlock()
	return f()
}
