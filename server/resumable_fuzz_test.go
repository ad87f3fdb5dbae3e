package server_test

import (
	"errors"
	"io"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	pb "securesocket/gen/securesocket/v1"
	"securesocket/tlsengine/tlstest"
)

// resumableFrameOf makes a frame out of three bytes: mostly plausible ones.
func resumableFrameOf(w *resumableWorld, s idle, op, a, b byte) *pb.AttachRequest {
	// 0x80 makes a number absurd.
	number := func(n byte) int64 {
		if n&0x80 != 0 {
			return []int64{-1, 1 << 53, 1<<63 - 1, 1 << 30}[n&3]
		}
		return int64(n)
	}
	generation := number(b) % 3
	switch op % 10 {
	case 0, 1, 2:
		return dataFrame(generation, number(a), string(noise()[:int(b)*99]))
	case 3, 4:
		return ackFrame(generation, number(a), number(b>>2))
	case 5:
		return finishFrame(generation, number(a))
	case 6:
		m := &pb.CloseSocket{How: pb.CloseSocket_How(a % 5), Generation: generation}
		if a&0x40 != 0 {
			offset := number(b)
			m.SendOffset = &offset
		}
		return &pb.AttachRequest{Frame: &pb.AttachRequest_Close{Close: m}}
	case 7:
		return decisionFrame(&pb.CertificateDecision{DecisionId: number(a), AcceptAll: b&1 != 0})
	case 8:
		if b&0x80 == 0 { // more at once than the ring holds, from where it is
			return dataFrame(1, 0, string(noise()[:20_000+int(a)]))
		}
		return openFrame(w.open("", func(m *pb.Open) { m.AttachSeq = number(a) }))
	}
	return attachFrame(&pb.AttachSession{SessionId: s.id, ResumeToken: s.token, AttachSeq: number(a)})
}

// Whatever a caller of a resumable session sends, over however many streams, each
// ends with OK or a named reason, and the service lives.
func FuzzResumableStream(f *testing.F) {
	for _, seed := range []string{
		"\x00\x00\x01\x03\x05\x01\x05\x63\x01",             // data, ack, finish
		"\x00\x00\x01\xff\x02\x00\x00\x00\x01\xff\x03\x05", // data, attach anew, data again, attach anew
		"\x00\x09\x01\xff\x02\x00\x00\x00\x01",             // a gap, and another stream
		"\x08\x00\x00\xff\x05\x00\x08\x00\x00",             // beyond send_limit
		"\x03\x10\x01\x03\x80\x01\x03\x00\x81",             // acks of what was never sent
		"\x00\x00\x01\x06\x01\x01\xff\x02\x00\x03\x00\x70", // graceful close, attach anew
		"\x06\x03\x01\xff\x02\x00\x00\x00\x01",             // abort, attach anew, data
		"\xff\x01\x00\xff\x00\x00\xff\x80\x00\xff\x81\x80", // attaches that are refused
		"\xfe\x00\x00\xff\x02\x00\x00\x00\x02\x00\x00\x01", // connect again
		"\x05\x00\x01\x00\x00\x01", "\x07\x01\x01", "\x08\x01\x80", "\x09\x05\x00", "\x02\x80\x01\x02\x82\x01",
	} {
		f.Add([]byte(seed))
	}
	w := newResumableWorld(f, tlstest.Echo)
	f.Fuzz(func(t *testing.T, input []byte) {
		if len(input) > 60 {
			return
		}
		m := w.open("", keepSession, func(m *pb.Open) { m.Settings.SendBufferBytes = 16 << 10 })
		k := start(t.Context(), t, w.direct, openFrame(m))
		require.NoError(t, k.next())
		s := k.session()
		defer func() { _, _ = w.direct.DeleteSession(t.Context(), &pb.DeleteSessionRequest{SessionId: s.id}) }()
		k.secure()
		ends := func() {
			_ = k.stream.CloseSend()
			for {
				_, err := k.stream.Recv() // no offsets are compared: the sequence chooses them
				if errors.Is(err, io.EOF) {
					return
				}
				if err != nil {
					require.Contains(t, []string{"STREAM_GRAMMAR", "OFFSET_MISMATCH", "INVALID_FIELD", "SUPERSEDED", "LIMIT"}, reasonOf(t, err))
					return
				}
			}
		}
		for op := range slices.Chunk(input, 3) {
			if len(op) < 3 {
				break
			}
			switch op[0] {
			case 0xff: // another stream takes the session
				old := k
				k = start(t.Context(), t, w.direct, attachFrame(&pb.AttachSession{
					SessionId: s.id, ResumeToken: s.token, AttachSeq: int64(int8(op[1])), ReceivedOffset: int64(op[2]),
				}))
				if op[1]&1 != 0 {
					old.cancel()
				}
			case 0xfe: // unary calls in between
				begin(t, w.direct, s, w.addr)
			default:
				_ = k.stream.Send(resumableFrameOf(w, s, op[0], op[1], op[2])) // where the stream has ended its end says why
			}
		}
		ends()
		_, err := w.direct.GetSession(t.Context(), &pb.GetSessionRequest{SessionId: s.id})
		require.NoError(t, err)
	})
}
