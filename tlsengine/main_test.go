package tlsengine_test

import (
	"crypto/tls"
	"crypto/x509"
	"net"
	"testing"

	"securesocket/tlsengine"
	"securesocket/tlsengine/identity"
	"securesocket/tlsengine/tlstest"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// bothVersions runs a test against TLS 1.2 and TLS 1.3.
func bothVersions(t *testing.T, run func(t *testing.T, version uint16)) {
	t.Helper()
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		t.Run(tls.VersionName(version), func(t *testing.T) {
			t.Parallel()
			run(t, version)
		})
	}
}

func dialRaw(t *testing.T, address string) *net.TCPConn {
	t.Helper()
	raw, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", address)
	require.NoError(t, err)
	t.Cleanup(func() { _ = raw.Close() })
	return raw.(*net.TCPConn)
}

// client runs Client against address and closes the raw connection at the end of the test.
func client(t *testing.T, address string, cfg *tlsengine.Config) (*tlsengine.Conn, error) {
	t.Helper()
	return tlsengine.Client(t.Context(), dialRaw(t, address), cfg)
}

func trusting(ca *tlstest.CA) *tlsengine.Config {
	return &tlsengine.Config{
		ServerName: "localhost", VerifyNames: []string{"localhost"},
		Trust: tlsengine.Trust{Anchors: []*x509.Certificate{ca.Root().Certificate}},
	}
}

func serverConfig(id *tlstest.Identity, version uint16) *tls.Config {
	return &tls.Config{Certificates: []tls.Certificate{id.Certificate()}, MinVersion: version, MaxVersion: version}
}

// connect gives a connection whose server ends by handle.
func connect(t *testing.T, version uint16, handle func(*tls.Conn)) *tlsengine.Conn {
	t.Helper()
	ca := tlstest.NewCA(t)
	conn, err := client(t, tlstest.Serve(t, serverConfig(ca.Leaf(), version), handle), trusting(ca))
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Abort() })
	return conn
}

// accept is connect in the server's role.
func accept(t *testing.T, version uint16, handle func(*tls.Conn)) *tlsengine.Conn {
	t.Helper()
	ca := tlstest.NewCA(t)
	raw := tlstest.Connect(t, clientConfig(ca, version), handle)
	conn, err := tlsengine.Server(t.Context(), raw, serving(t, ca.Leaf()), nil)
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Abort() })
	return conn
}

// connecting is connect or accept.
type connecting func(t *testing.T, version uint16, handle func(*tls.Conn)) *tlsengine.Conn

// bothRoles runs a test in both versions with a connection in each role.
func bothRoles(t *testing.T, run func(t *testing.T, version uint16, connect connecting)) {
	t.Helper()
	for name, connect := range map[string]connecting{"client": connect, "server": accept} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bothVersions(t, func(t *testing.T, version uint16) { run(t, version, connect) })
		})
	}
}

// serving is a server with the identities, that asks for no certificate.
func serving(tb testing.TB, ids ...*tlstest.Identity) *tlsengine.Config {
	tb.Helper()
	cfg := new(tlsengine.Config)
	for _, id := range ids {
		i, err := identity.FromKeyPair(identity.KeyPair{Chain: id.Chain, PrivateKey: id.KeyPEM()})
		require.NoError(tb, err)
		cfg.Identities = append(cfg.Identities, i)
	}
	return cfg
}

func clientConfig(ca *tlstest.CA, version uint16) *tls.Config {
	return &tls.Config{RootCAs: ca.Root().Pool(), ServerName: "localhost", MinVersion: version, MaxVersion: version}
}
