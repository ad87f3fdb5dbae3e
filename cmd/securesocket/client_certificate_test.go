package main

import (
	"crypto/tls"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"securesocket/tlsengine/tlstest"
)

// askingPeer asks for a client certificate, and insists on one if auth says so.
func askingPeer(t *testing.T, auth tls.ClientAuthType, version uint16) peer {
	t.Helper()
	ca := tlstest.NewCA(t)
	config := &tls.Config{Certificates: []tls.Certificate{ca.Leaf().Certificate()}, ClientAuth: auth, MinVersion: version, MaxVersion: version}
	return peer{tlstest.Serve(t, config, tlstest.Echo), writeFile(t, ca.PEM())}
}

// What was done about a client certificate is told where there is a connection.
func TestClientCertificateIsTold(t *testing.T) {
	t.Parallel()
	own := tlstest.NewCA(t).Leaf()
	shown := []string{"--client-cert", writeFile(t, own.ChainPEM()), "--client-key", writeFile(t, own.KeyPEM())}
	asking, plain := askingPeer(t, tls.RequestClientCert, tls.VersionTLS13), startPeer(t, tlstest.Echo)
	for _, command := range []string{"status", "diagnose"} {
		r := runLocal(t, command, asking.address, "--cafile", asking.cafile)
		require.Equal(t, exitDone, r.code, r.stderr)
		require.Contains(t, r.stdout, "client certificate  asked for, none shown\n")
		require.Contains(t, r.stdout, "first bytes")

		r = runLocal(t, command, append(shown, asking.address, "--cafile", asking.cafile)...)
		require.Equal(t, exitDone, r.code, r.stderr)
		require.Contains(t, r.stdout, "client certificate  asked for, and one shown\n")
		require.NotContains(t, r.stdout, "first bytes")

		r = runLocal(t, command, plain.address, "--cafile", plain.cafile)
		require.Equal(t, exitDone, r.code, r.stderr)
		require.Contains(t, r.stdout, "client certificate  not asked for")
	}
	r := runLocal(t, "connect -v", asking.address, "--cafile", asking.cafile)
	require.Equal(t, exitDone, r.code, r.stderr)
	require.Contains(t, r.stderr, "client certificate asked for, none shown")
}

// Why the peer went is told once, and what would mend it in the words of this program.
func TestClientCertificateIsMissed(t *testing.T) {
	t.Parallel()
	for command, version := range map[string]uint16{"status": tls.VersionTLS12, "diagnose": tls.VersionTLS12, "connect": tls.VersionTLS13} {
		p := askingPeer(t, tls.RequireAnyClientCert, version)
		r := runLocal(t, command, p.address, "--cafile", p.cafile)
		require.Equal(t, exitHandshake, r.code, r.stderr)
		require.Contains(t, r.stderr, "(PEER_ALERT)")
		require.Equal(t, 1, strings.Count(r.stderr, "none was shown"), r.stderr)
		require.Contains(t, r.stderr, "--client-cert")
	}
}
