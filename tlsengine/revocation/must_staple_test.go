package revocation

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/ocsp"
)

func withFeatures(der ...byte) func(*x509.Certificate) {
	return func(c *x509.Certificate) {
		c.CRLDistributionPoints = []string{crlURL}
		c.ExtraExtensions = []pkix.Extension{extra(asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 1, 24}, false, der)}
	}
}

func TestStapleRequired(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t)
	for name, c := range map[string]struct {
		feature []byte
		want    bool
	}{
		"status_request":                {[]byte{0x30, 3, 2, 1, 5}, true},
		"another and status_request":    {[]byte{0x30, 6, 2, 1, 23, 2, 1, 5}, true},
		"another":                       {[]byte{0x30, 3, 2, 1, 23}, false},
		"one that cannot be read":       {[]byte{0x30, 3, 2}, true},
		"one that cannot be understood": {[]byte{0x30, 2, 5, 0}, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := ca.leaf(withFeatures(c.feature...))
			ask := func(staple []byte) Result {
				r, _ := explained(t, nil, stapled(ca, l, staple))
				return r
			}
			require.Equal(t, c.want, ask(nil).StapleRequired)
			require.Equal(t, c.want, ask([]byte{1}).StapleRequired)
			require.Equal(t, c.want, ask(ca.ocsp(ca.leaf(nil), nil)).StapleRequired)
			require.Equal(t, c.want, ask(ca.ocsp(l, func(r *ocsp.Response) { r.Status = ocsp.Unknown })).StapleRequired)
			require.False(t, ask(ca.ocsp(l, nil)).StapleRequired)
			require.False(t, ask(ca.ocsp(l, revokedOCSP)).StapleRequired)

			// What a CRL says does not keep the promise.
			q := ca.query(l)
			q.CRLs = [][]byte{ca.crl(nil)}
			r, _ := explained(t, nil, q)
			require.Equal(t, Good, r.Outcome)
			require.Equal(t, c.want, r.StapleRequired)
		})
	}
	r, _ := explained(t, nil, ca.query(ca.leaf(nil)))
	require.False(t, r.StapleRequired)
}
