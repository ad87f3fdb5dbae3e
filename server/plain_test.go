package server_test

import (
	"crypto/tls"
	"io"
	"net"
	"testing"

	"github.com/stretchr/testify/require"

	pb "securesocket/gen/securesocket/v1"
	"securesocket/server/servertest"
	"securesocket/tlsengine/tlstest"
)

// plainly leaves TLS out of an Open.
func plainly(m *pb.Open) { m.Plain = true }

// startTLSFrame enters TLS at the offsets.
func startTLSFrame(role pb.TlsRole, received, sent int64) *pb.AttachRequest {
	return &pb.AttachRequest{Frame: &pb.AttachRequest_StartTls{StartTls: &pb.StartTls{Role: role, ReceiveOffset: received, SendOffset: sent}}}
}

func TestPlainEcho(t *testing.T) {
	t.Parallel()
	addr := tlstest.ServeRaw(t, func(conn net.Conn) {
		_, _ = io.Copy(conn, conn)
		_ = conn.(*net.TCPConn).CloseWrite()
	})
	c := servertest.Start(t).Client(t)
	k := open(t, c, addr, nil, plainly)
	k.write([]byte("as it is"))
	k.until(func() bool { return string(k.data) == "as it is" })
	got, err := c.GetSession(t.Context(), &pb.GetSessionRequest{SessionId: k.attached.GetSession().GetSessionId()})
	require.NoError(t, err)
	require.Equal(t, pb.State_STATE_CONNECTED, got.GetSession().GetState())
	require.Equal(t, pb.Mode_MODE_PLAIN, got.GetSession().GetMode())
	require.Nil(t, got.GetSession().GetTls())
	k.finish()
	closed := k.closed()
	require.NoError(t, k.end())
	require.Equal(t, []string{"HOST_LOOKUP", "host_found", "CONNECTING", "tcp_connected", "CONNECTED", "remote_closed", "UNCONNECTED", "closed"}, k.kinds())
	require.Equal(t, pb.CloseCause_CLOSE_CAUSE_LOCAL, closed.GetCause(), "the side that ended first")
	require.Equal(t, pb.CloseCause_CLOSE_CAUSE_PEER_FIN, closed.GetReadCause())
	require.Nil(t, closed.GetFailure())
}

func TestStartTLS(t *testing.T) {
	t.Parallel()
	ca := tlstest.NewCA(t)
	config := &tls.Config{Certificates: []tls.Certificate{ca.Leaf(tlstest.Names("127.0.0.1")).Certificate()}}
	addr := tlstest.ServeRaw(t, func(conn net.Conn) {
		_, _ = conn.Write([]byte("220 ready\r\n"))
		b := make([]byte, 10)
		_, _ = io.ReadFull(conn, b)
		_, _ = conn.Write([]byte("220 go\r\n"))
		secured := tls.Server(conn, config)
		_, _ = io.Copy(secured, secured)
		_ = secured.CloseWrite()
	})
	k := open(t, servertest.Start(t).Client(t), addr, ca, plainly)
	k.until(func() bool { return string(k.data) == "220 ready\r\n" })
	k.write([]byte("STARTTLS\r\n"))
	k.until(func() bool { return string(k.data) == "220 ready\r\n220 go\r\n" })
	k.send(startTLSFrame(pb.TlsRole_TLS_ROLE_CLIENT, int64(len(k.data)), k.sent))
	k.write([]byte("secret"))
	k.secure()
	k.until(func() bool { return string(k.data) == "220 ready\r\n220 go\r\nsecret" })
	k.finish()
	closed := k.closed()
	require.NoError(t, k.end())
	require.Equal(t, pb.CloseCause_CLOSE_CAUSE_PEER_CLOSE_NOTIFY, closed.GetReadCause())
	require.Equal(t, []string{
		"HOST_LOOKUP", "host_found", "CONNECTING", "tcp_connected", "CONNECTED", "mode_changed", "HANDSHAKING", "ENCRYPTED", "secure_connected",
		"remote_closed", "UNCONNECTED", "closed",
	}, k.kinds())
}
