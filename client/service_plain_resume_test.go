package client_test

import (
	"crypto/tls"
	"encoding/json"
	"io"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"securesocket/client"
	pb "securesocket/gen/securesocket/v1"
	"securesocket/tlsengine/tlstest"
)

// elsewhere resumes conn as another process would.
func elsewhere(t *testing.T, d *client.Dialer, conn *client.Conn) *client.Conn {
	t.Helper()
	data, err := json.Marshal(conn.Bookmark())
	require.NoError(t, err)
	var b client.Bookmark
	require.NoError(t, json.Unmarshal(data, &b))
	resumed, err := d.Resume(t.Context(), b)
	require.NoError(t, err)
	t.Cleanup(resumed.Abort)
	return resumed
}

// TestServiceResumesPlain: a plain connection comes back as one in another process, which enters TLS; so does that in a
// third one.
func TestServiceResumesPlain(t *testing.T) {
	t.Parallel()
	ca := tlstest.NewCA(t)
	d := plainDialer(t, ca)
	d.Resumable = true
	conn, err := d.DialPlain(t.Context(), "tcp", smtpPeer(t, serverConfig(ca), ""))
	require.NoError(t, err)
	ask(t, conn, "")
	second := elsewhere(t, d, conn)
	_, err = conn.Read(make([]byte, 1))
	requireError(t, err, pb.ErrorReason_ERROR_REASON_SUPERSEDED)
	require.False(t, second.Encrypted())
	require.Equal(t, conn.RemoteAddr(), second.RemoteAddr())
	ask(t, second, "STARTTLS")
	require.NoError(t, second.StartTLS(t.Context()))
	require.Contains(t, ask(t, second, "NOOP"), "250 ")
	third := elsewhere(t, d, second)
	require.True(t, third.Encrypted())
	require.Equal(t, second.ConnectionState(), third.ConnectionState())
	require.Equal(t, pb.CertificateReport_TRUST_BASIS_VALIDATED, third.TrustBasis())
	require.Contains(t, ask(t, third, "NOOP"), "250 ")
	ask(t, third, "QUIT")
	require.NoError(t, third.Close())
}

// TestServiceResumesIntoStartTLS: the process that has called StartTLS is killed; another one waits for the handshake.
func TestServiceResumesIntoStartTLS(t *testing.T) {
	t.Parallel()
	ca := tlstest.NewCA(t)
	d := plainDialer(t, ca)
	d.Resumable = true
	conn, peer := plainPair(t, d)
	bookmark := conn.Bookmark()
	over := make(chan error, 1)
	go func() { over <- conn.StartTLS(t.Context()) }()
	hello := make([]byte, 1)
	_, err := io.ReadFull(peer, hello)
	require.NoError(t, err)
	go func() {
		time.Sleep(10 * time.Millisecond)
		secure := tls.Server(&prefixed{peer, hello}, serverConfig(ca))
		_, _ = io.Copy(secure, secure)
		_ = secure.Close()
	}()
	second, err := d.Resume(t.Context(), bookmark)
	require.NoError(t, err)
	if err := <-over; err != nil { // the handshake may have been faster than the other process
		requireError(t, err, pb.ErrorReason_ERROR_REASON_SUPERSEDED)
	}
	require.True(t, second.Encrypted())
	require.Equal(t, pb.CertificateReport_TRUST_BASIS_VALIDATED, second.TrustBasis())
	_, err = io.WriteString(second, greeting)
	require.NoError(t, err)
	readExactly(t, second, greeting)
	require.NoError(t, second.CloseWrite())
	_, err = io.ReadAll(second)
	require.NoError(t, err)
	require.NoError(t, second.Close())
}

// TestServiceResumesAccepted: a connection of a listener goes on in another process.
func TestServiceResumesAccepted(t *testing.T) {
	t.Parallel()
	ca := tlstest.NewCA(t)
	d := plainDialer(t, ca)
	l := listen(t, d.Client, &client.ListenConfig{Identities: []*client.Identity{uploaded(t, ca, "localhost")}, Resumable: true})
	peer := make(chan error, 1)
	go func() { peer <- echoOnce(l.Addr().String(), &tls.Config{RootCAs: ca.Pool(), ServerName: "localhost"}) }()
	conn, err := l.AcceptConn(t.Context())
	require.NoError(t, err)
	second := elsewhere(t, d, conn)
	require.True(t, second.Encrypted())
	require.Equal(t, "localhost", second.ConnectionState().ServerName)
	_, err = io.Copy(second, second)
	require.NoError(t, err)
	require.NoError(t, second.Close())
	require.NoError(t, <-peer)
}
