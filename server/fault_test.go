package server_test

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/netip"
	"os"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	pb "securesocket/gen/securesocket/v1"
	"securesocket/server"
	"securesocket/server/servertest"
	"securesocket/session"
	"securesocket/tlsengine/tlstest"
)

// silenced is a socket on which nothing is acknowledged any more once the
// network is gone: its reads end as the kernel ends them.
type silenced struct {
	net.Conn
	gone *atomic.Bool
}

func (s silenced) Read(p []byte) (int, error) {
	n, err := s.Conn.Read(p)
	if s.gone.Load() {
		return 0, &net.OpError{Op: "read", Net: "tcp", Err: os.NewSyscallError("read", syscall.ETIMEDOUT)}
	}
	return n, err
}

func TestSilentNetworkIsNotThePeersEnd(t *testing.T) {
	t.Parallel()
	var gone atomic.Bool
	addr, ca := echoServer(t)
	svc := servertest.Start(t, func(c *session.Config, _ *server.Config) {
		c.Dial = func(ctx context.Context, d *net.Dialer, addr string) (net.Conn, error) {
			conn, err := d.DialContext(ctx, "tcp", addr)
			return silenced{conn, &gone}, err
		}
	})
	k := open(t, svc.Client(t), addr, ca)
	k.secure()
	gone.Store(true)
	k.write([]byte("anybody?"))
	closed := k.closed()
	require.Equal(t, pb.CloseCause_CLOSE_CAUSE_NETWORK_TIMEOUT, closed.GetCause())
	require.Equal(t, pb.ErrorReason_ERROR_REASON_NETWORK_TIMEOUT, closed.GetFailure().GetReason())
	require.NotContains(t, k.kinds(), "remote_closed")
	require.Contains(t, k.kinds(), "io_error")
}

// panicking is a resolver with a defect.
type panicking struct{}

func (panicking) LookupNetIP(context.Context, string, string) ([]netip.Addr, error) {
	panic("a defect")
}

func TestPanicEndsItsSessionAlone(t *testing.T) {
	t.Parallel()
	addr, ca := echoServer(t)
	svc := servertest.Start(t, servertest.AllowEgress(t), servertest.AllowEgress(t, "127.0.0.0/8", "defect.example"),
		func(c *session.Config, _ *server.Config) { c.Resolver = panicking{} })
	c := svc.Client(t)
	neighbour := open(t, c, addr, ca)
	neighbour.secure()
	k := start(t.Context(), t, c, openFrame(&pb.Open{Host: "defect.example", Port: 443, AttachSeq: 1}))
	require.NoError(t, k.end())
	failure := k.closed().GetFailure()
	require.Equal(t, pb.ErrorReason_ERROR_REASON_INTERNAL, failure.GetReason())
	require.NotEmpty(t, failure.GetMetadata()["id"])
	neighbour.write([]byte("still here"))
	neighbour.until(func() bool { return string(neighbour.data) == "still here" })
}

func TestCloseSendWhileConnectingWritesWhatWasAccepted(t *testing.T) {
	t.Parallel()
	got := make(chan string, 1)
	resume := make(chan struct{})
	ca := tlstest.NewCA(t)
	cfg := serverConfig(ca.Leaf(tlstest.Names("127.0.0.1")))
	certificate := cfg.Certificates[0]
	cfg.Certificates = nil
	cfg.GetCertificate = func(*tls.ClientHelloInfo) (*tls.Certificate, error) { <-resume; return &certificate, nil }
	addr := tlstest.Serve(t, cfg, func(conn *tls.Conn) {
		b, err := io.ReadAll(conn)
		if err != nil {
			b = []byte(err.Error())
		}
		got <- string(b)
	})
	k := open(t, servertest.Start(t).Client(t), addr, ca)
	k.write([]byte("in a hurry"))
	k.until(func() bool { return last(k.kinds()) == "HANDSHAKING" })
	require.NoError(t, k.stream.CloseSend())
	close(resume)
	require.NoError(t, k.end())
	require.Equal(t, "in a hurry", <-got)
	require.EqualValues(t, len("in a hurry"), k.closed().GetSentBytes())
	require.Equal(t, pb.CloseCause_CLOSE_CAUSE_LOCAL, k.closed().GetCause())
}

func last(s []string) string {
	if len(s) == 0 {
		return ""
	}
	return s[len(s)-1]
}
