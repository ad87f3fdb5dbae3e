package identity_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net"
	"testing"

	"securesocket/tlsengine/identity"
	"securesocket/tlsengine/tlstest"

	"github.com/stretchr/testify/require"
)

// handshake is how one handshake went, by both sides.
type handshake struct {
	clientErr, serverErr error
	shown                *tls.Certificate    // what Select returned; nil: it was not asked
	seen                 []*x509.Certificate // by the server
	failure              *identity.SignError // of shown
}

// shake runs a handshake with a server that wants a client certificate, over a pipe; adjust, if there is one, changes the server.
func shake(ctx context.Context, t *testing.T, version uint16, ids []*identity.Identity, sign identity.SignFunc, adjust func(*tls.Config)) handshake {
	t.Helper()
	server := tlstest.NewCA(t)
	config := &tls.Config{
		Certificates: []tls.Certificate{server.Leaf().Certificate()}, MinVersion: version, MaxVersion: version,
		ClientAuth: tls.RequireAnyClientCert, SessionTicketsDisabled: true,
	}
	if adjust != nil {
		adjust(config)
	}
	near, far := net.Pipe()
	defer near.Close()
	defer far.Close()
	var h handshake
	client := tls.Client(near, &tls.Config{
		RootCAs: server.Pool(), ServerName: "localhost", MinVersion: version,
		GetClientCertificate: func(info *tls.CertificateRequestInfo) (*tls.Certificate, error) {
			var err error
			h.shown, err = identity.Select(ctx, ids, sign, info)
			return h.shown, err
		},
	})
	done := make(chan struct{})
	peer := tls.Server(far, config)
	go func() {
		defer close(done)
		if h.serverErr = peer.HandshakeContext(t.Context()); h.serverErr == nil {
			_, h.serverErr = peer.Write([]byte{1})
		}
		_ = far.Close()
	}()
	if h.clientErr = client.HandshakeContext(t.Context()); h.clientErr == nil {
		// Under TLS 1.3 the client is done before the server has looked at its certificate.
		_, h.clientErr = client.Read(make([]byte, 1))
	}
	_ = near.Close()
	<-done
	h.seen = peer.ConnectionState().PeerCertificates
	h.failure = identity.Failure(h.shown)
	return h
}

func bothVersions(t *testing.T, run func(t *testing.T, version uint16)) {
	t.Helper()
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		t.Run(tls.VersionName(version), func(t *testing.T) {
			t.Parallel()
			run(t, version)
		})
	}
}

// verifying makes the server demand a client certificate of ca, and name ca in its request.
func verifying(ca *x509.CertPool) func(*tls.Config) {
	return func(c *tls.Config) { c.ClientAuth, c.ClientCAs = tls.RequireAndVerifyClientCert, ca }
}

func keyPair(tb testing.TB, id *tlstest.Identity) *identity.Identity {
	tb.Helper()
	i, err := identity.FromKeyPair(identity.KeyPair{Chain: id.Chain, PrivateKey: id.KeyPEM()})
	require.NoError(tb, err)
	return i
}

func callers(tb testing.TB, id *tlstest.Identity, schemes ...uint16) *identity.Identity {
	tb.Helper()
	i, err := identity.FromCaller(id.Chain, schemes)
	require.NoError(tb, err)
	return i
}

func TestKeyPairsInHandshakes(t *testing.T) {
	t.Parallel()
	for name, kind := range keyKinds {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ca := tlstest.NewCA(t)
			id := ca.Intermediate().Leaf(kind, tlstest.ExtKeyUsage(x509.ExtKeyUsageClientAuth))
			bothVersions(t, func(t *testing.T, version uint16) {
				h := shake(t.Context(), t, version, []*identity.Identity{keyPair(t, id)}, nil, verifying(ca.Pool()))
				require.NoError(t, h.clientErr)
				require.NoError(t, h.serverErr)
				require.True(t, h.seen[0].Equal(id.Leaf))
				require.Len(t, h.seen, 2)
				require.Nil(t, h.failure)
			})
		})
	}
}

func TestTheFirstThatFitsIsShown(t *testing.T) {
	t.Parallel()
	ca, otherCA := tlstest.NewCA(t, tlstest.CommonName("One")), tlstest.NewCA(t, tlstest.CommonName("Other"))
	usage := tlstest.ExtKeyUsage(x509.ExtKeyUsageClientAuth)
	foreign, first, second := otherCA.Leaf(usage), ca.Leaf(usage), ca.Leaf(usage)
	bothVersions(t, func(t *testing.T, version uint16) {
		ids := []*identity.Identity{keyPair(t, foreign), keyPair(t, first), keyPair(t, second)}
		h := shake(t.Context(), t, version, ids, nil, verifying(ca.Pool()))
		require.NoError(t, h.clientErr)
		require.True(t, h.seen[0].Equal(first.Leaf))

		h = shake(t.Context(), t, version, ids, nil, nil) // a server that names no authority
		require.NoError(t, h.clientErr)
		require.True(t, h.seen[0].Equal(foreign.Leaf))

		h = shake(t.Context(), t, version, []*identity.Identity{ids[0], ids[2]}, nil, verifying(ca.Pool()))
		require.NoError(t, h.clientErr)
		require.True(t, h.seen[0].Equal(second.Leaf))
	})
}

func TestNoneThatFitsIsAnEmptyCertificate(t *testing.T) {
	t.Parallel()
	ca, otherCA := tlstest.NewCA(t, tlstest.CommonName("One")), tlstest.NewCA(t, tlstest.CommonName("Other"))
	foreign := otherCA.Leaf(tlstest.ExtKeyUsage(x509.ExtKeyUsageClientAuth))
	bothVersions(t, func(t *testing.T, version uint16) {
		for _, ids := range [][]*identity.Identity{nil, {keyPair(t, foreign)}, {callers(t, foreign)}} {
			h := shake(t.Context(), t, version, ids, nil, verifying(ca.Pool()))
			require.Error(t, h.serverErr)
			require.Error(t, h.clientErr)
			require.NotNil(t, h.shown)
			require.Empty(t, h.shown.Certificate)

			h = shake(t.Context(), t, version, ids, nil, func(c *tls.Config) {
				c.ClientAuth, c.ClientCAs = tls.VerifyClientCertIfGiven, ca.Pool()
			})
			require.NoError(t, h.serverErr)
			require.NoError(t, h.clientErr)
			require.Empty(t, h.seen)
		}
	})
}

// Below TLS 1.2 a signature has no scheme that a caller could be asked for; a key at hand does without.
func TestCallersKeysAreNotForOldVersions(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"RSA", "P-256"} {
		id := clientLeaf(t, keyKinds[kind])
		info := &tls.CertificateRequestInfo{Version: tls.VersionTLS11, SignatureSchemes: []tls.SignatureScheme{
			tls.ECDSAWithP256AndSHA256, tls.PKCS1WithSHA256}}
		cert, err := identity.Select(t.Context(), []*identity.Identity{callers(t, id)}, signWith(id.Key, nil), info)
		require.NoError(t, err)
		require.Empty(t, cert.Certificate)
		cert, err = identity.Select(t.Context(), []*identity.Identity{callers(t, id), keyPair(t, id)}, nil, info)
		require.NoError(t, err)
		require.Equal(t, id.Chain, cert.Certificate)
	}
}
