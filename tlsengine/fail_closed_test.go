package tlsengine

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"securesocket/tlsengine/identity"
	"securesocket/tlsengine/tlstest"

	"github.com/stretchr/testify/require"
)

// Whatever keeps the hook from reaching a verdict, the handshake fails, although crypto/tls itself verifies nothing.
func TestWithoutVerdictFailsClosed(t *testing.T) {
	t.Parallel()
	ca := tlstest.NewCA(t)
	address := tlstest.Serve(t, &tls.Config{Certificates: []tls.Certificate{ca.Leaf().Certificate()}}, tlstest.Echo)
	cfg := &Config{VerifyNames: []string{"localhost"}, Trust: Trust{Anchors: []*x509.Certificate{ca.Certificate}}}

	for name, sabotage := range map[string]func(*tls.Config, *verdict){
		"no hook given":        func(*tls.Config, *verdict) {},
		"hook removed":         func(c *tls.Config, _ *verdict) { c.VerifyConnection = nil },
		"hook without verdict": func(c *tls.Config, _ *verdict) { c.VerifyConnection = func(tls.ConnectionState) error { return nil } },
		"refusal swallowed": func(c *tls.Config, v *verdict) {
			c.VerifyConnection = func(tls.ConnectionState) error {
				v.report = &Report{Status: StatusExpired}
				return nil
			}
		},
		"empty report": func(c *tls.Config, v *verdict) {
			c.VerifyConnection = func(tls.ConnectionState) error {
				v.report = &Report{}
				return nil
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, err := cfg.settings()
			require.NoError(t, err)
			v := new(verdict)
			conf := clientTLSConfig(t.Context(), s, v, nil)
			sabotage(conf, v)
			raw, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", address)
			require.NoError(t, err)
			defer func() { _ = raw.Close() }()
			tap := newTap(raw, nil)
			conn, err := shake(context.Background(), s, v, tap, tls.Client(tap, conf))
			require.Nil(t, conn)
			var ce *CertificateError
			require.ErrorAs(t, err, &ce)
			require.NotNil(t, ce.Report)
			require.NotEqual(t, StatusTrusted, ce.Report.Status)
		})
	}
}

// The same in the server's role, at every level that looks at the client.
func TestWithoutVerdictServerFailsClosed(t *testing.T) {
	t.Parallel()
	ca := tlstest.NewCA(t)
	leaf := ca.Leaf()
	id, err := identity.FromKeyPair(identity.KeyPair{Chain: leaf.Chain, PrivateKey: leaf.KeyPEM()})
	require.NoError(t, err)
	for name, sabotage := range map[string]func(*tls.Config, *verdict){
		"hook removed":         func(c *tls.Config, _ *verdict) { c.VerifyConnection = nil },
		"hook without verdict": func(c *tls.Config, _ *verdict) { c.VerifyConnection = func(tls.ConnectionState) error { return nil } },
		"refusal swallowed": func(c *tls.Config, v *verdict) {
			c.VerifyConnection = func(cs tls.ConnectionState) error {
				_ = v.reach(cs)
				v.refusal = nil
				return nil
			}
		},
		"not asked for": func(c *tls.Config, _ *verdict) { c.ClientAuth = tls.NoClientCert },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := &Config{Identities: []*identity.Identity{id}, ClientAuth: ClientAuthRequireAndVerify}
			s, err := cfg.serverSettings()
			require.NoError(t, err)
			shown := tlstest.NewCA(t).Leaf(tlstest.ExtKeyUsage(x509.ExtKeyUsageClientAuth)).Certificate()
			tap := newTap(tlstest.Connect(t, &tls.Config{RootCAs: ca.Pool(), ServerName: "localhost",
				GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &shown, nil },
			}, tlstest.Echo), nil)
			v := new(verdict)
			conf := serverTLSConfig(t.Context(), s, v)
			sabotage(conf, v)
			err = handshake(t.Context(), s, v, tap, tls.Server(tap, conf))
			var ce *CertificateError
			require.ErrorAs(t, err, &ce)
			require.NotNil(t, ce.Report)
			require.NotEqual(t, StatusTrusted, ce.Report.Status)
		})
	}
}

func TestVerificationIsTurnedOffInOnePlace(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("*.go")
	require.NoError(t, err)
	count := 0
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		source, err := os.ReadFile(file)
		require.NoError(t, err)
		count += strings.Count(string(source), "InsecureSkip"+"Verify")
	}
	require.Equal(t, 1, count)
}

// Fails when x509 renames what the diagnosis reads by reflection.
func TestRejectedAuthorityIsFound(t *testing.T) {
	t.Parallel()
	ca := tlstest.NewCA(t)
	leaf := ca.Leaf(tlstest.BadSignature()).Leaf
	_, err := leaf.Verify(x509.VerifyOptions{Roots: ca.Pool()})
	var unknown x509.UnknownAuthorityError
	require.ErrorAs(t, err, &unknown)
	require.True(t, ca.Certificate.Equal(rejectedAuthority(unknown)))
	require.Nil(t, rejectedAuthority(x509.UnknownAuthorityError{}))
}
