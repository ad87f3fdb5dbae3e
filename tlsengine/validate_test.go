package tlsengine_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"math/big"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"securesocket/tlsengine"
	"securesocket/tlsengine/forge"
	"securesocket/tlsengine/tlstest"
)

// validate judges a chain that nobody sent.
func validate(t *testing.T, cfg *tlsengine.Config, chain tlsengine.Chain) *tlsengine.Report {
	t.Helper()
	r, err := tlsengine.Validate(t.Context(), cfg, chain)
	require.NoError(t, err)
	return r
}

// issue makes a leaf for localhost that tlstest has no option for.
func issue(t *testing.T, ca *tlstest.CA, edit func(*x509.Certificate)) *x509.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: "Test Leaf"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(90 * 24 * time.Hour), DNSNames: []string{"localhost"},
		KeyUsage: x509.KeyUsageDigitalSignature, BasicConstraintsValid: true, MaxPathLen: -1,
	}
	var public crypto.PublicKey = key.Public()
	if edit != nil {
		edit(template)
		if template.PublicKey != nil {
			public = template.PublicKey
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, ca.Certificate, public, ca.Key)
	require.NoError(t, err)
	cert, err := x509.ParseCertificate(der)
	require.NoError(t, err)
	return cert
}

func TestValidateIsLikeAHandshake(t *testing.T) {
	t.Parallel()
	ca := tlstest.NewCA(t)
	id := ca.Intermediate().Leaf()
	cfg := trusting(ca)
	cfg.Trust.Name, cfg.Trust.SHA256 = "session", [32]byte{1}
	r := validate(t, cfg, tlsengine.Chain{Certificates: id.Chain})
	require.Equal(t, tlsengine.StatusTrusted, r.Status)
	require.Equal(t, "session", r.StoreName)
	require.Equal(t, [32]byte{1}, r.StoreSHA256)
	require.Len(t, r.VerifiedChain, 3)
	require.False(t, r.Overridable(), "there is nothing to accept")

	r = validate(t, cfg, tlsengine.Chain{Certificates: id.Chain[:1]})
	require.Equal(t, "UNABLE_TO_GET_LOCAL_ISSUER_CERTIFICATE@0 UNABLE_TO_VERIFY_FIRST_CERTIFICATE@0", problems(r))
	require.True(t, r.Overridable())
}

func TestValidateUnreadable(t *testing.T) {
	t.Parallel()
	ca := tlstest.NewCA(t)
	id := ca.Intermediate().Leaf()
	rows := map[string]struct {
		chain       [][]byte
		status      tlsengine.Status
		want        string
		overridable bool
	}{
		"none":                   {nil, tlsengine.StatusUnknown, "NO_PEER_CERTIFICATE@-1", false},
		"leaf":                   {[][]byte{[]byte("junk"), id.Chain[1]}, tlsengine.StatusInvalid, "MALFORMED_CERTIFICATE@0", false},
		"extra, not needed":      {append(id.Chain[:2:2], []byte("junk")), tlsengine.StatusTrusted, "", false},
		"extra, perhaps needed":  {[][]byte{id.Chain[0], id.Chain[1][:100]}, tlsengine.StatusUntrustedSigners, "UNABLE_TO_GET_LOCAL_ISSUER_CERTIFICATE@0 UNABLE_TO_VERIFY_FIRST_CERTIFICATE@0 MALFORMED_CERTIFICATE@-1", true},
		"seventeen certificates": {make([][]byte, 17), tlsengine.StatusUnknown, "CHAIN_TOO_LARGE@-1", false},
		"one that is too large":  {[][]byte{make([]byte, 33<<10)}, tlsengine.StatusUnknown, "CHAIN_TOO_LARGE@-1", false},
	}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := validate(t, trusting(ca), tlsengine.Chain{Certificates: row.chain})
			require.Equal(t, row.want, problems(r))
			require.Equal(t, row.status, r.Status)
			require.Equal(t, row.overridable, r.Overridable())
			if row.want == "" {
				require.Len(t, r.Warnings, 2, "revocation, and the certificate that was dropped")
			}
		})
	}
}

func TestValidateErrors(t *testing.T) {
	t.Parallel()
	ca := tlstest.NewCA(t)
	chain := tlsengine.Chain{Certificates: ca.Leaf().Chain}
	_, err := tlsengine.Validate(t.Context(), &tlsengine.Config{}, chain)
	var refused *tlsengine.ConfigError
	require.ErrorAs(t, err, &refused)

	ended, cancel := context.WithCancelCause(t.Context())
	gone := errors.New("gone")
	cancel(gone)
	_, err = tlsengine.Validate(ended, trusting(ca), chain)
	require.ErrorIs(t, err, gone)

	busy := errors.New("busy")
	cfg := trusting(ca)
	cfg.Turn = func(context.Context) (func(), error) { return nil, busy }
	_, err = tlsengine.Validate(t.Context(), cfg, chain)
	require.ErrorIs(t, err, busy)
}

func TestATurnIsTakenAndGivenBack(t *testing.T) {
	t.Parallel()
	ca := tlstest.NewCA(t)
	cfg := trusting(ca)
	taken, held := 0, 0
	cfg.Turn = func(context.Context) (func(), error) {
		taken++
		held++
		return func() { held-- }, nil
	}
	for _, chain := range [][][]byte{ca.Leaf().Chain, ca.Leaf(tlstest.Expired()).Chain} {
		validate(t, cfg, tlsengine.Chain{Certificates: chain})
	}
	require.Equal(t, 2, taken)
	require.Zero(t, held)
	validate(t, cfg, tlsengine.Chain{Certificates: make([][]byte, 17)})
	require.Equal(t, 2, taken, "a chain that is not judged takes no turn")
}

func TestClientsCertificate(t *testing.T) {
	t.Parallel()
	ca := tlstest.NewCA(t)
	both := opts{tlstest.ExtKeyUsage(x509.ExtKeyUsageClientAuth), tlstest.Names("robot.example")}
	rows := map[string]struct {
		leaf  opts
		names []string
		want  string
	}{
		"nobody in particular": {both, nil, ""},
		"named":                {both, []string{"robot.example"}, ""},
		"somebody else":        {both, []string{"other.example"}, "HOST_NAME_MISMATCH@0"},
		"for servers":          {opts{tlstest.Names("robot.example")}, nil, "INVALID_PURPOSE@0"},
		"without a name":       {opts{tlstest.Names(), tlstest.ExtKeyUsage(x509.ExtKeyUsageClientAuth)}, nil, ""},
		"expired":              {append(both[:2:2], tlstest.Expired()), nil, "CERTIFICATE_EXPIRED@0"},
	}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := validate(t, &tlsengine.Config{PeerIsClient: true, VerifyNames: row.names, Trust: anchors(ca.Certificate)},
				tlsengine.Chain{Certificates: ca.Leaf(row.leaf...).Chain})
			require.Equal(t, row.want, problems(r))
			for _, p := range r.Problems {
				require.NotContains(t, p.Hint, "server: ")
			}
		})
	}
}

func TestPins(t *testing.T) {
	t.Parallel()
	ca := tlstest.NewCA(t)
	id := ca.Intermediate().Leaf()
	pin := func(cert *x509.Certificate) [sha256.Size]byte { return sha256.Sum256(cert.RawSubjectPublicKeyInfo) }
	other := tlstest.NewCA(t).Certificate
	for name, row := range map[string]struct {
		pins [][sha256.Size]byte
		want string
	}{
		"leaf":   {[][sha256.Size]byte{pin(other), pin(id.Leaf)}, ""},
		"anchor": {[][sha256.Size]byte{pin(ca.Certificate)}, ""},
		"other":  {[][sha256.Size]byte{pin(other)}, "PIN_MISMATCH@0"},
		"zero":   {make([][sha256.Size]byte, 1), "PIN_MISMATCH@0"},
	} {
		cfg := trusting(ca)
		cfg.Pins = row.pins
		r := validate(t, cfg, tlsengine.Chain{Certificates: id.Chain})
		require.Equal(t, row.want, problems(r), name)
		if row.want != "" {
			require.Equal(t, tlsengine.StatusInvalid, r.Status)
			require.True(t, r.Overridable())
		}
	}
}

// What is stricter than crypto/x509.
func TestStricterThanVerify(t *testing.T) {
	t.Parallel()
	ca := tlstest.NewCA(t)
	weakRoot := tlstest.NewCA(t, tlstest.RSA(1024))
	weakInter := ca.Intermediate(tlstest.RSA(1024))
	curve := tlstest.NewCA(t, tlstest.ECDSA(elliptic.P224()))
	mailLeaf := func(email string) func(*x509.Certificate) {
		return func(c *x509.Certificate) { c.EmailAddresses = []string{email} }
	}
	constrained := func(edit func(*x509.Certificate)) *tlstest.CA {
		cert := issue(t, ca, func(c *x509.Certificate) {
			c.IsCA, c.KeyUsage, c.DNSNames = true, x509.KeyUsageCertSign, nil
			c.Subject.CommonName = "Constrained"
			c.PublicKey = ca.Key.Public()
			edit(c)
		})
		return &tlstest.CA{CA: &forge.CA{Certificate: cert, Key: ca.Key}}
	}
	mailCA := constrained(func(c *x509.Certificate) { c.PermittedEmailAddresses = []string{"example.com"} })
	uriCA := constrained(func(c *x509.Certificate) { c.PermittedURIDomains = []string{"example.com"} })
	uri := func(text string) func(*x509.Certificate) {
		return func(c *x509.Certificate) {
			u, err := url.Parse(text)
			require.NoError(t, err)
			c.URIs = []*url.URL{u}
		}
	}
	noNames := constrained(func(c *x509.Certificate) { c.RawSubject = []byte{0x30, 0} })
	rows := map[string]struct {
		issuer *tlstest.CA
		edit   func(*x509.Certificate)
		want   string
		status tlsengine.Status
	}{
		"RSA-1024 anchor":       {weakRoot, nil, "WEAK_KEY@1", tlsengine.StatusInvalidChain},
		"RSA-1024 intermediate": {weakInter, nil, "WEAK_KEY@1", tlsengine.StatusInvalidChain},
		"P-224 anchor":          {curve, nil, "WEAK_KEY@1", tlsengine.StatusInvalidChain},
		"leaf with keyCertSign": {ca, func(c *x509.Certificate) { c.KeyUsage |= x509.KeyUsageCertSign }, "INVALID_PURPOSE@0",
			tlsengine.StatusInvalid},
		"leaf with cA and without keyCertSign": {ca, func(c *x509.Certificate) { c.IsCA = true }, "INVALID_PURPOSE@0", tlsengine.StatusInvalid},
		"leaf that is an authority": {ca, func(c *x509.Certificate) {
			c.IsCA = true
			c.KeyUsage |= x509.KeyUsageCertSign
		}, "", tlsengine.StatusTrusted},
		"leaf with name constraints": {ca, func(c *x509.Certificate) { c.PermittedDNSDomains = []string{"localhost"} },
			"MALFORMED_CERTIFICATE@0", tlsengine.StatusInvalid},
		"authority without a name":     {noNames, nil, "MALFORMED_CERTIFICATE@1", tlsengine.StatusInvalidChain},
		"mail address of the host":     {mailCA, mailLeaf("a@example.com"), "", tlsengine.StatusTrusted},
		"mail address of another host": {mailCA, mailLeaf("a@mail.example.com"), "NAME_CONSTRAINT_VIOLATED@0", tlsengine.StatusInvalidChain},
		"URI of the host":              {uriCA, uri("https://example.com/x"), "", tlsengine.StatusTrusted},
		"URI of another host":          {uriCA, uri("https://www.example.com/x"), "NAME_CONSTRAINT_VIOLATED@0", tlsengine.StatusInvalidChain},
	}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			leaf := issue(t, row.issuer, row.edit)
			r := validate(t, &tlsengine.Config{VerifyNames: []string{"localhost"},
				Trust: anchors(ca.Certificate, weakRoot.Certificate, curve.Certificate)},
				tlsengine.Chain{Certificates: [][]byte{leaf.Raw, row.issuer.Certificate.Raw}})
			require.Equal(t, row.want, problems(r))
			require.Equal(t, row.status, r.Status)
			require.True(t, row.want == "" || r.Overridable())
		})
	}
}

func TestWildcardsOfRegistries(t *testing.T) {
	t.Parallel()
	ca := tlstest.NewCA(t)
	for name, row := range map[string]struct {
		names []string
		want  bool
	}{
		"example.com":             {[]string{"*.com"}, false},
		"example.co.uk":           {[]string{"*.co.uk"}, false},
		"www.example.co.uk":       {[]string{"*.example.co.uk"}, true},
		"bucket.s3.amazonaws.com": {[]string{"*.s3.amazonaws.com"}, true},
		"host.internal":           {[]string{"*.internal"}, true},
		"both.com":                {[]string{"*.com", "both.com"}, true},
	} {
		cfg := trusting(ca)
		cfg.VerifyNames = []string{name}
		r := validate(t, cfg, tlsengine.Chain{Certificates: ca.Leaf(tlstest.Names(row.names...)).Chain})
		require.Equal(t, row.want, r.Status == tlsengine.StatusTrusted, name)
		if !row.want {
			require.Equal(t, "HOST_NAME_MISMATCH@0", problems(r))
		}
	}
}

func TestHintNamesTheMissingIntermediate(t *testing.T) {
	t.Parallel()
	inter := tlstest.NewCA(t).Intermediate(tlstest.CommonName("Middle"))
	leaf := issue(t, inter, func(c *x509.Certificate) {
		c.IssuingCertificateURL = []string{"ldap://ca.example/x", "http://ca.example/middle.crt"}
	})
	r := validate(t, &tlsengine.Config{VerifyNames: []string{"localhost"}}, tlsengine.Chain{Certificates: [][]byte{leaf.Raw}})
	require.Len(t, r.Problems, 2)
	require.Contains(t, r.Problems[0].Hint, "server: send the intermediate certificate")
	require.Contains(t, r.Problems[0].Hint, "CN=Middle")
	require.Contains(t, r.Problems[0].Hint, "http://ca.example/middle.crt")
}

// An anchor may be trusted for some chains only, as the pools of root programs say.
func TestADistrustedAnchor(t *testing.T) {
	t.Parallel()
	ca := tlstest.NewCA(t)
	since := time.Now().Add(-30 * 24 * time.Hour)
	pool := x509.NewCertPool()
	pool.AddCertWithConstraint(ca.Certificate, func(chain []*x509.Certificate) error {
		if chain[0].NotBefore.After(since) {
			return errors.New("distrusted")
		}
		return nil
	})
	before := tlstest.Validity(since.Add(-time.Hour), since.Add(365*24*time.Hour))
	inter := ca.Intermediate(before)
	for want, leaf := range map[string]opts{
		"":                        {before},
		"CERTIFICATE_UNTRUSTED@2": nil,
		"CERTIFICATE_UNTRUSTED@2 CERTIFICATE_EXPIRED@0": {tlstest.Expired()},
		"CERTIFICATE_EXPIRED@0":                         {tlstest.Validity(since.Add(-time.Hour), since)},
	} {
		r := validate(t, &tlsengine.Config{VerifyNames: []string{"localhost"}, Trust: tlsengine.Trust{Roots: pool}},
			tlsengine.Chain{Certificates: inter.Leaf(leaf...).Chain})
		require.Equal(t, want, problems(r))
		require.Equal(t, strings.HasPrefix(want, "CERTIFICATE_UNTRUSTED"), r.Status == tlsengine.StatusUntrustedSigners)
	}
}

func TestPolicies(t *testing.T) {
	t.Parallel()
	ca := tlstest.NewCA(t)
	oid := func(text string) x509.OID {
		o, err := x509.ParseOID(text)
		require.NoError(t, err)
		return o
	}
	with := issue(t, ca, func(c *x509.Certificate) { c.Policies = []x509.OID{oid("1.2.3")} })
	without := issue(t, ca, nil)
	anyOne := issue(t, ca, func(c *x509.Certificate) { c.Policies = []x509.OID{oid("2.5.29.32.0")} })
	const refused = "UNSPECIFIED_ERROR@1" // the authority, whose certificate it is not good for
	for name, row := range map[string]struct {
		leaf     *x509.Certificate
		policies tlsengine.Policies
		want     string
	}{
		"nothing asked":            {without, tlsengine.Policies{}, ""},
		"not required":             {without, tlsengine.Policies{Acceptable: []x509.OID{oid("1.2.3")}}, ""},
		"required, there":          {with, tlsengine.Policies{RequireExplicit: true}, ""},
		"required, not there":      {without, tlsengine.Policies{RequireExplicit: true}, refused},
		"required, another":        {with, tlsengine.Policies{RequireExplicit: true, Acceptable: []x509.OID{oid("1.2.4")}}, refused},
		"required, any":            {anyOne, tlsengine.Policies{RequireExplicit: true, Acceptable: []x509.OID{oid("1.2.4")}}, ""},
		"required, any inhibited":  {anyOne, tlsengine.Policies{RequireExplicit: true, InhibitAny: true}, refused},
		"mapping inhibited, there": {with, tlsengine.Policies{RequireExplicit: true, InhibitMapping: true}, ""},
	} {
		r := validate(t, trusting(ca), tlsengine.Chain{Certificates: [][]byte{row.leaf.Raw}, Policies: row.policies})
		require.Equal(t, row.want, problems(r), name)
	}
}
