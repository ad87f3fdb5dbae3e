package revocation

import (
	"context"
	"crypto/x509"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/ocsp"
)

// Threat 14. A list that has one serial number several times: whatever else it says of it, in whatever order, it is
// revoked, by the walk through the list and by the index that is kept.
func TestThreat14DuplicateSerials(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t)
	gone, back, here := ca.leaf(withCRL(crlURL)), ca.leaf(withCRL(crlURL)), ca.leaf(withCRL(crlURL))
	entry := func(l leaf, code int) x509.RevocationListEntry {
		return x509.RevocationListEntry{SerialNumber: l.SerialNumber, RevocationTime: ca.now.Add(-48 * time.Hour), ReasonCode: code}
	}
	twice := []x509.RevocationListEntry{entry(back, removeFromCRL), entry(gone, removeFromCRL), entry(gone, 1), entry(gone, removeFromCRL), entry(gone, 6)}
	for range len(twice) {
		twice = append(twice[1:], twice[0]) // each of them is the first once
		list := ca.crl(func(l *x509.RevocationList) { l.RevokedCertificateEntries = slices.Clone(twice) })
		kept := NewChecker(Config{Fetcher: &serves{answers: map[string][]byte{crlURL: list}}})
		for range 2 { // the second time by the index
			for _, ask := range []struct {
				leaf leaf
				want Outcome
			}{{gone, Revoked}, {back, Good}, {here, Good}} {
				r, said := explained(t, kept, ca.query(ask.leaf))
				require.Equal(t, ask.want, r.Outcome, said)
				q := ca.query(ask.leaf)
				q.CRLs = [][]byte{list}
				r, said = explained(t, nil, q)
				require.Equal(t, ask.want, r.Outcome, said)
			}
		}
	}
}

// Threat 14. No flaw of a list hides that another one revokes, and none makes a revocation of what is not listed.
func TestThreat14FlawedListsHideNothing(t *testing.T) {
	t.Parallel()
	const day = 24 * time.Hour
	ca, namesake := newAuthority(t), newAuthority(t)
	gone, here := ca.leaf(nil), ca.leaf(nil)
	spoilt := ca.crl(nil, here)
	spoilt[len(spoilt)-1] ^= 1
	flawed := map[string][]byte{
		"another key of the same name": namesake.crl(nil, here),
		"spoilt signature":             spoilt,
		"expired": ca.crl(func(l *x509.RevocationList) {
			l.ThisUpdate, l.NextUpdate = ca.now.Add(-2*day), ca.now.Add(-day)
		}),
		"of tomorrow": ca.crl(func(l *x509.RevocationList) {
			l.ThisUpdate, l.NextUpdate = ca.now.Add(day), ca.now.Add(2*day)
		}),
		"unknown critical extension": ca.crl(crlExtension(extra(oidNobodys, true, []byte{5, 0}))),
		"indirect":                   ca.crl(crlExtension(idp(t, nil, 4))),
		"garbage":                    []byte("garbage"),
	}
	for name, list := range flawed {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, lists := range [][][]byte{{list, ca.crl(nil, gone)}, {ca.crl(nil, gone), list}} {
				for l, want := range map[leaf]Outcome{gone: Revoked, here: Good} {
					q := ca.query(l)
					q.CRLs = lists
					r, said := explained(t, nil, q)
					require.Equal(t, want, r.Outcome, said)
				}
			}
			q := ca.query(here)
			q.CRLs = [][]byte{list}
			r, _ := explained(t, nil, q)
			require.Equal(t, NotChecked, r.Outcome, "alone it is neither good nor revoked")
		})
	}
}

// Threat 15. An answer from when the certificate was good, shown again later: it counts while it says so itself, and not
// a second beyond; and once the responder has said revoked, nobody asks for the old answer.
func TestThreat15ReplayedAnswers(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t)
	l := ca.leaf(withOCSP(ocspURL))
	good := ca.ocsp(l, nil) // without a nonce, good for a day
	responder := &serves{answers: map[string][]byte{ocspURL: good}}
	checker := NewChecker(Config{Fetcher: responder})
	q := ca.query(l)
	for _, step := range []struct {
		after time.Duration
		want  Outcome
	}{{0, Good}, {24*time.Hour - time.Second, Good}, {24*time.Hour + time.Second, NotChecked}, {30 * 24 * time.Hour, NotChecked}} {
		q.Now = ca.now.Add(step.after)
		for _, by := range []*Checker{nil, checker} { // as a staple, and fetched
			q.Staple = nil
			if by == nil {
				q.Staple = good
			}
			r, said := explained(t, by, q)
			require.Equal(t, step.want, r.Outcome, "%s: %v", step.after, said)
			if step.want == NotChecked {
				requireReason(t, outOfDate, r, said)
			}
		}
	}

	// Revoked is remembered while it is valid, whatever the network serves then.
	second := ca.leaf(withOCSP(ocspURL))
	responder = &serves{answers: map[string][]byte{ocspURL: ca.ocsp(second, revokedOCSP)}}
	checker = NewChecker(Config{Fetcher: responder})
	for range 3 {
		r, _ := explained(t, checker, ca.query(second))
		require.Equal(t, Revoked, r.Outcome)
		responder.answers[ocspURL] = ca.ocsp(second, nil)
	}
	require.EqualValues(t, 1, responder.fetches.Load())
}

// Threat 15. A responder that only ever says tryLater, or refuses otherwise: a thousand questions are one fetch every few
// minutes, and none of them is answered with good.
func TestThreat15TryLaterStorm(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t)
	for name, answer := range map[string][]byte{
		"tryLater": ocsp.TryLaterErrorResponse, "internalError": ocsp.InternalErrorErrorResponse, "unauthorized": ocsp.UnauthorizedErrorResponse,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := ca.leaf(withOCSP(ocspURL))
			responder := &serves{answers: map[string][]byte{ocspURL: answer}}
			checker := NewChecker(Config{Fetcher: responder})
			q := ca.query(l)
			for i := range 1000 {
				q.Now = ca.now.Add(time.Duration(i) * time.Minute / 100) // ten minutes in all
				r, said := explained(t, checker, q)
				requireReason(t, responderRefused, r, said)
			}
			require.LessOrEqual(t, responder.fetches.Load(), int32(11), "one a minute at most")

			// When it answers at last, it is believed.
			responder.answers[ocspURL] = ca.ocsp(l, func(r *ocsp.Response) { r.NextUpdate = ca.now.Add(48 * time.Hour) })
			q.Now = q.Now.Add(negativeMax)
			r, said := explained(t, checker, q)
			require.Equal(t, Good, r.Outcome, said)
		})
	}
}

// Threat 15. Many who ask at once of a responder that refuses share its refusal.
func TestThreat15StormAtOnce(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t)
	l := ca.leaf(withOCSP(ocspURL))
	const askers = 200
	let := make(chan struct{})
	var fetches int // one flight at a time
	checker := NewChecker(Config{Fetcher: fetcherFunc(func(ctx context.Context, _ Request) ([]byte, error) {
		fetches++
		select {
		case <-let:
		case <-ctx.Done():
		}
		return ocsp.TryLaterErrorResponse, nil
	})})
	outcomes := make(chan Outcome, askers)
	for range askers {
		go func() { outcomes <- checker.Check(t.Context(), ca.query(l))[0].Outcome }()
	}
	close(let)
	for range askers {
		require.Equal(t, NotChecked, <-outcomes)
	}
	require.Equal(t, 1, fetches)
}
