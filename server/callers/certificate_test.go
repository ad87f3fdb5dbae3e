package callers

import (
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"math/big"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

func TestCertificateNames(t *testing.T) {
	t.Parallel()
	f := newFiles(t)
	w := newWorld(t, Config{TLS: &f.TLS})
	named := func(cn string) pkix.Name { return pkix.Name{CommonName: cn, Organization: []string{"Acme, Inc."}} }
	tests := []struct {
		name string
		cert x509.Certificate
		want string // "": refused
	}{
		{"SPIFFE ID before all else", x509.Certificate{Subject: named("x"), DNSNames: []string{"a.example"}, URIs: uris(t, "spiffe://prod/web")}, "spiffe://prod/web"},
		{"two SPIFFE IDs", x509.Certificate{URIs: uris(t, "spiffe://prod/web", "spiffe://prod/db")}, ""},
		{"a SPIFFE ID and another URI", x509.Certificate{URIs: uris(t, "https://a.example/", "spiffe://prod/web")}, ""},
		{"a SPIFFE ID that is none", x509.Certificate{DNSNames: []string{"a.example"}, URIs: uris(t, "spiffe://PROD/web")}, ""},
		{"a SPIFFE ID with dots", x509.Certificate{URIs: uris(t, "spiffe://prod/a/../b")}, ""},
		{"scheme in capitals", x509.Certificate{DNSNames: []string{"a.example"}, URIs: uris(t, "SPIFFE://prod/web?x=1")}, ""},
		{"a trust domain", x509.Certificate{URIs: uris(t, "spiffe://prod")}, ""},
		{"a SPIFFE ID too long", x509.Certificate{URIs: uris(t, "spiffe://prod/"+strings.Repeat("a", maxPrincipal))}, ""},
		{"another URI does not count", x509.Certificate{DNSNames: []string{"A.Example", "b.example"}, URIs: uris(t, "https://a.example/")}, "dns:a.example"},
		{"DNS before e-mail", x509.Certificate{DNSNames: []string{"a.example"}, EmailAddresses: []string{"a@b.example"}}, "dns:a.example"},
		{"a wildcard", x509.Certificate{DNSNames: []string{"*.a.example", "a.example"}}, ""},
		{"e-mail before subject", x509.Certificate{Subject: named("x"), EmailAddresses: []string{"Al@B.Example"}}, "email:Al@b.example"},
		{"an address that is none", x509.Certificate{Subject: named("x"), EmailAddresses: []string{"al"}}, ""},
		{"subject", x509.Certificate{Subject: named("web")}, `x509:CN=web,O=Acme\, Inc.`},
		{"a subject that looks like another kind", x509.Certificate{Subject: named("spiffe://prod/web")}, `x509:CN=spiffe://prod/web,O=Acme\, Inc.`},
		{"a subject like a pattern", x509.Certificate{Subject: named("*")}, ""},
		{"a subject with a line", x509.Certificate{Subject: named("web\nuid:0")}, ""},
		{"a subject that turns text around", x509.Certificate{Subject: named("web\u202e")}, ""},
		{"a subject too long", x509.Certificate{Subject: named(strings.Repeat("a", maxPrincipal))}, ""},
		{"no name", x509.Certificate{}, ""},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			cert := f.ca.leaf(tc.cert)
			p, err := certificatePrincipal(cert.Leaf)
			if tc.want == "" {
				var ce *CertificateError
				require.ErrorAs(t, err, &ce)
				return
			}
			require.NoError(t, err)
			require.Equal(t, tc.want, p)
			require.NotEmpty(t, KindOf(p))
			require.False(t, w.callers.Allowed(p), "needs a pattern")
		})
	}
}

// TestSubjectsThatDifferAreDifferentPrincipals: pkix.Name would give all of them as CN=admin.
func TestSubjectsThatDifferAreDifferentPrincipals(t *testing.T) {
	t.Parallel()
	c := newCA(t)
	cn, o := asn1.ObjectIdentifier{2, 5, 4, 3}, asn1.ObjectIdentifier{2, 5, 4, 10}
	seen := map[string]bool{}
	for _, names := range []pkix.RDNSequence{
		{{{Type: cn, Value: "admin"}}},
		{{{Type: cn, Value: "guest"}}, {{Type: cn, Value: "admin"}}},
		{{{Type: cn, Value: "guest"}, {Type: cn, Value: "admin"}}},
		{{{Type: o, Value: "a"}}, {{Type: cn, Value: "admin"}}},
		{{{Type: cn, Value: "admin"}}, {{Type: o, Value: "a"}}},
		{{{Type: cn, Value: "admin,O=a"}}},
	} {
		der, err := asn1.Marshal(names)
		require.NoError(t, err)
		p, err := certificatePrincipal(c.leaf(x509.Certificate{RawSubject: der}).Leaf)
		require.NoError(t, err)
		require.False(t, seen[p], p)
		seen[p] = true
	}
}

func TestClientCertificates(t *testing.T) {
	t.Parallel()
	f := newFiles(t)
	w := newWorld(t, Config{TLS: &f.TLS, Allow: []string{"spiffe://prod/*"}})
	web := x509.Certificate{URIs: uris(t, "spiffe://prod/web")}

	p, err := w.who(w.dial(w.secure, f.client(f.ca.leaf(web))))
	require.NoError(t, err)
	require.Equal(t, "spiffe://prod/web", p)
	require.True(t, w.callers.Allowed(p))

	_, err = w.who(w.dial(w.secure, f.client()))
	require.ErrorIs(t, err, ErrNoCredentials)

	expired, early, server := web, web, web
	expired.NotAfter = time.Now().Add(-time.Minute)
	early.NotBefore = time.Now().Add(time.Minute)
	server.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	own := newCA(t)
	self := own.leaf(web)
	self.Certificate = [][]byte{own.cert.Raw}
	self.PrivateKey = own.key
	for name, cert := range map[string]tls.Certificate{
		"expired":           f.ca.leaf(expired),
		"not valid yet":     f.ca.leaf(early),
		"for servers":       f.ca.leaf(server),
		"foreign":           own.leaf(web),
		"self-signed":       self,
		"two SPIFFE IDs":    f.ca.leaf(x509.Certificate{URIs: uris(t, "spiffe://prod/a", "spiffe://prod/b")}),
		"without the key":   {Certificate: f.ca.leaf(web).Certificate, PrivateKey: newKey(t)},
		"no name whatever":  f.ca.leaf(x509.Certificate{}),
		"control character": f.ca.leaf(x509.Certificate{Subject: pkix.Name{CommonName: "a\x1b[31m"}}),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			// Sent whatever the service asks for.
			config := f.client()
			config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &cert, nil }
			_, err := w.who(w.dial(w.secure, config))
			refusedConnection(t, err)
		})
	}
}

// TestHostileChainsAreNotVerified: a hundred signatures would cost a stranger nothing.
func TestHostileChainsAreNotVerified(t *testing.T) {
	t.Parallel()
	f := newFiles(t)
	w := newWorld(t, Config{TLS: &f.TLS})
	parsed := w.callers.tls.get()
	leaf := f.ca.leaf(testLeaf)
	authority := func(name string, n int) *x509.Certificate {
		return f.ca.sign(&x509.Certificate{
			Subject: pkix.Name{CommonName: name}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
			ExtraExtensions: []pkix.Extension{{Id: asn1.ObjectIdentifier{1, 2, 3}, Value: make([]byte, n)}},
		}, &newKey(t).PublicKey)
	}
	long := []*x509.Certificate{leaf.Leaf}
	for n := range maxChain {
		long = append(long, authority(string(rune('a'+n)), 0))
	}
	for name, chain := range map[string][]*x509.Certificate{
		"too many":         long,
		"two of one name":  {leaf.Leaf, authority("a", 0), authority("b", 0), authority("a", 0)},
		"too many octets":  {leaf.Leaf, authority("a", maxChainBytes)},
		"the root, again":  {leaf.Leaf, f.ca.cert, f.ca.cert},
		"all of it at max": append(long[:maxChain:maxChain], authority("z", maxChainBytes)),
	} {
		_, err := parsed.verify(chain)
		w.refusedCertificate(err, CertificateChain)
		cert := leaf
		cert.Certificate = nil
		for _, c := range chain {
			cert.Certificate = append(cert.Certificate, c.Raw)
		}
		_, err = w.who(w.dial(w.secure, f.client(cert)))
		require.Equal(t, codes.Unavailable, status.Code(err), name)
	}
	_, err := parsed.verify(long[:maxChain])
	require.NoError(t, err)
}

func TestIntermediateAuthorities(t *testing.T) {
	t.Parallel()
	f := newFiles(t)
	f.ClientCRLFile = filepath.Join(t.TempDir(), "crl.pem")
	write(t, f.ClientCRLFile, f.ca.crl(time.Now().Add(time.Hour)))
	w := newWorld(t, Config{TLS: &f.TLS})
	between := &ca{t: t, key: newKey(t)}
	between.cert = f.ca.sign(&x509.Certificate{
		Subject: pkix.Name{CommonName: "between"}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}, &between.key.PublicKey)
	cert := between.leaf(testLeaf)
	config := f.client()
	config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &cert, nil }
	_, err := w.who(w.dial(w.secure, config))
	refusedConnection(t, err)

	cert.Certificate = append(cert.Certificate, between.cert.Raw)
	conn := w.dial(w.secure, config)
	p, err := w.who(conn)
	require.NoError(t, err)
	require.Equal(t, "dns:leaf.example", p)

	write(t, f.ClientCRLFile, f.ca.crl(time.Now().Add(time.Hour), tls.Certificate{Leaf: between.cert}))
	require.NoError(t, w.callers.Reload())
	_, err = w.who(conn)
	w.refusedCertificate(err, CertificateRevoked)
}

func TestRequireClientCert(t *testing.T) {
	t.Parallel()
	f := newFiles(t)
	f.RequireClientCert = true
	w := newWorld(t, Config{TLS: &f.TLS})
	_, err := w.who(w.dial(w.secure, f.client()))
	refusedConnection(t, err)
	p, err := w.who(w.dial(w.secure, f.client(f.ca.leaf(x509.Certificate{DNSNames: []string{"a.example"}}))))
	require.NoError(t, err)
	require.Equal(t, "dns:a.example", p)
}

func TestConnectionDoesNotOutliveItsCertificate(t *testing.T) {
	t.Parallel()
	var c clock
	f := newFiles(t)
	w := newWorld(t, Config{TLS: &f.TLS, Now: c.now})
	conn := w.dial(w.secure, f.client(f.ca.leaf(x509.Certificate{DNSNames: []string{"a.example"}, NotAfter: time.Now().Add(time.Hour)})))
	_, err := w.who(conn)
	require.NoError(t, err)
	c.forward(2 * time.Hour)
	_, err = w.who(conn)
	w.refusedCertificate(err, CertificateExpired)
	_, err = w.who(conn, "Bearer "+NewToken())
	w.refusedCertificate(err, CertificateExpired)
}

func TestRevokedCertificates(t *testing.T) {
	t.Parallel()
	var c clock
	f := newFiles(t)
	f.ClientCRLFile = filepath.Join(t.TempDir(), "crl.pem")
	good, bad := f.ca.leaf(x509.Certificate{DNSNames: []string{"good.example"}}), f.ca.leaf(x509.Certificate{DNSNames: []string{"bad.example"}})
	write(t, f.ClientCRLFile, f.ca.crl(time.Now().Add(20*time.Minute)))
	w := newWorld(t, Config{TLS: &f.TLS, Now: c.now})
	goodConn, badConn := w.dial(w.secure, f.client(good)), w.dial(w.secure, f.client(bad))
	_, err := w.who(goodConn)
	require.NoError(t, err)
	_, err = w.who(badConn)
	require.NoError(t, err)

	write(t, f.ClientCRLFile, f.ca.crl(time.Now().Add(20*time.Minute), bad))
	require.NoError(t, w.callers.Reload())
	_, err = w.who(badConn)
	w.refusedCertificate(err, CertificateRevoked)
	_, err = w.who(w.dial(w.secure, f.client(bad)))
	refusedConnection(t, err)
	_, err = w.who(goodConn)
	require.NoError(t, err)

	c.forward(30 * time.Minute)
	_, err = w.who(goodConn)
	w.refusedCertificate(err, CertificateRevocationStale)

	for name, text := range map[string][]byte{
		"of a stranger": newCA(t).crl(time.Now().Add(time.Hour)),
		"not a list":    f.ca.pem(),
		"damaged":       []byte("-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n"),
		"empty":         nil,
		"a delta":       deltaCRL(t, f.ca),
	} {
		write(t, f.ClientCRLFile, text)
		var fe *FileError
		require.ErrorAs(t, w.callers.Reload(), &fe, name)
		require.Equal(t, f.ClientCRLFile, fe.File, name)
	}
	write(t, f.ClientCRLFile, f.ca.crl(c.now().Add(time.Hour)))
	require.NoError(t, w.callers.Reload())
	_, err = w.who(goodConn)
	require.NoError(t, err)
}

func deltaCRL(t *testing.T, c *ca) []byte {
	t.Helper()
	base, err := asn1.Marshal(1)
	require.NoError(t, err)
	der, err := x509.CreateRevocationList(rand.Reader, &x509.RevocationList{
		Number: big.NewInt(2), ThisUpdate: time.Now(), NextUpdate: time.Now().Add(time.Hour),
		ExtraExtensions: []pkix.Extension{{Id: asn1.ObjectIdentifier{2, 5, 29, 27}, Critical: true, Value: base}},
	}, c.cert, c.key)
	require.NoError(t, err)
	return pemOf("X509 CRL", der)
}

// FuzzCertificatePrincipal: whatever a certificate says, it is no principal, or one
// of its own kind that prints as one short line and is no pattern.
func FuzzCertificatePrincipal(f *testing.F) {
	f.Add("spiffe://prod/web", "", "", "")
	f.Add("", "A.example", "", "")
	f.Add("", "", "a@b.example", "")
	f.Add("", "", "", "web\x00*")
	f.Add("spiffe://a@b/c%2f", "*.a", "a@b@c", "spiffe://prod/web")
	f.Fuzz(func(t *testing.T, uri, dns, email, cn string) {
		der, err := asn1.Marshal(pkix.RDNSequence{{{Type: asn1.ObjectIdentifier{2, 5, 4, 3}, Value: cn}}})
		if err != nil {
			t.Skip()
		}
		cert := &x509.Certificate{RawSubject: der, DNSNames: nonEmpty(dns), EmailAddresses: nonEmpty(email)}
		if uri != "" {
			u, err := url.Parse(uri)
			if err != nil {
				t.Skip()
			}
			cert.URIs = []*url.URL{u}
		}
		p, err := certificatePrincipal(cert)
		if err != nil {
			var ce *CertificateError
			require.ErrorAs(t, err, &ce)
			return
		}
		require.Contains(t, []string{KindSPIFFE, KindDNS, KindEmail, KindX509}, KindOf(p))
		require.LessOrEqual(t, len(p), maxPrincipal)
		require.True(t, utf8.ValidString(p))
		require.NotContains(t, p, "*")
		parsed, err := parsePattern(p)
		require.NoError(t, err, p)
		require.True(t, parsed.covers(p))
	})
}

func nonEmpty(text string) []string {
	if text == "" {
		return nil
	}
	return []string{text}
}
