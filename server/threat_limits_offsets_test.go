package server_test

import (
	"fmt"
	"math"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	pb "securesocket/gen/securesocket/v1"
	"securesocket/server/servertest"
)

// absurd are numbers that no honest caller has: beyond what was ever sent, around 2^53,
// where JSON's numbers end, around the end of int64, and before the beginning.
var absurd = []int64{1 << 30, 1<<53 - 10, 1<<53 - 1, 1 << 53, 1<<53 + 1, math.MaxInt64 - 1, math.MaxInt64, -1, -1 << 53, math.MinInt64}

// TestThreat45PoisonedFrames has each of these numbers at each place of a frame: the
// attachment ends with a reason of the caller's, and the session goes on.
func TestThreat45PoisonedFrames(t *testing.T) {
	t.Parallel()
	addr, ca := echoServer(t)
	for name, frame := range map[string]func(n int64) *pb.AttachRequest{
		"data.offset":         func(n int64) *pb.AttachRequest { return dataFrame(1, n, "x") },
		"data.generation":     func(n int64) *pb.AttachRequest { return dataFrame(n, 1, "x") },
		"finish.offset":       func(n int64) *pb.AttachRequest { return finishFrame(1, n) },
		"finish.generation":   func(n int64) *pb.AttachRequest { return finishFrame(n, 1) },
		"ack.received_offset": func(n int64) *pb.AttachRequest { return ackFrame(1, n, 0) },
		"ack.event_seq":       func(n int64) *pb.AttachRequest { return ackFrame(1, 0, n) },
		"start_tls.receive_offset": func(n int64) *pb.AttachRequest {
			return startTLSFrame(pb.TlsRole_TLS_ROLE_CLIENT, n, 0)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := servertest.Start(t).Client(t)
			n := newNeighbour(t, c)
			k := open(t, c, addr, ca, keepSession, func(m *pb.Open) { m.Settings = resumableSettings() })
			k.secure()
			for _, number := range absurd {
				k.send(frame(number))
				if err := k.stream.CloseSend(); err != nil {
					require.ErrorContains(t, err, "EOF")
				}
				if err := k.end(); err != nil {
					reason := reasonOf(t, err)
					require.Contains(t, []string{"OFFSET_MISMATCH", "INVALID_FIELD"}, reason, "%d", number)
					require.Contains(t, []codes.Code{codes.OutOfRange, codes.InvalidArgument}, status.Code(err), "%d", number)
				} else {
					// It was refused alone, or belongs to a generation that there is not.
					require.NotContains(t, k.kinds(), "closed", "%d", number)
				}
				k = k.again(c)
				p := fmt.Sprintf("after %d", number)
				want := string(k.data) + p
				k.write([]byte(p))
				k.until(func() bool { return len(k.data) >= len(want) })
				require.Equal(t, want, string(k.data), "nothing was taken for bytes")
			}
			n.talks()
		})
	}
}

// TestThreat45PoisonedAttaches has them in an attach: the seq is not used up, whoever
// holds the session keeps it, and its owner can still come back.
func TestThreat45PoisonedAttaches(t *testing.T) {
	t.Parallel()
	addr, ca := echoServer(t)
	for name, poison := range map[string]func(m *pb.AttachSession, n int64){
		"attach_seq":         func(m *pb.AttachSession, n int64) { m.AttachSeq = n },
		"received_offset":    func(m *pb.AttachSession, n int64) { m.ReceivedOffset = n },
		"received_event_seq": func(m *pb.AttachSession, n int64) { m.ReceivedEventSeq = n },
		"generation":         func(m *pb.AttachSession, n int64) { m.Generation = n },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := servertest.Start(t).Client(t)
			k := open(t, c, addr, ca, keepSession, func(m *pb.Open) { m.Settings = resumableSettings() })
			k.secure()
			s := k.session()
			for _, number := range append(absurd, 2+1<<20) {
				if name != "attach_seq" && number == 2+1<<20 {
					continue
				}
				m := &pb.AttachSession{SessionId: s.id, ResumeToken: s.token, AttachSeq: 2}
				poison(m, number)
				err := start(t.Context(), t, c, attachFrame(m)).end()
				require.Contains(t, []string{"OFFSET_MISMATCH", "INVALID_FIELD", "LIMIT"}, reasonOf(t, err), "%d", number)
			}
			k.write([]byte("untouched"))
			k.until(func() bool { return string(k.data) == "untouched" })
			again := k.again(c) // with attach_seq 2
			again.write([]byte("!"))
			again.until(func() bool { return string(again.data) == "untouched!" })
			m := &pb.Open{Host: "127.0.0.1", Port: 1, AttachSeq: math.MinInt64}
			require.Contains(t, []string{"INVALID_FIELD", "OFFSET_MISMATCH"}, reasonOf(t, start(t.Context(), t, c, openFrame(m)).end()))
		})
	}
}
