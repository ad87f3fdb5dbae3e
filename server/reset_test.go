package server_test

import (
	"crypto/tls"
	"io"
	"net"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	pb "securesocket/gen/securesocket/v1"
	"securesocket/server/servertest"
	"securesocket/tlsengine/tlstest"
)

// A TLS 1.3 server refuses a client's certificate after the client's handshake
// is over: the alert comes with the first read, and a write may meet the reset
// behind it first.
func TestRefusedClientCertificateIsAnAlert(t *testing.T) {
	t.Parallel()
	addr, ca := scriptedPeer(t, func(*tls.Conn) {}, func(c *tls.Config) { c.ClientAuth = tls.RequireAnyClientCert })
	c := servertest.Start(t).Client(t)
	for i := range 20 {
		t.Run(strconv.Itoa(i), func(t *testing.T) {
			t.Parallel()
			k := open(t, c, addr, ca, keepSession)
			if i%2 == 0 {
				k.write(make([]byte, 200<<10))
			}
			closed := follow(k, 1)
			alert := pb.CloseCause_CLOSE_CAUSE_PEER_ALERT
			want := ended{
				tail: []string{"io_error", "remote_closed", "UNCONNECTED", "closed"}, remote: alert,
				failure:         pb.ErrorReason_ERROR_REASON_PEER_ALERT,
				failureMetadata: map[string]string{"alert": "116", "alert_name": "certificate_required"},
				cause:           alert, read: alert, write: closed.GetWriteCause(), sent: closed.GetSentBytes(),
			}
			want.check(t, k.events, 1)
			require.Contains(t, []pb.CloseCause{alert, pb.CloseCause_CLOSE_CAUSE_PEER_RESET}, closed.GetWriteCause())
		})
	}
}

// The kernel tells of a reset once, to the reader or to the writer: both halves
// and the events have to agree all the same.
func TestResetDuringWritesIsAReset(t *testing.T) {
	t.Parallel()
	addr, ca := scriptedPeer(t, func(conn *tls.Conn) {
		_, _ = io.CopyN(io.Discard, conn, 100<<10)
		tlstest.Reset(conn)
	})
	c := servertest.Start(t).Client(t)
	for i := range 20 {
		t.Run(strconv.Itoa(i), func(t *testing.T) {
			t.Parallel()
			k := open(t, c, addr, ca, keepSession)
			k.write(make([]byte, 400<<10))
			closed := follow(k, 1)
			reset := pb.CloseCause_CLOSE_CAUSE_PEER_RESET
			ended{
				tail: []string{"io_error", "remote_closed", "UNCONNECTED", "closed"}, remote: reset,
				failure: pb.ErrorReason_ERROR_REASON_PEER_RESET, cause: reset, read: reset, write: reset, sent: closed.GetSentBytes(),
			}.check(t, k.events, 1)
		})
	}
}

// flightThenReset is a peer's side that resets when it would read the client's
// answer to its certificate.
type flightThenReset struct {
	*net.TCPConn
	wrote bool
}

func (c *flightThenReset) Write(p []byte) (int, error) {
	c.wrote = true
	return c.TCPConn.Write(p)
}

func (c *flightThenReset) Read(p []byte) (int, error) {
	if c.wrote {
		_ = c.SetLinger(0)
		_ = c.Close()
	}
	return c.TCPConn.Read(p)
}

func TestVerdictIsNotOverwrittenByAReset(t *testing.T) {
	t.Parallel()
	bothVersions(t, func(t *testing.T, version uint16) {
		cfg := &tls.Config{Certificates: []tls.Certificate{tlstest.SelfSigned(t).Certificate()}}
		onlyVersion(version)(cfg)
		addr := tlstest.ServeRaw(t, func(raw net.Conn) {
			_ = tls.Server(&flightThenReset{TCPConn: raw.(*net.TCPConn)}, cfg).HandshakeContext(t.Context())
		})
		k := open(t, servertest.Start(t).Client(t), addr, nil)
		closed := follow(k, 1)
		require.Equal(t, pb.CloseCause_CLOSE_CAUSE_ERROR, closed.GetCause())
		require.Equal(t, pb.ErrorReason_ERROR_REASON_CERTIFICATE_UNTRUSTED_SIGNERS, closed.GetFailure().GetReason())
		require.Equal(t, []string{
			"HOST_LOOKUP", "host_found", "CONNECTING", "tcp_connected", "mode_changed", "HANDSHAKING",
			"certificate_error", "io_error", "UNCONNECTED", "closed",
		}, k.kinds())
	})
}
