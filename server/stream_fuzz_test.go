package server_test

import (
	"errors"
	"io"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	pb "securesocket/gen/securesocket/v1"
	"securesocket/server/servertest"
)

// frameOf makes a frame out of three bytes: mostly plausible ones, so that a
// sequence gets far.
func frameOf(op, a, b byte, host string, port int32, der []byte, token []byte, id string) *pb.AttachRequest {
	// 0x80 makes a number absurd.
	number := func(n byte) int64 {
		if n&0x80 != 0 {
			return []int64{-1, 1 << 53, 1<<63 - 1, -1 << 63}[n&3]
		}
		return int64(n)
	}
	switch op % 8 {
	case 0:
		return openFrame(&pb.Open{Host: host, Port: port, AttachSeq: number(a), KeepSession: b&1 != 0,
			Certificates: []*pb.ExtraCertificate{{Certificate: der, Trusted: true}}})
	case 1:
		return attachFrame(&pb.AttachSession{SessionId: id, ResumeToken: token, AttachSeq: number(a), ReceivedOffset: number(b)})
	case 2, 3:
		return &pb.AttachRequest{Frame: &pb.AttachRequest_Data{Data: &pb.Data{Offset: number(a), Generation: number(b) % 3, Payload: make([]byte, int(b)*7)}}}
	case 4:
		return &pb.AttachRequest{Frame: &pb.AttachRequest_Finish{Finish: &pb.Finish{Offset: number(a), Generation: number(b) % 3}}}
	case 5:
		m := &pb.CloseSocket{How: pb.CloseSocket_How(a % 5), Generation: number(b) % 3}
		if a&0x40 != 0 {
			offset := number(b)
			m.SendOffset = &offset
		}
		return &pb.AttachRequest{Frame: &pb.AttachRequest_Close{Close: m}}
	case 6:
		m := &pb.AttachRequest{Frame: &pb.AttachRequest_Finish{Finish: &pb.Finish{}}}
		m.ProtoReflect().SetUnknown([]byte{0xa0, 0x06, a & 0x7f}) // field 100
		return m
	}
	return &pb.AttachRequest{}
}

// Whatever a caller sends, the stream ends, with OK or a named reason, and the
// service lives.
func FuzzStream(f *testing.F) {
	for _, seed := range []string{
		"\x00\x01\x00\x02\x00\x01\x04\x07\x01", // open, data, finish
		"\x00\x01\x01\x05\x01\x00",             // open, close
		"\x00\x01\x01\x05\x03\x01\x02\x00\x01", // open, abort, data
		"\x00\x01\x00\x02\x09\x01",             // open, a gap
		"\x02\x00\x01",                         // data first
		"\x01\x01\x00\x05\x01\x00\x04\x00\x00", // attach to an idle session
		"\x00\x80\x00", "\x01\x81\x81", "\x00\x01\x00\x00\x01\x00", "\x00\x01\x00\x06\x01\x00", "\x07",
		"\x00\x01\x00\x02\x80\x01\x02\x82\x01\x04\x83\x01",
		"\x00\x01\x00\x05A\x05\x02\x00\x01\x05BB", // closes after bytes that never come
		"\x00\x01\x00\x05\x41\x05\x02\x00\x01\x05\x42\x00",
	} {
		f.Add([]byte(seed))
	}
	addr, ca := echoServer(f)
	host, port := hostPort(f, addr)
	c := servertest.Start(f).Client(f)
	f.Fuzz(func(t *testing.T, input []byte) {
		if len(input) > 60 {
			return
		}
		made, err := c.CreateSession(t.Context(), &pb.CreateSessionRequest{})
		require.NoError(t, err)
		id := made.GetSession().GetSessionId()
		defer func() { _, _ = c.DeleteSession(t.Context(), &pb.DeleteSessionRequest{SessionId: id}) }()
		var k *caller
		for op := range slices.Chunk(append(input, 0, 0), 3) {
			if len(op) < 3 {
				break
			}
			m := frameOf(op[0], op[1], op[2], host, port, ca.DER(), made.GetResumeToken(), id)
			if k == nil {
				k = start(t.Context(), t, c, m)
			} else if err := k.stream.Send(m); errors.Is(err, io.EOF) {
				break // the stream has ended; why, the end says
			}
		}
		if k == nil {
			return
		}
		_ = k.stream.CloseSend()
		if err := k.end(); err != nil {
			require.Contains(t, []string{"STREAM_GRAMMAR", "OFFSET_MISMATCH", "INVALID_FIELD", "SUPERSEDED"}, reasonOf(t, err))
		}
		if opened := k.attached.GetSession().GetSessionId(); opened != "" && opened != id {
			_, _ = c.DeleteSession(t.Context(), &pb.DeleteSessionRequest{SessionId: opened})
		}
		_, err = c.GetSession(t.Context(), &pb.GetSessionRequest{SessionId: id})
		require.NoError(t, err)
	})
}
