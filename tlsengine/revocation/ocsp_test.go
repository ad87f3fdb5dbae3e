package revocation

import (
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"math/big"
	"testing"
	"time"

	"securesocket/tlsengine/tlstest"

	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/ocsp"
)

func stapled(a *authority, l leaf, staple []byte) Query {
	q := a.query(l)
	q.Staple = staple
	return q
}

func TestStaple(t *testing.T) {
	t.Parallel()
	for name, opts := range map[string][]tlstest.Option{
		"P-256": nil, "RSA": {tlstest.RSA(2048)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ca := newAuthority(t, opts...)
			l := ca.leaf(nil)
			for _, h := range []crypto.Hash{crypto.SHA1, crypto.SHA256, crypto.SHA384, crypto.SHA512} {
				r, _ := explained(t, nil, stapled(ca, l, ca.ocsp(l, func(r *ocsp.Response) { r.IssuerHash = h })))
				require.Equal(t, Good, r.Outcome, r.Detail)
				require.Equal(t, Staple, r.Source)
				require.True(t, r.ThisUpdate.Equal(ca.now.Add(-time.Hour)))
			}
			r, _ := explained(t, nil, stapled(ca, l, ca.ocsp(l, revokedOCSP)))
			require.Equal(t, Revoked, r.Outcome)
			require.True(t, r.RevokedAt.Equal(ca.now.Add(-2*time.Hour)))
			require.NotEmpty(t, r.Detail)
		})
	}
}

func responder(c *x509.Certificate) {
	c.ExtKeyUsage, c.DNSNames = []x509.ExtKeyUsage{x509.ExtKeyUsageOCSPSigning}, nil
	c.Subject.CommonName = "Test Responder"
}

func TestThreat15DelegatedResponder(t *testing.T) {
	t.Parallel()
	ca, other := newAuthority(t), newAuthority(t)
	l := ca.leaf(nil)
	but := func(change func(*x509.Certificate)) func(*x509.Certificate) {
		return func(c *x509.Certificate) { responder(c); change(c) }
	}
	for name, c := range map[string]struct {
		by  leaf
		why reason // "": good
	}{
		"authorised": {ca.leaf(responder), ""},
		"without extended key usage": {ca.leaf(but(func(c *x509.Certificate) {
			c.ExtKeyUsage = nil
		})), noResponder},
		"any extended key usage": {ca.leaf(but(func(c *x509.Certificate) {
			c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageAny}
		})), noResponder},
		"key for encryption": {ca.leaf(but(func(c *x509.Certificate) {
			c.KeyUsage = x509.KeyUsageKeyEncipherment
		})), noResponder},
		"unknown critical extension": {ca.leaf(but(func(c *x509.Certificate) {
			c.ExtraExtensions = []pkix.Extension{extra(oidNobodys, true, []byte{5, 0})}
		})), noResponder},
		"expired":        {ca.leaf(but(func(c *x509.Certificate) { c.NotAfter = ca.now.Add(-time.Second) })), outOfDate},
		"not yet valid":  {ca.leaf(but(func(c *x509.Certificate) { c.NotBefore = ca.now.Add(time.Hour) })), fromTheFuture},
		"of another CA":  {other.leaf(responder), noResponder},
		"the leaf":       {l, noResponder},
		"another key":    {leaf{ca.leaf(responder).Certificate, nil}, ""}, // replaced below
		"the CA's twin":  {leaf{other.Certificate, other.Key}, badSignature},
		"a CA below one": {}, // replaced below
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			by, why := c.by, c.why
			switch name {
			case "another key":
				by.key, why = ca.leaf(nil).key, badSignature
			case "a CA below one":
				below := &authority{CA: ca.Intermediate(), t: t, now: ca.now}
				by, why = below.leaf(responder), noResponder
			}
			staple := ca.ocspBy(l, by.Certificate, by.key, nil)
			r, said := explained(t, nil, stapled(ca, l, staple))
			if why == "" {
				require.Equal(t, Good, r.Outcome, r.Detail)
				return
			}
			requireReason(t, why, r, said)
		})
	}
}

func TestThreat15UnusableOCSP(t *testing.T) {
	t.Parallel()
	ca, other := newAuthority(t), newAuthority(t)
	l := ca.leaf(nil)
	const day = 24 * time.Hour
	at := func(thisUpdate, nextUpdate time.Duration) []byte {
		return ca.ocsp(l, func(r *ocsp.Response) {
			r.ThisUpdate, r.NextUpdate = ca.now.Add(thisUpdate), ca.now.Add(nextUpdate)
			if nextUpdate == 0 {
				r.NextUpdate = time.Time{}
			}
		})
	}
	spoilt := ca.ocsp(l, nil)
	spoilt[len(spoilt)-1] ^= 1
	late := ca.leaf(func(c *x509.Certificate) { c.NotBefore = ca.now.Add(day) })
	for name, c := range map[string]struct {
		staple []byte
		why    reason
	}{
		"empty":                         {[]byte{}, malformed},
		"garbage":                       {[]byte("HTTP/1.1 200 OK"), malformed},
		"cut":                           {ca.ocsp(l, nil)[:80], malformed},
		"trailing byte":                 {append(ca.ocsp(l, nil), 0), malformed},
		"64 KiB":                        {make([]byte, maxOCSPBytes+1), tooLarge},
		"spoilt signature":              {spoilt, badSignature},
		"out of date":                   {at(-2*day, -time.Second), outOfDate},
		"without nextUpdate, too old":   {at(-maxAge-time.Second, 0), outOfDate},
		"not valid yet":                 {at(clockSkew+time.Second, day), fromTheFuture},
		"another certificate":           {ca.ocsp(ca.leaf(nil), nil), otherCertificate},
		"another CA's, the same serial": {other.ocsp(l, nil), otherCertificate},
		"unknown":                       {ca.ocsp(l, func(r *ocsp.Response) { r.Status = ocsp.Unknown }), statusUnknown},
		"tryLater":                      {ocsp.TryLaterErrorResponse, responderRefused},
		"unauthorized":                  {ocsp.UnauthorizedErrorResponse, responderRefused},
		"unknown critical extension": {ca.ocsp(l, func(r *ocsp.Response) {
			r.ExtraExtensions = []pkix.Extension{extra(oidNobodys, true, []byte{5, 0})}
		}), unknownCritical},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, said := explained(t, nil, stapled(ca, l, c.staple))
			requireReason(t, c.why, r, said)
		})
	}
	t.Run("before the certificate", func(t *testing.T) {
		t.Parallel()
		r, said := explained(t, nil, stapled(ca, late, ca.ocsp(late, nil)))
		requireReason(t, outOfDate, r, said)
	})
	r, _ := explained(t, nil, stapled(ca, l, at(-maxAge+time.Hour, 0)))
	require.Equal(t, Good, r.Outcome, r.Detail)
	r, _ = explained(t, nil, stapled(ca, l, at(clockSkew-time.Second, day)))
	require.Equal(t, Good, r.Outcome, r.Detail)
}

// single is a SingleResponse, for responses that x/crypto/ocsp does not make.
type single struct {
	ID struct {
		Hash              pkix.AlgorithmIdentifier
		NameHash, KeyHash []byte
		Serial            *big.Int
	}
	Status     asn1.RawValue
	ThisUpdate time.Time `asn1:"generalized"`
	NextUpdate time.Time `asn1:"generalized,explicit,tag:0,optional"`
}

var (
	statusGood    = asn1.RawValue{Class: 2, Tag: 0}
	statusRevoked = asn1.RawValue{Class: 2, Tag: 1, IsCompound: true, Bytes: []byte("\x18\x0f20200101000000Z")}
	statusNothing = asn1.RawValue{Class: 2, Tag: 2}
)

// responseData is ResponseData, with the responder by key.
type responseData struct {
	Responder  []byte    `asn1:"explicit,tag:2"`
	ProducedAt time.Time `asn1:"generalized"`
	Singles    []single
	Extensions []pkix.Extension `asn1:"explicit,tag:1,optional"`
}

func (a *authority) responseData(t *testing.T, singles ...single) responseData {
	t.Helper()
	bits, ok := publicKeyBits(a.Certificate)
	require.True(t, ok)
	return responseData{Responder: sum(crypto.SHA1, bits), ProducedAt: a.now.UTC(), Singles: singles}
}

// sign makes a response of data.
func (a *authority) sign(t *testing.T, data responseData) []byte {
	t.Helper()
	tbs := marshal(t, data)
	digest := crypto.SHA256.New()
	digest.Write(tbs)
	signature, err := a.Key.Sign(rand.Reader, digest.Sum(nil), crypto.SHA256)
	require.NoError(t, err)
	basic := marshal(t, struct {
		TBS       asn1.RawValue
		Algorithm asn1.RawValue
		Signature asn1.BitString
	}{asn1.RawValue{FullBytes: tbs}, asn1.RawValue{FullBytes: []byte(ecdsaWithSHA256)},
		asn1.BitString{Bytes: signature, BitLength: 8 * len(signature)}})
	type typed struct {
		Kind asn1.ObjectIdentifier
		Body []byte
	}
	return marshal(t, struct {
		Status asn1.Enumerated
		Body   typed `asn1:"explicit,tag:0"`
	}{0, typed{asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 48, 1, 1}, basic}})
}

func (a *authority) single(t *testing.T, l leaf, status asn1.RawValue, age time.Duration) single {
	t.Helper()
	bits, ok := publicKeyBits(a.Certificate)
	require.True(t, ok)
	one := single{Status: status, ThisUpdate: a.now.Add(-age).UTC()}
	one.ID.Hash.Algorithm = asn1.ObjectIdentifier{1, 3, 14, 3, 2, 26}
	one.ID.NameHash, one.ID.KeyHash = sum(crypto.SHA1, a.Certificate.RawSubject), sum(crypto.SHA1, bits)
	one.ID.Serial = l.SerialNumber
	return one
}

// Of several answers about the certificate, the worst counts.
func TestSeveralSingleResponses(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t)
	l, other := ca.leaf(nil), ca.leaf(nil)
	good := ca.single(t, l, statusGood, time.Hour)
	revoked := ca.single(t, l, statusRevoked, time.Hour)
	nothing := ca.single(t, l, statusNothing, time.Hour)
	old := ca.single(t, l, statusGood, 8*24*time.Hour)
	others := ca.single(t, other, statusRevoked, time.Hour)
	for name, c := range map[string]struct {
		singles []single
		want    Outcome
	}{
		"good":                       {[]single{good}, Good},
		"good, another's revoked":    {[]single{others, good, others}, Good},
		"good and revoked":           {[]single{good, revoked}, Revoked},
		"revoked, unknown, old":      {[]single{revoked, nothing, old}, Revoked},
		"old and revoked":            {[]single{old, revoked}, Revoked},
		"good and unknown":           {[]single{good, nothing}, NotChecked},
		"unknown and good":           {[]single{nothing, good}, NotChecked},
		"good and old":               {[]single{good, old}, NotChecked},
		"another's":                  {[]single{others}, NotChecked},
		"none":                       {nil, NotChecked},
		"unknown status, good after": {[]single{ca.single(t, l, asn1.RawValue{Class: 2, Tag: 3}, 0), good}, NotChecked},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, said := explained(t, nil, stapled(ca, l, ca.sign(t, ca.responseData(t, c.singles...))))
			require.Equal(t, c.want, r.Outcome, said)
		})
	}
}

// What is wrong with a response as a whole.
func TestUnusableResponseData(t *testing.T) {
	t.Parallel()
	ca, twin := newAuthority(t), newAuthority(t)
	l := ca.leaf(nil)
	for name, c := range map[string]struct {
		change func(*responseData)
		why    reason // "": good
	}{
		"nothing":              {func(*responseData) {}, ""},
		"extension":            {func(d *responseData) { d.Extensions = []pkix.Extension{extra(oidNobodys, false, []byte{5, 0})} }, ""},
		"critical extension":   {func(d *responseData) { d.Extensions = []pkix.Extension{extra(oidNobodys, true, []byte{5, 0})} }, unknownCritical},
		"produced too late":    {func(d *responseData) { d.ProducedAt = ca.now.Add(clockSkew + time.Second).UTC() }, fromTheFuture},
		"produced early":       {func(d *responseData) { d.ProducedAt = l.NotBefore.Add(-time.Hour).UTC() }, outOfDate},
		"another key's hash":   {func(d *responseData) { d.Responder = twin.responseData(t).Responder }, noResponder},
		"half of a key's hash": {func(d *responseData) { d.Responder = d.Responder[:10] }, noResponder},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			data := ca.responseData(t, ca.single(t, l, statusGood, time.Hour))
			c.change(&data)
			r, said := explained(t, nil, stapled(ca, l, ca.sign(t, data)))
			if c.why == "" {
				require.Equal(t, Good, r.Outcome, r.Detail)
				return
			}
			requireReason(t, c.why, r, said)
		})
	}
}
