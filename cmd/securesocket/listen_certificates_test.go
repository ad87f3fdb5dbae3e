package main

import (
	"crypto/tls"
	"crypto/x509"
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"securesocket/tlsengine/tlstest"
)

// A client gets the certificate that fits the name that it asks for.
func TestListenCertificateByName(t *testing.T) {
	t.Parallel()
	other := tlstest.NewCA(t)
	cert, key := other.Leaf(tlstest.Names("other.example")).WriteFiles(t.TempDir())
	l := startListen(t, strings.NewReader(""), "--exec", `printf %s "$SECURESOCKET_SERVER_NAME"`, "--cert", cert, "--key", key)
	for name, ca := range map[string]*tlstest.CA{"localhost": l.ca, "other.example": other} {
		conn, err := tls.Dial("tcp", l.address, &tls.Config{RootCAs: ca.Pool(), ServerName: name})
		require.NoError(t, err, name)
		got, err := io.ReadAll(conn)
		require.NoError(t, err)
		require.Equal(t, name, string(got))
		conn.Close()
	}
}

func TestListenClientCertificates(t *testing.T) {
	t.Parallel()
	clients := tlstest.NewCA(t)
	cafile := writeFile(t, clients.PEM())
	trusted := clients.Leaf(tlstest.ExtKeyUsage(x509.ExtKeyUsageClientAuth)).Certificate()
	unknown := tlstest.NewCA(t).Leaf(tlstest.ExtKeyUsage(x509.ExtKeyUsageClientAuth)).Certificate()
	const tell = `printf %s "$SECURESOCKET_CLIENT_CERTIFICATE_STATUS"`
	for _, c := range []struct {
		args                   []string
		trusted, unknown, none string // what the command says; "-": the client is refused
	}{
		{[]string{"--client-ca", cafile}, "TRUSTED", "-", "-"},
		{[]string{"--client-ca", cafile, "--client-auth", "verify-if-given"}, "TRUSTED", "-", ""},
		{[]string{"--client-ca", cafile, "--client-auth", "require"}, "TRUSTED", "UNTRUSTED_SIGNERS", "-"},
		{[]string{"--client-ca", cafile, "--client-auth", "request"}, "TRUSTED", "UNTRUSTED_SIGNERS", ""},
		{nil, "", "", ""},
		{[]string{"--client-auth", "require-and-verify"}, "-", "-", "-"},
		{[]string{"--client-ca", cafile, "--verify-name", "other.example"}, "-", "-", "-"},
	} {
		t.Run(strings.Join(c.args, " "), func(t *testing.T) {
			t.Parallel()
			l := startListen(t, strings.NewReader(""), append(c.args, "--exec", tell)...)
			for want, shown := range map[*string][]tls.Certificate{&c.trusted: {trusted}, &c.unknown: {unknown}, &c.none: nil} {
				conn, err := l.dial(t, &tls.Config{GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
					if len(shown) == 0 {
						return &tls.Certificate{}, nil
					}
					return &shown[0], nil
				}})
				var got []byte
				if err == nil { // under TLS 1.3 a refusal comes with the first read
					got, err = io.ReadAll(conn)
				}
				if *want == "-" {
					require.Error(t, err, "%q", got)
					continue
				}
				require.NoError(t, err, l.said())
				require.Equal(t, *want, string(got))
			}
		})
	}
}
