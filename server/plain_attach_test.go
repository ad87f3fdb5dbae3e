package server_test

import (
	"io"
	"net"
	"testing"

	"github.com/stretchr/testify/require"

	pb "securesocket/gen/securesocket/v1"
	"securesocket/server/servertest"
	"securesocket/tlsengine/tlstest"
)

// Another stream takes a plain session that is not resumable, without saying where it is: it is told, as under TLS, however
// much the first stream has had.
func TestPlainSessionIsTakenByAnotherStream(t *testing.T) {
	t.Parallel()
	c := servertest.Start(t).Client(t)
	for name, size := range map[string]int{"little": 100, "much": 2 << 20} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			may, ended := make(chan struct{}), t.Context().Done()
			addr := tlstest.ServeRaw(t, func(conn net.Conn) {
				_, _ = conn.Write(noise()[:size])
				select {
				case <-may:
				case <-ended:
					return
				}
				_, _ = conn.Write(noise()[size : size+100])
				_, _ = io.Copy(io.Discard, conn)
			})
			s := newIdle(t.Context(), t, c, nil)
			connectPlainly(t, c, s, addr)
			k := attach(t.Context(), t, c, s, 1)
			k.until(func() bool { return len(k.data) == size })
			next := start(t.Context(), t, c, attachFrame(&pb.AttachSession{SessionId: s.id, ResumeToken: s.token, AttachSeq: 2}))
			next.until(func() bool { return next.attached != nil })
			require.EqualValues(t, size, next.attached.GetSocketDataOffset(), "less is not sent again")
			close(may)
			next.until(func() bool { return len(next.data) == 100 })
			require.True(t, string(noise()[size:size+100]) == string(next.data))
			next.finish()
		})
	}
}
