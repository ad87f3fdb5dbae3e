package revocation

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"io"
	"math/big"
	"sync/atomic"
	"testing"
	"time"

	"securesocket/tlsengine/tlstest"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"golang.org/x/crypto/ocsp"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	crlURL  = "http://crl.test/a.crl"
	ocspURL = "http://ocsp.test/"
)

// fetcherFunc is a Fetcher without a network.
type fetcherFunc func(ctx context.Context, r Request) ([]byte, error)

func (f fetcherFunc) Fetch(ctx context.Context, r Request) (io.ReadCloser, error) {
	b, err := f(ctx, r)
	if err != nil {
		return nil, err
	}
	return io.NopCloser(bytes.NewReader(b)), nil
}

// serves is a Fetcher that has an answer for each URL, and counts.
type serves struct {
	answers map[string][]byte
	fetches atomic.Int32
}

func (s *serves) Fetch(_ context.Context, r Request) (io.ReadCloser, error) {
	s.fetches.Add(1)
	b, ok := s.answers[r.URL]
	if !ok {
		return nil, badStatus
	}
	return io.NopCloser(bytes.NewReader(b)), nil
}

// authority issues certificates, CRLs and OCSP responses. Its clock stands still.
type authority struct {
	*tlstest.CA
	t   testing.TB
	now time.Time
}

func newAuthority(t testing.TB, opts ...tlstest.Option) *authority {
	t.Helper()
	return &authority{CA: tlstest.NewCA(t, opts...), t: t, now: time.Now().Truncate(time.Second)}
}

type leaf struct {
	*x509.Certificate
	key crypto.Signer
}

var lastSerial atomic.Int64

// leaf makes a certificate that names no source, unless a change says otherwise.
func (a *authority) leaf(change func(*x509.Certificate)) leaf {
	a.t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1<<40 + lastSerial.Add(1)),
		Subject:      pkix.Name{CommonName: "Test Leaf"},
		NotBefore:    a.now.Add(-30 * 24 * time.Hour), NotAfter: a.now.Add(365 * 24 * time.Hour),
		DNSNames: []string{"localhost"}, KeyUsage: x509.KeyUsageDigitalSignature,
	}
	if change != nil {
		change(template)
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(a.t, err)
	der, err := x509.CreateCertificate(rand.Reader, template, a.Certificate, key.Public(), a.Key)
	require.NoError(a.t, err)
	cert, err := x509.ParseCertificate(der)
	require.NoError(a.t, err)
	return leaf{cert, key}
}

func withCRL(urls ...string) func(*x509.Certificate) {
	return func(c *x509.Certificate) { c.CRLDistributionPoints = urls }
}

func withOCSP(urls ...string) func(*x509.Certificate) {
	return func(c *x509.Certificate) { c.OCSPServer = urls }
}

// query asks about leaves below the authority, by its clock.
func (a *authority) query(l leaf) Query {
	return Query{Chain: []*x509.Certificate{l.Certificate, a.Certificate}, Now: a.now}
}

// crl makes a list that is a day old and good for six more, unless a change says otherwise.
func (a *authority) crl(change func(*x509.RevocationList), revoked ...leaf) []byte {
	a.t.Helper()
	template := &x509.RevocationList{
		Number: big.NewInt(7), ThisUpdate: a.now.Add(-24 * time.Hour), NextUpdate: a.now.Add(6 * 24 * time.Hour),
	}
	for _, l := range revoked {
		template.RevokedCertificateEntries = append(template.RevokedCertificateEntries, x509.RevocationListEntry{
			SerialNumber: l.SerialNumber, RevocationTime: a.now.Add(-48 * time.Hour), ReasonCode: 1,
		})
	}
	if change != nil {
		change(template)
	}
	der, err := x509.CreateRevocationList(rand.Reader, template, a.Certificate, a.Key)
	require.NoError(a.t, err)
	return der
}

func extra(oid asn1.ObjectIdentifier, critical bool, value []byte) pkix.Extension {
	return pkix.Extension{Id: oid, Critical: critical, Value: value}
}

func crlExtension(e pkix.Extension) func(*x509.RevocationList) {
	return func(l *x509.RevocationList) { l.ExtraExtensions = append(l.ExtraExtensions, e) }
}

// ocsp makes a response that is an hour old and good for a day, unless a change says otherwise.
func (a *authority) ocsp(l leaf, change func(*ocsp.Response)) []byte {
	a.t.Helper()
	return a.ocspBy(l, a.Certificate, a.Key, change)
}

func (a *authority) ocspBy(l leaf, responder *x509.Certificate, key crypto.Signer, change func(*ocsp.Response)) []byte {
	a.t.Helper()
	template := ocsp.Response{
		Status: ocsp.Good, SerialNumber: l.SerialNumber, ThisUpdate: a.now.Add(-time.Hour), NextUpdate: a.now.Add(24 * time.Hour),
	}
	if responder != a.Certificate {
		template.Certificate = responder
	}
	if change != nil {
		change(&template)
	}
	der, err := ocsp.CreateResponse(a.Certificate, responder, template, key)
	require.NoError(a.t, err)
	return der
}

func revokedOCSP(r *ocsp.Response) {
	r.Status, r.RevokedAt, r.RevocationReason = ocsp.Revoked, r.ThisUpdate.Add(-time.Hour), ocsp.KeyCompromise
}

// explained asks about the leaf and returns why as well, which Result holds as a text.
func explained(t testing.TB, c *Checker, q Query) (Result, []error) {
	t.Helper()
	if len(q.Chain) < 2 {
		return Result{}, nil
	}
	leaf := c.ask(t.Context(), q)[0]
	return leaf.result(0), leaf.said
}

// requireReason: nothing definite was found, and why is among what was said.
func requireReason(t testing.TB, why reason, r Result, said []error) {
	t.Helper()
	require.Equal(t, NotChecked, r.Outcome, r.Detail)
	require.Zero(t, r.Source)
	require.NotEmpty(t, r.Detail)
	found := false
	for _, err := range said {
		var got reason
		require.ErrorAs(t, err, &got)
		found = found || got == why
	}
	require.True(t, found, "%q is not among %q", why, said)
}
