package tlsengine

import (
	"crypto/elliptic"
	"crypto/x509"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"securesocket/tlsengine/tlstest"
)

// long is an expired leaf for a name that its authority may not issue for, with as many others in between on that curve.
func long(t *testing.T, root *tlstest.CA, between int, curve elliptic.Curve, options ...tlstest.Option) evidence {
	t.Helper()
	options = append(options, tlstest.ECDSA(curve))
	ca := root.Intermediate(append(options, tlstest.CommonName("Limited"), tlstest.PermittedDNS("corp.example"))...)
	for i := range between {
		ca = ca.Intermediate(append([]tlstest.Option{tlstest.CommonName(fmt.Sprint("Between ", i))}, options...)...)
	}
	return presented(t, ca.Leaf(append(options, tlstest.Names("victim.example"), tlstest.Expired())...))
}

func presented(t *testing.T, id *tlstest.Identity) evidence {
	t.Helper()
	var in evidence
	for _, der := range id.Chain {
		cert, err := x509.ParseCertificate(der)
		require.NoError(t, err)
		in.chain = append(in.chain, cert)
	}
	return in
}

func settled(t *testing.T, trust Trust) *settings {
	t.Helper()
	s, err := (&Config{VerifyNames: []string{"victim.example"}, Trust: trust}).settings()
	require.NoError(t, err)
	return s
}

func listed(problems []Problem) string {
	var all []string
	for _, p := range problems {
		all = append(all, fmt.Sprintf("%s@%d", p.Code, p.Depth))
	}
	return strings.Join(all, " ")
}

// distrusting is a pool whose one anchor is trusted for nothing.
func distrusting(root *tlstest.CA) *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCertWithConstraint(root.Certificate, func([]*x509.Certificate) error { return errors.New("distrusted") })
	return pool
}

// What a peer's keys cost to check hides nothing: whoever accepts an expired certificate must see what else there is.
func TestExpensiveKeysHideNothing(t *testing.T) {
	t.Parallel()
	for _, curve := range []elliptic.Curve{elliptic.P256(), elliptic.P384(), elliptic.P521()} {
		root := tlstest.NewCA(t)
		in := long(t, root, 11, curve)
		r := judge(t.Context(), settled(t, Trust{Anchors: []*x509.Certificate{root.Certificate}}), in)
		require.Equal(t, "CERTIFICATE_EXPIRED@0 NAME_CONSTRAINT_VIOLATED@0", listed(r.Problems), curve.Params().Name)
		require.Equal(t, StatusInvalidChain, r.Status)
		require.True(t, r.Overridable())

		r = judge(t.Context(), settled(t, Trust{Roots: distrusting(root)}), in)
		require.Equal(t, "CERTIFICATE_UNTRUSTED@13 CERTIFICATE_EXPIRED@0 NAME_CONSTRAINT_VIOLATED@0", listed(r.Problems), curve.Params().Name)
		require.Equal(t, StatusUntrustedSigners, r.Status)
	}
}

// One certificate more, and nothing can be afforded but to say so.
func TestTooExpensiveIsNotOverridable(t *testing.T) {
	t.Parallel()
	root := tlstest.NewCA(t)
	for between := range 14 {
		r := judge(t.Context(), settled(t, Trust{Anchors: []*x509.Certificate{root.Certificate}}), long(t, root, between, elliptic.P521()))
		if constrained := strings.Contains(listed(r.Problems), "NAME_CONSTRAINT_VIOLATED@0"); !constrained {
			require.Contains(t, listed(r.Problems), "CHAIN_TOO_LARGE@-1", between)
			require.False(t, r.Overridable(), between)
		}
		require.NotEqual(t, StatusExpired, r.Status)
	}
}

// Every check that is not made is said, whatever the reason.
func TestWhatIsLeftOutIsSaid(t *testing.T) {
	t.Parallel()
	root := tlstest.NewCA(t)
	in := long(t, root, 1, elliptic.P256())
	for name, trust := range map[string]Trust{
		"anchors": {Anchors: []*x509.Certificate{root.Certificate}},
		"pool":    {Roots: distrusting(root)},
	} {
		q := newInquiry(t.Context(), settled(t, trust), in, time.Now())
		p := path{certs: append(in.chain[:3:3], root.Certificate), edges: make([]edge, 3), anchored: true}
		whole := listed(q.diagnose(p, true))
		require.NotContains(t, whole, "CHAIN_TOO_LARGE", name)
		// From nothing up to where all can be afforded, no sum hides a problem in silence.
		silent := 0
		for left := time.Duration(0); left < 10*time.Millisecond; left += standInCost {
			q.left = left
			r := newReport(q.settings)
			r.PeerChain = in.chain
			r.refuse(q.diagnose(p, true)...)
			if !strings.Contains(listed(r.Problems), "CHAIN_TOO_LARGE@-1") {
				require.Equal(t, whole, listed(r.Problems), "%s, %s", name, left)
				silent++
				continue
			}
			require.False(t, r.Overridable())
			if !strings.Contains(listed(r.Problems), "CERTIFICATE_UNTRUSTED") {
				require.Equal(t, StatusUnknown, r.Status)
			}
		}
		require.NotZero(t, silent)
	}
}

// Policies that are asked for are checked, or it is said.
func TestPoliciesThatCannotBeAfforded(t *testing.T) {
	t.Parallel()
	root := tlstest.NewCA(t)
	in := presented(t, root.Leaf(tlstest.Names("victim.example")))
	in.policies.RequireExplicit = true
	q := newInquiry(t.Context(), settled(t, Trust{Anchors: []*x509.Certificate{root.Certificate}}), in, time.Now())
	p := verifiedPath([]*x509.Certificate{in.chain[0], root.Certificate})
	require.Equal(t, "UNSPECIFIED_ERROR@1", listed(q.diagnose(p, true)))
	q.left = 0
	require.Equal(t, "CHAIN_TOO_LARGE@-1", listed(q.diagnose(p, true)))
}

// A limit of the anchor comes before its distrust in Verify, which then says nothing about the latter.
func TestDistrustBehindAPathLength(t *testing.T) {
	t.Parallel()
	root := tlstest.NewCA(t, tlstest.PathLen(0))
	in := presented(t, root.Intermediate().Leaf(tlstest.Names("victim.example")))
	r := judge(t.Context(), settled(t, Trust{Roots: distrusting(root)}), in)
	require.Equal(t, "CHAIN_TOO_LARGE@-1 PATH_LENGTH_EXCEEDED@2", listed(r.Problems))
	require.False(t, r.Overridable())
}

// Authorities of one name, as after a change of keys, are told apart on copies too.
func TestConstraintsAmongNamesakes(t *testing.T) {
	t.Parallel()
	root := tlstest.NewCA(t)
	ca := root.Intermediate(tlstest.PermittedDNS("corp.example"))
	for range 7 {
		ca = ca.Intermediate() // self-issued
	}
	in := presented(t, ca.Leaf(tlstest.Names("victim.example"), tlstest.Expired()))
	s := settled(t, Trust{Anchors: []*x509.Certificate{root.Certificate}})
	q := newInquiry(t.Context(), s, in, time.Now())
	p := path{certs: append(in.chain[:len(in.chain):len(in.chain)], root.Certificate), edges: make([]edge, len(in.chain)), anchored: true}
	require.Equal(t, "CERTIFICATE_EXPIRED@0 NAME_CONSTRAINT_VIOLATED@0", listed(q.diagnose(p, true)))
}

func TestStatusOfAnIncompleteList(t *testing.T) {
	t.Parallel()
	large := tooLarge("too large")
	for want, problem := range map[Status]Problem{
		StatusRevoked:          {Code: CertificateRevoked},
		StatusUntrustedSigners: {Code: CertificateUntrusted, Depth: 2},
	} {
		require.Equal(t, want, statusOf([]Problem{problem, large}))
	}
	for _, problem := range []Problem{{Code: NameConstraintViolated}, {Code: HostNameMismatch}, {Code: CertificateExpired},
		{Code: CertificateNotYetValid}, {Code: CertificateSignatureFailed}, {Code: RevocationUnknown}} {
		require.Equal(t, StatusUnknown, statusOf([]Problem{problem, large}))
	}
}

// The decoys of a server must not make the service forget that it has not seen all.
func TestACutSearchIsNotOverridable(t *testing.T) {
	t.Parallel()
	for name, make := range hostileChains(t) {
		s, in := make()
		r := judge(t.Context(), s, in)
		if r.Status != StatusTrusted && name != "anchors of one name" {
			require.Contains(t, listed(r.Problems), "CHAIN_TOO_LARGE@-1", name)
			require.False(t, r.Overridable(), name)
		}
	}
}
