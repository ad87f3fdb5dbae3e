package revocation

import (
	"crypto/x509"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"
)

// Each list is for one of the certificates.
func TestGivenListsForAllDepths(t *testing.T) {
	t.Parallel()
	above, q := longPath(t, 4, func(int) func(*x509.Certificate) { return func(*x509.Certificate) {} })
	gone := leaf{Certificate: above[2].Certificate}
	q.CRLs = [][]byte{above[3].crl(nil), above[0].crl(nil), {1}, above[1].crl(nil, gone)}
	for depth, one := range (*Checker)(nil).ask(t.Context(), q) {
		r, want := one.result(depth), Good
		require.NotErrorIs(t, errors.Join(one.said...), badSignature, "a list of another authority is not looked at")
		switch q.Chain[depth+1] {
		case above[1].Certificate:
			want = Revoked
		case above[2].Certificate:
			want = NotChecked // there is no list of this authority
		}
		require.Equal(t, want, r.Outcome, "%d: %s", depth, r.Detail)
	}
}

func TestSignaturesOfGivenListsAreBounded(t *testing.T) {
	t.Parallel()
	ca, twin := newAuthority(t), newAuthority(t)
	q := ca.query(ca.leaf(nil))
	for range maxGivenChecks {
		q.CRLs = append(q.CRLs, twin.crl(nil))
	}
	q.CRLs = append(q.CRLs, ca.crl(nil))
	r, said := explained(t, nil, q)
	requireReason(t, tooMuch, r, said)
	q.CRLs = q.CRLs[1:]
	r, _ = explained(t, nil, q)
	require.Equal(t, Good, r.Outcome)
}

// A list of 4 MiB is given for the longest chain, whose authorities all have its issuer's name.
func BenchmarkGivenList(b *testing.B) {
	above, q := longPath(b, 15, func(int) func(*x509.Certificate) {
		return func(c *x509.Certificate) { c.Subject.CommonName = "Test Root" }
	})
	huge := &hugeCRL{ca: above[14], entries: 4 << 20 / hugeEntryBytes}
	var list []byte
	for part := make([]byte, 1<<16); ; {
		n, err := huge.Read(part)
		list = append(list, part[:n]...)
		if err != nil {
			break
		}
	}
	q.CRLs = [][]byte{list}
	b.SetBytes(int64(len(list)))
	for b.Loop() {
		if (*Checker)(nil).Check(b.Context(), q)[0].Outcome != Good {
			b.Fatal("not good")
		}
	}
}
