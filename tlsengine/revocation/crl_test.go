package revocation

import (
	"bytes"
	"crypto/elliptic"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"slices"
	"testing"
	"time"

	"securesocket/tlsengine/tlstest"

	"github.com/stretchr/testify/require"
)

var (
	oidIDP     = asn1.ObjectIdentifier{2, 5, 29, 28}
	oidDelta   = asn1.ObjectIdentifier{2, 5, 29, 27}
	oidNobodys = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 99999, 1}
)

// idp makes an IssuingDistributionPoint: the names, then the flags by their tags.
func idp(t *testing.T, uris []string, flags ...int) pkix.Extension {
	t.Helper()
	var content []byte
	if uris != nil {
		var names []byte
		for _, uri := range uris {
			names = append(names, marshal(t, asn1.RawValue{Class: 2, Tag: 6, Bytes: []byte(uri)})...)
		}
		full := marshal(t, asn1.RawValue{Class: 2, Tag: 0, IsCompound: true, Bytes: names})
		content = marshal(t, asn1.RawValue{Class: 2, Tag: 0, IsCompound: true, Bytes: full})
	}
	for _, tag := range flags {
		content = append(content, marshal(t, asn1.RawValue{Class: 2, Tag: tag, Bytes: []byte{0xff}})...)
	}
	return extra(oidIDP, true, marshal(t, asn1.RawValue{Tag: 16, IsCompound: true, Bytes: content}))
}

func marshal(t *testing.T, v any) []byte {
	t.Helper()
	der, err := asn1.Marshal(v)
	require.NoError(t, err)
	return der
}

func TestGivenCRL(t *testing.T) {
	t.Parallel()
	for name, opts := range map[string][]tlstest.Option{
		"P-256": nil, "P-384": {tlstest.ECDSA(elliptic.P384())}, "RSA": {tlstest.RSA(2048)}, "Ed25519": {tlstest.Ed25519()},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ca := newAuthority(t, opts...)
			gone, here := ca.leaf(nil), ca.leaf(nil)
			list := ca.crl(nil, ca.leaf(nil), gone, ca.leaf(nil))
			for _, c := range []*Checker{nil, NewChecker(Config{})} {
				q := ca.query(gone)
				q.CRLs = [][]byte{newAuthority(t).crl(nil), list}
				r, _ := explained(t, c, q)
				require.Equal(t, Revoked, r.Outcome)
				require.Equal(t, CRL, r.Source)
				require.True(t, r.RevokedAt.Equal(ca.now.Add(-48*time.Hour)))
				require.NotEmpty(t, r.Detail)

				q.Chain = ca.query(here).Chain
				r, _ = explained(t, c, q)
				require.Equal(t, Good, r.Outcome, r.Detail)
				require.True(t, r.NextUpdate.Equal(ca.now.Add(6*24*time.Hour)))
			}
		})
	}
}

// What makes a list say nothing, whatever it lists.
func TestThreat14UnusableCRL(t *testing.T) {
	t.Parallel()
	const day = 24 * time.Hour
	ca := newAuthority(t)
	namesake := newAuthority(t)
	spoil := func(der []byte) []byte { der[len(der)-1] ^= 1; return der }
	issued := func(age, left time.Duration) func(*x509.RevocationList) {
		return func(l *x509.RevocationList) { l.ThisUpdate, l.NextUpdate = ca.now.Add(-age), ca.now.Add(left) }
	}
	twoAlgorithms := ca.crl(nil)
	at := bytes.LastIndex(twoAlgorithms, []byte(ecdsaWithSHA256))
	twoAlgorithms[at+len(ecdsaWithSHA256)-1]++ // SHA-384
	reasons := pkix.Extension{Id: oidIDP, Critical: true, Value: []byte{0x30, 4, 0x83, 2, 4, 0x10}}
	for name, c := range map[string]struct {
		list []byte
		why  reason
	}{
		"another key of the same name": {namesake.crl(nil), badSignature},
		"spoilt signature":             {spoil(ca.crl(nil)), badSignature},
		"two signature algorithms":     {twoAlgorithms, malformed},
		"trailing byte":                {append(ca.crl(nil), 0), malformed},
		"cut":                          {ca.crl(nil)[:100], malformed},
		"out of date":                  {ca.crl(issued(2*day, -time.Second)), outOfDate},
		"not valid yet":                {ca.crl(issued(-clockSkew-time.Second, day)), fromTheFuture},
		"too old for its URL":          {ca.crl(issued(8*day, 30*day)), outOfDate},
		"unknown critical extension":   {ca.crl(crlExtension(extra(oidNobodys, true, []byte{5, 0}))), unknownCritical},
		"delta":                        {ca.crl(crlExtension(extra(oidDelta, true, []byte{2, 1, 1}))), deltaCRL},
		"delta that is not critical":   {ca.crl(crlExtension(extra(oidDelta, false, []byte{2, 1, 1}))), deltaCRL},
		"for authorities":              {ca.crl(crlExtension(idp(t, nil, 2))), otherScope},
		"for attributes":               {ca.crl(crlExtension(idp(t, nil, 5))), otherScope},
		"indirect":                     {ca.crl(crlExtension(idp(t, []string{crlURL}, 4))), indirectCRL},
		"for some reasons":             {ca.crl(crlExtension(reasons)), someReasons},
		"for another point":            {ca.crl(crlExtension(idp(t, []string{"http://crl.test/b.crl"}))), otherPoint},
		"for users and authorities":    {ca.crl(crlExtension(idp(t, nil, 1, 2))), malformed},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := ca.leaf(withCRL(crlURL))
			q := ca.query(l)
			fetcher := &serves{answers: map[string][]byte{crlURL: c.list}}
			r, said := explained(t, NewChecker(Config{Fetcher: fetcher}), q)
			requireReason(t, c.why, r, said)

			q.CRLs = [][]byte{c.list}
			r, said = explained(t, nil, q)
			requireReason(t, c.why, r, said)
		})
	}
}

// A delta CRL is never alone good for "good"; but what it lists is revoked, whatever an older complete one says.
func TestDeltaCRLRevokes(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t)
	l := ca.leaf(nil)
	delta := ca.crl(crlExtension(extra(oidDelta, true, []byte{2, 1, 1})), l)
	for _, lists := range [][][]byte{{delta}, {ca.crl(nil), delta}, {delta, ca.crl(nil)}} {
		q := ca.query(l)
		q.CRLs = lists
		r, _ := explained(t, nil, q)
		require.Equal(t, Revoked, r.Outcome)
	}
}

func TestIssuerMayNotSignCRLs(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t)
	list := ca.crl(nil)
	plain := *ca.Certificate // x509 does not make lists for an issuer that may not sign them
	plain.KeyUsage = x509.KeyUsageCertSign
	r, said := explained(t, nil, Query{
		Chain: []*x509.Certificate{ca.leaf(nil).Certificate, &plain}, CRLs: [][]byte{list}, Now: ca.now,
	})
	requireReason(t, mayNotSignCRLs, r, said)
}

func TestCriticalEntryExtensionSpoilsTheList(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t)
	l, other := ca.leaf(nil), ca.leaf(nil)
	q := ca.query(l)
	q.CRLs = [][]byte{ca.crl(func(list *x509.RevocationList) {
		list.RevokedCertificateEntries[1].ExtraExtensions = []pkix.Extension{extra(oidNobodys, true, []byte{5, 0})}
	}, l, other)}
	r, said := explained(t, nil, q)
	requireReason(t, unknownCritical, r, said)
}

func TestRemoveFromCRLIsNotRevoked(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t)
	l := ca.leaf(nil)
	q := ca.query(l)
	q.CRLs = [][]byte{ca.crl(func(list *x509.RevocationList) { list.RevokedCertificateEntries[0].ReasonCode = removeFromCRL }, l)}
	r, _ := explained(t, nil, q)
	require.Equal(t, Good, r.Outcome, r.Detail)
}

// One list is removed from, another revokes, in any order: revoked is final.
func TestOneOfSeveralListsRevokes(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t)
	l := ca.leaf(nil)
	q := ca.query(l)
	q.CRLs = [][]byte{ca.crl(nil), ca.crl(nil, l), {1, 2, 3}}
	for range 2 {
		r, _ := explained(t, nil, q)
		require.Equal(t, Revoked, r.Outcome, r.Detail)
		slices.Reverse(q.CRLs)
	}
}

func TestPointOfTheListIsOneOfTheCertificate(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t)
	l := ca.leaf(withCRL("ldap://crl.test/a", crlURL))
	q := ca.query(l)
	list := ca.crl(crlExtension(idp(t, []string{"http://other.test/", crlURL}, 1)))
	q.CRLs = [][]byte{list}
	r, _ := explained(t, nil, q)
	require.Equal(t, Good, r.Outcome, r.Detail)

	q.CRLs = nil
	r, _ = explained(t, NewChecker(Config{Fetcher: &serves{answers: map[string][]byte{crlURL: list}}}), q)
	require.Equal(t, Good, r.Outcome, r.Detail)
	require.Equal(t, CRL, r.Source)

	// A list for the certificate's other point is not what this URL should have given.
	const second = "http://crl.test/second.crl"
	q = ca.query(ca.leaf(withCRL(second, crlURL)))
	r, said := explained(t, NewChecker(Config{Fetcher: &serves{answers: map[string][]byte{second: list}}}), q)
	requireReason(t, otherPoint, r, said)
}

func TestCRLAge(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t)
	list := ca.crl(func(l *x509.RevocationList) {
		l.ThisUpdate, l.NextUpdate = ca.now.Add(-20*24*time.Hour), ca.now.Add(24*time.Hour)
	})
	q := ca.query(ca.leaf(withCRL(crlURL)))
	q.CRLs = [][]byte{list}
	r, said := explained(t, nil, q)
	requireReason(t, outOfDate, r, said)
	r, _ = explained(t, NewChecker(Config{LeafCRLAge: -1}), q)
	require.Equal(t, Good, r.Outcome, r.Detail)
	r, _ = explained(t, NewChecker(Config{LeafCRLAge: 21 * 24 * time.Hour}), q)
	require.Equal(t, Good, r.Outcome, r.Detail)

	// An authority publishes less often; and where no newer one is to be had, nextUpdate says.
	below := ca.leaf(func(c *x509.Certificate) {
		c.IsCA, c.BasicConstraintsValid, c.CRLDistributionPoints = true, true, []string{crlURL}
	})
	for _, l := range []leaf{below, ca.leaf(nil)} {
		q.Chain = ca.query(l).Chain
		r, _ = explained(t, nil, q)
		require.Equal(t, Good, r.Outcome, r.Detail)
	}
}

func TestNamesAreComparedWithoutCaseAndSpaces(t *testing.T) {
	t.Parallel()
	name := func(tag byte, text string) []byte {
		attribute := append([]byte{6, 3, 85, 4, 3, tag, byte(len(text))}, text...)
		sequence := append([]byte{0x30, byte(len(attribute))}, attribute...)
		set := append([]byte{0x31, byte(len(sequence))}, sequence...)
		return append([]byte{0x30, byte(len(set))}, set...)
	}
	want, ok := canonicalName(name(12, "Test CA"))
	require.True(t, ok)
	for _, same := range [][]byte{name(19, "test  ca"), name(12, " TEST CA "), name(30, "\x00T\x00e\x00s\x00t\x00 \x00C\x00A")} {
		got, ok := canonicalName(same)
		require.True(t, ok)
		require.Equal(t, want, got)
	}
	for _, other := range [][]byte{name(19, "TestCA"), name(20, "Test CA"), name(12, "")} {
		got, ok := canonicalName(other)
		require.True(t, ok)
		require.NotEqual(t, want, got)
	}
	_, ok = canonicalName(name(12, "Test CA")[:8])
	require.False(t, ok)
}
