package tlsengine

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"math/big"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// hostile makes authorities, all of one name, and a leaf below one of them, on the slowest curve.
type hostile struct {
	leaf *x509.Certificate
	cas  []*x509.Certificate
}

// newHostile makes n authorities. Each has its own key, unless they share one: then each has signed every other, and no
// two are alike.
func newHostile(tb testing.TB, n int, shared bool) hostile {
	tb.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P521(), rand.Reader)
	require.NoError(tb, err)
	signer := key
	name := pkix.Name{CommonName: "Same"}
	var h hostile
	for i := range n {
		own := key
		if !shared {
			own, err = ecdsa.GenerateKey(elliptic.P521(), rand.Reader)
			require.NoError(tb, err)
		}
		template := &x509.Certificate{SerialNumber: big.NewInt(int64(i + 1)), Subject: name, NotBefore: time.Now().Add(-time.Hour),
			NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
			DNSNames: []string{fmt.Sprintf("%d.example", i)}} // another name: Verify takes it for another authority
		if !shared {
			template.SubjectKeyId = []byte{byte(i)}
		}
		h.cas = append(h.cas, certify(tb, template, template, own, signer))
		signer = own
	}
	parent := &x509.Certificate{Subject: name}
	if !shared {
		parent.SubjectKeyId = []byte{byte(n - 1)}
	}
	leaf := &x509.Certificate{SerialNumber: big.NewInt(1000), Subject: pkix.Name{CommonName: "Leaf"}, DNSNames: []string{"localhost"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageDigitalSignature}
	h.leaf = certify(tb, leaf, parent, key, signer)
	return h
}

func certify(tb testing.TB, template, parent *x509.Certificate, key, signer *ecdsa.PrivateKey) *x509.Certificate {
	tb.Helper()
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), signer)
	require.NoError(tb, err)
	cert, err := x509.ParseCertificate(der)
	require.NoError(tb, err)
	return cert
}

// hostileChains are what costs plain Verify the hundred checks that it makes at most.
func hostileChains(tb testing.TB) map[string]func() (*settings, evidence) {
	own, shared := newHostile(tb, 120, false), newHostile(tb, 15, true)
	settle := func(trust Trust) *settings {
		s, err := (&Config{VerifyNames: []string{"localhost"}, Trust: trust}).settings()
		require.NoError(tb, err)
		return s
	}
	other := newHostile(tb, 1, false).cas
	return map[string]func() (*settings, evidence){
		"120 keys, configured": func() (*settings, evidence) {
			return settle(Trust{Anchors: other, Intermediates: own.cas}), evidence{chain: []*x509.Certificate{own.leaf}}
		},
		"15 keys, presented": func() (*settings, evidence) {
			return settle(Trust{Anchors: other}), evidence{chain: append([]*x509.Certificate{own.leaf}, own.cas[105:]...)}
		},
		"one key, presented": func() (*settings, evidence) {
			return settle(Trust{Anchors: other}), evidence{chain: append([]*x509.Certificate{shared.leaf}, shared.cas...)}
		},
		"one key, anchored": func() (*settings, evidence) {
			return settle(Trust{Anchors: shared.cas[:1]}), evidence{chain: append([]*x509.Certificate{shared.leaf}, shared.cas[1:]...)}
		},
		"anchors of one name": func() (*settings, evidence) {
			return settle(Trust{Anchors: own.cas}), evidence{chain: []*x509.Certificate{shared.leaf}}
		},
	}
}

// The bound is on estimates, which the benchmark below compares with a clock.
func TestHostileChainsAreNotWorthMuch(t *testing.T) {
	t.Parallel()
	for name, make := range hostileChains(t) {
		s, in := make()
		q := newInquiry(t.Context(), s, in, time.Now())
		host, named := q.name()
		q.find(host, named)
		require.GreaterOrEqual(t, q.left, time.Duration(0), name)
		for subject, certs := range q.bySubject {
			require.LessOrEqual(t, len(certs), maxSiblings, "%s: %q", name, subject)
		}
		require.Less(t, q.searched.checks, 20, name)
	}
}

// Of many authorities of one name the right one is tried first, by its key identifier.
func TestTheRightNamesakeIsFound(t *testing.T) {
	t.Parallel()
	h := newHostile(t, 60, false)
	s, err := (&Config{VerifyNames: []string{"localhost"}, Trust: Trust{Anchors: h.cas[58:59], Intermediates: h.cas}}).settings()
	require.NoError(t, err)
	r := judge(t.Context(), s, evidence{chain: []*x509.Certificate{h.leaf}})
	require.Equal(t, StatusTrusted, r.Status, r.Problems)
	require.Len(t, r.VerifiedChain, 3)
}

func BenchmarkHostileChains(b *testing.B) {
	for name, make := range hostileChains(b) {
		s, in := make()
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				judge(b.Context(), s, in)
			}
		})
	}
}
