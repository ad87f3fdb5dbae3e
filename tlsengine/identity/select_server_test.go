package identity_test

import (
	"crypto/tls"
	"net"
	"testing"

	"securesocket/tlsengine/identity"
	"securesocket/tlsengine/tlstest"

	"github.com/stretchr/testify/require"
)

// selected runs SelectServer for the client in a handshake, which goes no further.
func selected(t *testing.T, client *tls.Config, server *tls.Config, ids ...*identity.Identity) *tls.Certificate {
	t.Helper()
	near, far := net.Pipe()
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = tls.Client(far, client).Handshake()
	}()
	var cert *tls.Certificate
	server.GetCertificate = func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
		name, versions := hello.ServerName, len(hello.SupportedVersions)
		var err error
		cert, err = identity.SelectServer(t.Context(), ids, signWith(nil, nil), hello)
		require.NoError(t, err)
		require.Equal(t, name, hello.ServerName, "it is crypto/tls's")
		require.Len(t, hello.SupportedVersions, versions)
		return new(tls.Certificate), nil
	}
	require.Error(t, tls.Server(near, server).Handshake())
	_ = near.Close()
	_ = far.Close()
	<-done
	return cert
}

func TestSelectServer(t *testing.T) {
	t.Parallel()
	ca := tlstest.NewCA(t)
	rsa := ca.Leaf(tlstest.RSA(2048), tlstest.Names("rsa.example", "both.example"))
	ec := ca.Leaf(tlstest.Names("ec.example", "both.example", "*.wild.example", "xn--bcher-kva.example", "192.0.2.1"))
	ed := ca.Leaf(tlstest.Ed25519(), tlstest.Names("ed.example"))
	all := []*identity.Identity{keyPair(t, rsa), keyPair(t, ec), keyPair(t, ed)}
	held := []*identity.Identity{callers(t, rsa), callers(t, ec), callers(t, ed)}
	const rsaOnly, ecOnly = tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256
	for name, row := range map[string]struct {
		sni   string
		suite uint16 // 0: TLS 1.3
		want  *tlstest.Identity
	}{
		"first":                    {"rsa.example", 0, rsa},
		"second":                   {"ec.example", 0, ec},
		"third":                    {"ed.example", 0, ed},
		"two have it":              {"both.example", 0, rsa},
		"case":                     {"EC.Example", 0, ec},
		"wildcard":                 {"a.wild.example", 0, ec},
		"wildcard, too deep":       {"a.b.wild.example", 0, rsa},
		"wildcard, bare":           {"wild.example", 0, rsa},
		"A-label":                  {"XN--bcher-kva.example", 0, ec},
		"no A-label":               {"bücher.example", 0, rsa},
		"unknown":                  {"other.example", 0, rsa},
		"none":                     {"", 0, rsa},
		"algorithms among names":   {"both.example", ecOnly, ec},
		"algorithms before names":  {"rsa.example", ecOnly, ec},
		"names before order":       {"ed.example", ecOnly, ed},
		"algorithms without names": {"", ecOnly, ec},
		"RSA without names":        {"", rsaOnly, rsa},
		"RSA before names":         {"ed.example", rsaOnly, rsa},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, ids := range [][]*identity.Identity{all, held} {
				client := &tls.Config{ServerName: row.sni, InsecureSkipVerify: true}
				if row.suite != 0 {
					client.MaxVersion, client.CipherSuites = tls.VersionTLS12, []uint16{row.suite}
				}
				cert := selected(t, client, &tls.Config{MinVersion: tls.VersionTLS12}, ids...)
				require.True(t, cert.Leaf.Equal(row.want.Leaf), "%s", cert.Leaf.DNSNames)
				require.Equal(t, row.want.Chain, cert.Certificate)
				require.NotNil(t, cert.PrivateKey)
			}
		})
	}
}

func TestSelectServerWhereNoneFits(t *testing.T) {
	t.Parallel()
	ca := tlstest.NewCA(t)
	one, two := ca.Leaf(), ca.Leaf()
	client := &tls.Config{ServerName: "localhost", InsecureSkipVerify: true, MaxVersion: tls.VersionTLS12,
		CipherSuites: []uint16{tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256}}
	server := func() *tls.Config { return &tls.Config{MinVersion: tls.VersionTLS12} }
	cert := selected(t, client, server(), keyPair(t, one), keyPair(t, two))
	require.True(t, cert.Leaf.Equal(one.Leaf), "the first, so that crypto/tls can say what is wrong")
	cert = selected(t, client, server(), callers(t, one), callers(t, two))
	require.True(t, cert.Leaf.Equal(one.Leaf))
	require.Nil(t, cert.PrivateKey, "its holder is not asked in vain")
	cert = selected(t, client, server())
	require.Empty(t, cert.Certificate)
}

// The version that crypto/tls will choose decides, not the best that either side has.
func TestSelectServerBelowTLS12(t *testing.T) {
	t.Parallel()
	ca := tlstest.NewCA(t)
	one, two := ca.Leaf(), ca.Leaf()
	for name, row := range map[string]struct {
		client, server uint16 // the highest version
		held           bool   // a caller's key may be used
	}{
		"both new":   {tls.VersionTLS13, tls.VersionTLS13, true},
		"TLS 1.2":    {tls.VersionTLS13, tls.VersionTLS12, true},
		"old client": {tls.VersionTLS11, tls.VersionTLS13, false},
		"old server": {tls.VersionTLS13, tls.VersionTLS11, false},
		"both old":   {tls.VersionTLS10, tls.VersionTLS10, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			client := &tls.Config{ServerName: "localhost", InsecureSkipVerify: true, MinVersion: tls.VersionTLS10, MaxVersion: row.client}
			server := func() *tls.Config { return &tls.Config{MinVersion: tls.VersionTLS10, MaxVersion: row.server} }
			cert := selected(t, client, server(), callers(t, one), keyPair(t, two))
			require.Equal(t, row.held, cert.Leaf.Equal(one.Leaf))
			cert = selected(t, client, server(), callers(t, one))
			require.Equal(t, row.held, cert.PrivateKey != nil)
		})
	}
}

// A caller that can make only some signatures is asked for no others.
func TestSelectServerObeysTheCallersSchemes(t *testing.T) {
	t.Parallel()
	ca := tlstest.NewCA(t)
	rsa, ec := ca.Leaf(tlstest.RSA(2048)), ca.Leaf()
	client := &tls.Config{ServerName: "localhost", InsecureSkipVerify: true}
	legacy, modern := callers(t, rsa, uint16(tls.PKCS1WithSHA256)), callers(t, rsa, uint16(tls.PSSWithSHA256))
	cert := selected(t, client, &tls.Config{MinVersion: tls.VersionTLS13}, legacy, keyPair(t, ec))
	require.True(t, cert.Leaf.Equal(ec.Leaf), "TLS 1.3 has no PKCS #1 v1.5")
	cert = selected(t, client, &tls.Config{MaxVersion: tls.VersionTLS12}, legacy, keyPair(t, ec))
	require.True(t, cert.Leaf.Equal(rsa.Leaf))
	cert = selected(t, client, &tls.Config{MinVersion: tls.VersionTLS13}, modern, keyPair(t, ec))
	require.True(t, cert.Leaf.Equal(rsa.Leaf))
}
