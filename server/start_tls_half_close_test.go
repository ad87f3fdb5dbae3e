package server_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	pb "securesocket/gen/securesocket/v1"
	"securesocket/server/servertest"
)

// A half-close may stand at send_offset or behind it: then it is a close_notify. Before it there is none while a StartTls
// waits for the bytes up to there, for it would be a FIN in clear.
func TestHalfCloseWhileEnteringTLS(t *testing.T) {
	t.Parallel()
	c := servertest.Start(t).Client(t)
	for name, half := range map[string]func(offset int64) *pb.AttachRequest{
		"finish": func(offset int64) *pb.AttachRequest { return finishFrame(1, offset) },
		"close": func(offset int64) *pb.AttachRequest {
			return &pb.AttachRequest{Frame: &pb.AttachRequest_Close{Close: &pb.CloseSocket{How: pb.CloseSocket_HOW_WRITE_HALF, SendOffset: &offset}}}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, at := range []int64{1, 3, 4, 9} {
				d := newDivider(t, false)
				k := open(t, c, d.addr, d.ca, plainly)
				k.write([]byte("a"))
				k.until(func() bool { return k.progress.GetWrittenOffset() == 1 })
				k.send(startTLSFrame(pb.TlsRole_TLS_ROLE_CLIENT, 0, 4))
				if at >= 4 {
					k.write(letters(int(at) - 1))
				} else if at > 1 {
					k.write([]byte("bc"))
				}
				k.send(half(at))
				if at < 4 {
					k.until(func() bool { return len(k.refused) == 1 })
					require.Equal(t, "OFFSET_MISMATCH", nameOf(k.refused[0].GetFailure().GetReason()))
					k.write([]byte("defghi")[:4-at])
					k.secure()
					k.finish()
				}
				closed := k.closed()
				require.Nil(t, closed.GetFailure())
				require.EqualValues(t, max(at, 4), closed.GetSentBytes())
				got := d.end(t)
				require.NoError(t, got.err)
				require.True(t, got.tls, "half-close at %d: %q", at, got.plain)
				require.Len(t, got.plain, 4)
				require.Len(t, got.secured, int(max(at, 4))-4)
			}
		})
	}
}
