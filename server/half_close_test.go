package server_test

import (
	"crypto/tls"
	"io"
	"testing"

	"github.com/stretchr/testify/require"

	pb "securesocket/gen/securesocket/v1"
	"securesocket/server/servertest"
	"securesocket/tlsengine/tlstest"
)

// The caller ended its half, whatever the peer does then.
func TestHalfCloseIsTheCallersWhateverThePeerDoes(t *testing.T) {
	t.Parallel()
	const rounds = 15 // the two ends race
	ends := map[string]struct {
		end   func(*tls.Conn)
		read  pb.CloseCause
		cause pb.CloseCause
	}{
		"close_notify": {tlstest.CloseNotify, pb.CloseCause_CLOSE_CAUSE_PEER_CLOSE_NOTIFY, pb.CloseCause_CLOSE_CAUSE_LOCAL},
		"FIN":          {tlstest.Truncate, pb.CloseCause_CLOSE_CAUSE_PEER_TRUNCATED, pb.CloseCause_CLOSE_CAUSE_PEER_TRUNCATED},
		"RST":          {tlstest.Reset, pb.CloseCause_CLOSE_CAUSE_PEER_RESET, pb.CloseCause_CLOSE_CAUSE_PEER_RESET},
	}
	c := servertest.Start(t).Client(t)
	for name, tc := range ends {
		for version, number := range map[string]uint16{"TLS 1.2": tls.VersionTLS12, "TLS 1.3": tls.VersionTLS13} {
			t.Run(name+"/"+version, func(t *testing.T) {
				t.Parallel()
				ca := tlstest.NewCA(t)
				cfg := serverConfig(ca.Leaf(tlstest.Names("127.0.0.1")))
				cfg.MaxVersion = number
				addr := tlstest.Serve(t, cfg, func(conn *tls.Conn) {
					_, _ = io.Copy(io.Discard, conn)
					tc.end(conn)
				})
				for range rounds {
					k := open(t, c, addr, ca)
					k.write([]byte("everything"))
					k.finish()
					closed := k.closed()
					require.Equal(t, pb.CloseCause_CLOSE_CAUSE_LOCAL, closed.GetWriteCause())
					require.Equal(t, tc.read, closed.GetReadCause())
					require.Equal(t, tc.cause, closed.GetCause())
					require.EqualValues(t, len("everything"), closed.GetSentBytes())
				}
			})
		}
	}
}
