package tlsengine_test

import (
	"crypto/elliptic"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/tls"
	"net"
	"testing"

	"securesocket/tlsengine"
	"securesocket/tlsengine/tlstest"

	"github.com/stretchr/testify/require"
)

// bothEnds connects a Client with a Server of ours.
func bothEnds(t *testing.T, client, server *tlsengine.Config) (near, far *tlsengine.Conn) {
	t.Helper()
	type ended struct {
		conn *tlsengine.Conn
		err  error
	}
	done := make(chan ended, 1)
	ctx := t.Context()
	raw := tlstest.ConnectRaw(t, func(c net.Conn) {
		conn, err := tlsengine.Client(ctx, c, client)
		done <- ended{conn, err}
		<-ctx.Done()
	})
	far, err := tlsengine.Server(ctx, raw, server, nil)
	require.NoError(t, err)
	c := <-done
	require.NoError(t, c.err)
	return c.conn, far
}

// The end point is the server's certificate for both (RFC 5929, section 4.1), whatever the client has shown.
func TestChannelBindings(t *testing.T) {
	t.Parallel()
	hash256 := func(der []byte) []byte { sum := sha256.Sum256(der); return sum[:] }
	hash384 := func(der []byte) []byte { sum := sha512.Sum384(der); return sum[:] }
	for name, row := range map[string]struct {
		ca      []tlstest.Option
		clients bool
		hash    func([]byte) []byte // nil: there is no binding
	}{
		"SHA-256":                       {nil, false, hash256},
		"SHA-384":                       {[]tlstest.Option{tlstest.ECDSA(elliptic.P384())}, false, hash384},
		"SHA-256, a client certificate": {nil, true, hash256},
		"Ed25519":                       {[]tlstest.Option{tlstest.Ed25519()}, true, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bothVersions(t, func(t *testing.T, version uint16) {
				ca := tlstest.NewCA(t, row.ca...)
				leaf := ca.Leaf()
				client, server := trusting(ca), serving(t, leaf)
				client.MaxVersion = version
				if row.clients {
					client.Identities = serving(t, ca.Leaf(forClients)).Identities
					server.ClientAuth, server.Trust = tlsengine.ClientAuthRequireAndVerify, anchors(ca.Certificate)
				}
				near, far := bothEnds(t, client, server)
				require.Equal(t, version, far.State().Version)

				for _, kind := range []tlsengine.Binding{tlsengine.BindingExporter, tlsengine.BindingServerEndPoint, tlsengine.BindingUnique} {
					ours, err := far.ChannelBinding(kind)
					theirs, theirErr := near.ChannelBinding(kind)
					if kind == tlsengine.BindingUnique && version == tls.VersionTLS13 || kind == tlsengine.BindingServerEndPoint && row.hash == nil {
						require.ErrorIs(t, err, tlsengine.ErrNoMaterial)
						require.ErrorIs(t, theirErr, tlsengine.ErrNoMaterial)
						continue
					}
					require.NoError(t, err)
					require.NoError(t, theirErr)
					require.NotEmpty(t, ours)
					require.NotEqual(t, make([]byte, len(ours)), ours)
					require.Equal(t, theirs, ours)
					if kind == tlsengine.BindingServerEndPoint {
						require.Equal(t, row.hash(leaf.Leaf.Raw), ours)
					}
				}
				ours, err := far.ExportKeyingMaterial("EXPORTER-test", []byte("context"), 50)
				require.NoError(t, err)
				theirs, err := near.ExportKeyingMaterial("EXPORTER-test", []byte("context"), 50)
				require.NoError(t, err)
				require.Equal(t, theirs, ours)
				other, err := far.ExportKeyingMaterial("EXPORTER-test", []byte("other"), 50)
				require.NoError(t, err)
				require.NotEqual(t, theirs, other)
			})
		})
	}
}
