package truststore_test

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"slices"
	"sync"
	"testing"

	"securesocket/tlsengine/tlstest"
	"securesocket/tlsengine/truststore"

	"github.com/stretchr/testify/require"
)

func anchor(ca *tlstest.CA) truststore.Entry {
	return truststore.Entry{Cert: ca.Certificate, Trusted: true}
}

func helper(ca *tlstest.CA) truststore.Entry { return truststore.Entry{Cert: ca.Certificate} }

func TestEmptySet(t *testing.T) {
	t.Parallel()
	var none *truststore.Set
	for _, s := range []*truststore.Set{none, {}, truststore.NewSet()} {
		require.Zero(t, s.Len())
		require.Empty(t, s.Entries())
		require.Empty(t, s.Anchors())
		require.Empty(t, s.Intermediates())
		require.Equal(t, sha256.Sum256(nil), s.SHA256())
		require.NotNil(t, s.Pool(), "Verify takes nil for the machine's anchors")
		require.True(t, s.Pool().Equal(x509.NewCertPool()))
		more, n := s.Add(anchor(tlstest.NewCA(t)))
		require.Equal(t, 1, n)
		require.Equal(t, 1, more.Len())
		require.Zero(t, s.Len())
	}
}

func TestSetAdd(t *testing.T) {
	t.Parallel()
	a, b, c := tlstest.NewCA(t), tlstest.NewCA(t), tlstest.NewCA(t)
	s := truststore.NewSet(anchor(a), helper(b), truststore.Entry{})
	require.Equal(t, []truststore.Entry{anchor(a), helper(b)}, s.Entries())

	same, n := s.Add(helper(a), anchor(a), helper(b))
	require.Same(t, s, same)
	require.Zero(t, n)

	// Another parse of the same bytes is the same certificate.
	reparsed, err := x509.ParseCertificate(b.DER())
	require.NoError(t, err)
	more, n := s.Add(truststore.Entry{Cert: reparsed, Trusted: true}, helper(c), anchor(c))
	require.Equal(t, 2, n, "one is newly trusted, one is new")
	require.Equal(t, []*x509.Certificate{a.Certificate, reparsed, c.Certificate}, more.Anchors())
	require.Empty(t, more.Intermediates())
	require.Equal(t, []truststore.Entry{anchor(a), helper(b)}, s.Entries(), "the first set is as it was")
}

// From few certificates to more than few, one by one and all at once, with each of them found.
func TestSetGrows(t *testing.T) {
	t.Parallel()
	entries := make([]truststore.Entry, 20)
	for i := range entries {
		entries[i] = helper(tlstest.NewCA(t))
	}
	var byOne *truststore.Set
	for i, e := range entries {
		var n int
		byOne, n = byOne.Add(e)
		require.Equal(t, 1, n)
		for _, have := range entries[:i+1] {
			same, n := byOne.Add(have)
			require.Zero(t, n)
			require.Same(t, byOne, same)
		}
	}
	require.Equal(t, entries, byOne.Entries())
	half := truststore.NewSet(entries[:7]...)
	all, n := half.Add(append(entries, entries...)...)
	require.Equal(t, 13, n)
	require.Equal(t, entries, all.Entries())
	require.Equal(t, 7, half.Len())
}

func TestSetPool(t *testing.T) {
	t.Parallel()
	a, b, c := tlstest.NewCA(t), tlstest.NewCA(t), tlstest.NewCA(t)
	want := func(cas ...*tlstest.CA) *x509.CertPool {
		pool := x509.NewCertPool()
		for _, ca := range cas {
			pool.AddCert(ca.Certificate)
		}
		return pool
	}
	one := truststore.NewSet(anchor(a), helper(b))
	two, _ := one.Add(anchor(c))
	three, _ := two.Add(anchor(b))
	require.True(t, three.Pool().Equal(want(a, b, c)))
	require.True(t, two.Pool().Equal(want(a, c)))
	require.True(t, one.Pool().Equal(want(a)), "the pool of the first is not touched by the others")
	require.Same(t, one.Pool(), one.Pool())
	require.Same(t, three.Pool(), three.Pool())
}

func TestSetConstraint(t *testing.T) {
	t.Parallel()
	ca := tlstest.NewCA(t)
	leaf := ca.Leaf().Leaf
	distrusted := errors.New("distrusted")
	never := truststore.Entry{Cert: ca.Certificate, Trusted: true,
		Constraint: func([]*x509.Certificate) error { return distrusted }}
	verify := func(s *truststore.Set) error {
		_, err := leaf.Verify(x509.VerifyOptions{Roots: s.Pool(), DNSName: "localhost"})
		return err
	}
	require.NoError(t, verify(truststore.NewSet(anchor(ca))))
	s := truststore.NewSet(never)
	require.Error(t, verify(s))

	// The constraint holds in what is made from the set, and adding the anchor once more does not take it off.
	s, n := s.Add(anchor(ca), anchor(tlstest.NewCA(t)))
	require.Equal(t, 1, n)
	require.Error(t, verify(s))
	level, _ := truststore.Level{}.Add(anchor(ca))
	require.Error(t, verify(level.Over(s)))

	// One that only helped gets the constraint of whoever makes it an anchor.
	s, _ = truststore.NewSet(helper(ca)).Add(never)
	require.Error(t, verify(s))
}

func TestSetHash(t *testing.T) {
	t.Parallel()
	a, b := tlstest.NewCA(t), tlstest.NewCA(t)
	sums := [][]byte{}
	for _, ca := range []*tlstest.CA{a, b} {
		sum := sha256.Sum256(ca.DER())
		sums = append(sums, sum[:])
	}
	slices.SortFunc(sums, bytes.Compare)
	want := sha256.Sum256(slices.Concat(sums...))
	require.Equal(t, want, truststore.NewSet(anchor(a), anchor(b)).SHA256())
	require.Equal(t, want, truststore.NewSet(anchor(b), helper(tlstest.NewCA(t)), anchor(a)).SHA256())
	require.NotEqual(t, want, truststore.NewSet(anchor(a), helper(b)).SHA256())
}

func TestSetConcurrent(t *testing.T) {
	t.Parallel()
	base := truststore.NewSet(anchor(tlstest.NewCA(t)))
	extra := tlstest.NewCA(t)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			s, _ := base.Add(anchor(extra))
			_, _ = s.Pool(), s.SHA256()
			_, _ = base.Pool(), base.SHA256()
		})
	}
	wg.Wait()
	require.Len(t, base.Anchors(), 1)
}
