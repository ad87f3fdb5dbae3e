package client_test

import (
	"context"
	"encoding/hex"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"

	"securesocket/client"
	pb "securesocket/gen/securesocket/v1"
)

// ops are what a service may send, in any order and not all of it allowed. The last one ends the stream.
var ops = []func(*fakeStream){
	func(s *fakeStream) { s.attached() },
	func(s *fakeStream) { s.secure(nil, nil, "") },
	func(s *fakeStream) { s.data([]byte(greeting)) },
	func(s *fakeStream) { s.remoteClosed(pb.CloseCause_CLOSE_CAUSE_PEER_CLOSE_NOTIFY) },
	func(s *fakeStream) { s.remoteClosed(pb.CloseCause_CLOSE_CAUSE_PEER_TRUNCATED) },
	func(s *fakeStream) {
		s.ioError(pb.Phase_PHASE_DATA, codes.Unavailable, pb.ErrorReason_ERROR_REASON_PEER_RESET)
	},
	func(s *fakeStream) { s.closed(&pb.Closed{Cause: pb.CloseCause_CLOSE_CAUSE_PEER_CLOSE_NOTIFY}) },
	func(s *fakeStream) {
		s.failed(pb.Phase_PHASE_DATA, codes.Unavailable, pb.ErrorReason_ERROR_REASON_NETWORK_TIMEOUT)
	},
	func(s *fakeStream) {
		s.frame(&pb.AttachResponse{Frame: &pb.AttachResponse_Refused{Refused: &pb.Refused{FrameNumber: 2}}})
	},
	func(s *fakeStream) {
		s.frame(&pb.AttachResponse{Frame: &pb.AttachResponse_Detached{Detached: &pb.Detached{}}})
	},
	func(s *fakeStream) { s.offset++ },
	func(s *fakeStream) { s.event(&pb.Event{}) },
	func(s *fakeStream) {
		s.event(&pb.Event{Kind: &pb.Event_CertificateError{CertificateError: &pb.CertificateError{}}})
	},
	func(s *fakeStream) { s.frame(&pb.AttachResponse{}) },
	func(s *fakeStream) { s.closed(&pb.Closed{Cause: 1000, ReadCause: 1000, WriteCause: 1}) },
	func(s *fakeStream) { s.ask(&pb.DecisionRequest{DecisionId: 1, Report: wrongName}) },
	func(s *fakeStream) {
		s.ask(&pb.DecisionRequest{DeadlineTime: &timestamppb.Timestamp{Seconds: -1 << 60}})
	},
	func(s *fakeStream) { s.askToSign(&pb.SignRequest{SignId: 1, SignatureScheme: -1, Prehashed: true}) },
}

// FuzzFrames: whatever the service sends, in whatever order, nothing panics or hangs, what is read is what was sent,
// and io.EOF needs a close_notify.
func FuzzFrames(f *testing.F) {
	for _, seed := range []string{"", "\x01\x02\x03\x06", "\x01\x02\x05\x04\x07", "\x00\x0c\x07", "\x01\x0a\x02", "\x01\x08\x09", "\x01\x01\x00\x03\x0e", "\x00\x0f\x11\x0f\x01\x02\x03\x06", "\x00\x10\x10\x07"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, sequence []byte) {
		if len(sequence) > 60 {
			return // longer ones find nothing more
		}
		c, _ := startFake(t, func(s *fakeStream) error {
			sequence, _ := hex.DecodeString(s.open.GetHost())
			for _, op := range sequence {
				if int(op) >= len(ops) {
					return status.Error(codes.Code(op), "scripted")
				}
				ops[op](s)
			}
			return nil
		})
		d := client.Dialer{Client: c, Decide: func(_ context.Context, q *client.Question) client.Answer {
			return q.AcceptIf(func(p *pb.CertificateProblem) bool { return p.GetCode() != 0 })
		}}
		conn, err := d.Dial(t.Context(), "tcp", hex.EncodeToString(sequence)+":443")
		if err != nil {
			require.IsType(t, new(client.Error), err)
			require.NotEmpty(t, err.Error())
			return
		}
		require.NoError(t, conn.SetReadDeadline(time.Now().Add(20*time.Second)))
		var got strings.Builder
		_, err = io.Copy(&got, conn)
		require.Empty(t, strings.ReplaceAll(got.String(), greeting, ""))
		if err == nil { // io.EOF
			require.Contains(t, []bool{strings.ContainsRune(string(sequence), 3), strings.ContainsRune(string(sequence), 6)}, true)
		} else {
			require.IsType(t, new(client.Error), err)
		}
		writeEnd(t, conn)
		_ = conn.Close()
	})
}

// FuzzAddress: no address panics, and what is accepted names a place.
func FuzzAddress(f *testing.F) {
	for _, seed := range []string{"unix:///run/s", "grpc://[::1]:1", "grpc://a:1", "grpc://%zz", "unix://", "x"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, address string) {
		c, err := client.Dial(address)
		if err != nil {
			return
		}
		require.NoError(t, c.Close())
		require.True(t, strings.HasPrefix(strings.ToLower(address), "unix:") || strings.HasPrefix(strings.ToLower(address), "grpc:"))
	})
}
