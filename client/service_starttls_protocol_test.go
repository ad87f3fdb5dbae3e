package client_test

import (
	"bytes"
	"io"
	"net"
	"net/smtp"
	"testing"

	"github.com/stretchr/testify/require"

	pb "securesocket/gen/securesocket/v1"
	"securesocket/tlsengine/tlstest"
)

// greeted is a connection whose first bytes are its greeting, which came before TLS: for libraries that want to read it.
type greeted struct {
	net.Conn
	from io.Reader
}

func (g *greeted) Read(p []byte) (int, error) { return g.from.Read(p) }

// TestServiceStartTLSProtocol: the service speaks until TLS is up, and net/smtp after it.
func TestServiceStartTLSProtocol(t *testing.T) {
	t.Parallel()
	ca := tlstest.NewCA(t)
	d := plainDialer(t, ca)
	d.StartTLSProtocol = "smtp"
	address := smtpPeer(t, serverConfig(ca), "")
	conn, err := d.Dial(t.Context(), "tcp", address)
	require.NoError(t, err)
	require.True(t, conn.Encrypted())
	require.Equal(t, "220 mail.example ESMTP\r\n", string(conn.Greeting()))
	mail, err := smtp.NewClient(&greeted{conn, io.MultiReader(bytes.NewReader(conn.Greeting()), conn)}, "mail.example")
	require.NoError(t, err)
	require.NoError(t, mail.Noop())
	require.NoError(t, mail.Quit())
	require.NoError(t, conn.Close())

	probe, err := d.Probe(t.Context(), "tcp", address)
	require.NoError(t, err)
	require.Nil(t, probe.GetFailure())
	require.Equal(t, "220 mail.example ESMTP\r\n", string(probe.GetGreeting()))

	_, err = d.DialPlain(t.Context(), "tcp", address)
	requireError(t, err, pb.ErrorReason_ERROR_REASON_INVALID_FIELD)
	d.StartTLSProtocol = "gopher"
	_, err = d.Dial(t.Context(), "tcp", address)
	requireError(t, err, pb.ErrorReason_ERROR_REASON_INVALID_FIELD)
}

// TestServiceStartTLSProtocolIsRefused: by a peer that has no TLS, and by one that says too much.
func TestServiceStartTLSProtocolIsRefused(t *testing.T) {
	t.Parallel()
	ca := tlstest.NewCA(t)
	d := plainDialer(t, ca)
	d.StartTLSProtocol = "smtp"
	without := tlstest.ServeRaw(t, func(conn net.Conn) {
		_, _ = io.WriteString(conn, "220 hi\r\n")
		_, _ = conn.Read(make([]byte, 100))
		_, _ = io.WriteString(conn, "250 nothing special\r\n")
		_, _ = io.Copy(io.Discard, conn)
	})
	_, err := d.Dial(t.Context(), "tcp", without)
	requireError(t, err, pb.ErrorReason_ERROR_REASON_START_TLS_REFUSED)
	_, err = d.Dial(t.Context(), "tcp", smtpPeer(t, serverConfig(ca), "250 injected\r\n"))
	requireError(t, err, pb.ErrorReason_ERROR_REASON_START_TLS_INJECTION)
}
