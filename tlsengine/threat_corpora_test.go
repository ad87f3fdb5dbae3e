package tlsengine

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"securesocket/tlsengine/forge"
	"securesocket/tlsengine/revocation"
	"securesocket/tlsengine/tlstest"
)

// Whoever asks is asked about exactly what strict judging refuses for, and what he answers changes nothing for those who
// come after him, though they share what is remembered of revocation: over the chains of others.
func TestThreat28LenientIsAskedWhatStrictRefuses(t *testing.T) {
	t.Parallel()
	for name, suite := range map[string]func(testing.TB) []vector{"limbo": limbo, "BoringSSL": boringSSL, "PKITS": pkits} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			// Nobody answers: what is remembered of all these chains is why nothing is known.
			shared := revocation.NewChecker(revocation.Config{Fetcher: publishing(nil)})
			asked, trusted := 0, 0
			for i, v := range suite(t) {
				if raceEnabled && i%8 != 0 {
					continue // it takes minutes, and nothing runs beside anything
				}
				modes := []revocation.Mode{v.cfg.Revocation, revocation.Hard}
				if strings.HasPrefix(v.id, "bettertls::") {
					modes = modes[:1] // they are about names and paths alone, and many
				}
				for _, mode := range modes {
					cfg := *v.cfg
					cfg.Revocation = mode
					alone := revocation.NewChecker(revocation.Config{Fetcher: publishing(nil)})
					switch (&vector{id: v.id, cfg: &cfg, chain: v.chain, unusable: v.unusable}).differential(t, alone, shared) {
					case judgedAsked:
						asked++
					case judgedTrusted:
						trusted++
					}
				}
			}
			if !raceEnabled {
				require.Greater(t, asked, 30)
				require.Greater(t, trusted, 5)
			}
		})
	}
}

// The same where an authority answers, so that there is something to remember.
func TestThreat28WhatIsFetchedForTheLenient(t *testing.T) {
	t.Parallel()
	ca := tlstest.NewCA(t)
	point := forge.CRLDistributionPoint("http://crl.example/list")
	leaves := map[string]*tlstest.Identity{
		"without a flaw": ca.Leaf(point), "expired": ca.Leaf(point, tlstest.Expired()),
		"of others": tlstest.NewCA(t).Leaf(point), "for another purpose": ca.Leaf(point, tlstest.ExtKeyUsage(x509.ExtKeyUsageClientAuth)),
	}
	now := time.Now()
	for said, list := range map[string]func(*tlstest.Identity) []byte{
		"nothing": func(*tlstest.Identity) []byte { return ca.CRL(forge.List{}) },
		"revoked": func(id *tlstest.Identity) []byte {
			return ca.CRL(forge.List{Revoked: []*x509.Certificate{id.Leaf}})
		},
		"stale": func(*tlstest.Identity) []byte {
			return ca.CRL(forge.List{ThisUpdate: now.Add(-72 * time.Hour), NextUpdate: now.Add(-24 * time.Hour)})
		},
		"garbage": func(*tlstest.Identity) []byte { return []byte("garbage") },
	} {
		for flaw, id := range leaves {
			for _, mode := range []revocation.Mode{revocation.Off, revocation.Soft, revocation.Hard} {
				times := 0 // a second fetch would come behind the first
				published := publishing(func() []byte { times++; return list(id) })
				shared := revocation.NewChecker(revocation.Config{Fetcher: published})
				v := vector{id: said + " about " + flaw, chain: Chain{Certificates: id.Chain},
					cfg: &Config{VerifyNames: []string{"localhost"}, Revocation: mode, Trust: Trust{Anchors: []*x509.Certificate{ca.Certificate}}}}
				_, err := v.under(t, revocation.NewChecker(revocation.Config{Fetcher: published}), nil)
				require.Equal(t, flaw == "without a flaw" && (mode == revocation.Off || said == "nothing" || mode == revocation.Soft && said != "revoked"), err == nil, v.id)
				asked := times
				v.differential(t, revocation.NewChecker(revocation.Config{Fetcher: published}), shared)
				require.Equal(t, 3*asked, times, "%s: what the first of those who share learnt is remembered", v.id)
				require.Equal(t, mode != revocation.Off && flaw == "without a flaw", asked > 0, "%s: nothing is fetched for a chain that is refused", v.id)
			}
		}
	}
}

// judgedAs is what strict judging makes of a vector.
type judgedAs int

const (
	judgedNot     judgedAs = iota // nobody could configure it
	judgedTrusted                 // nobody is asked
	judgedAsked                   // refused; whoever asks is asked
	judgedFinally                 // refused; nobody is asked, since there may be more to find
)

// differential judges a vector strictly, with a memory of its own, and then with a shared one: twice as one who asks, and
// strictly behind these.
func (v *vector) differential(tb testing.TB, alone, shared *revocation.Checker) judgedAs {
	tb.Helper()
	if _, err := v.settings(v.cfg); v.unusable || errors.As(err, new(*ConfigError)) {
		return judgedNot
	}
	strict, err := v.under(tb, alone, nil)
	again := func() {
		tb.Helper()
		after, afterErr := v.under(tb, shared, nil)
		v.requireSame(tb, strict, after)
		require.IsType(tb, err, afterErr, v.id)
	}
	var questions []*Report
	answering := func(answer error) (*Report, error) {
		tb.Helper()
		return v.under(tb, shared, func(_ context.Context, r *Report) error {
			questions = append(questions, r)
			return answer
		})
	}
	accepted, acceptedErr := answering(nil)
	switch {
	case err == nil:
		require.NoError(tb, acceptedErr, v.id)
		v.requireSame(tb, strict, accepted)
		require.Equal(tb, BasisValidated, accepted.Basis, v.id)
		require.Empty(tb, questions, v.id)
		again()
		return judgedTrusted
	case !strict.Overridable():
		require.IsType(tb, err, acceptedErr, v.id)
		v.requireSame(tb, strict, accepted)
		require.Empty(tb, questions, v.id)
		again()
		return judgedFinally
	}
	require.NoError(tb, acceptedErr, v.id)
	require.Equal(tb, BasisOverride, accepted.Basis, v.id)
	require.Equal(tb, strict.ProblemList(), accepted.ProblemList(), v.id)
	again()
	_, refusal := answering(io.EOF)
	var no *DecisionError
	require.ErrorAs(tb, refusal, &no, v.id)
	require.Len(tb, questions, 2, v.id)
	v.requireSame(tb, strict, no.Report)
	for _, r := range questions {
		v.requireSame(tb, strict, r)
	}
	again()
	return judgedAsked
}

// under judges as a handshake does: by its hook where a peer could send all of the vector.
func (v *vector) under(tb testing.TB, checker *revocation.Checker, ask func(context.Context, *Report) error) (*Report, error) {
	tb.Helper()
	cfg := *v.cfg
	cfg.Checker, cfg.Decide = checker, ask
	s, err := v.settings(&cfg)
	require.NoError(tb, err, v.id)
	cs, sent := v.sent()
	if !sent {
		return decide(tb.Context(), s, v.chain.judge(tb.Context(), s))
	}
	hook := &verdict{ctx: tb.Context(), settings: s}
	err = hook.reach(cs)
	require.Equal(tb, err == nil, hook.stands, v.id)
	return hook.report, err
}

func (v *vector) sent() (cs tls.ConnectionState, ok bool) {
	for _, der := range v.chain.Certificates {
		cert, err := x509.ParseCertificate(der)
		if err != nil {
			return cs, false
		}
		cs.PeerCertificates = append(cs.PeerCertificates, cert)
	}
	p := v.chain.Policies
	return cs, len(v.chain.CRLs) == 0 && len(p.Acceptable) == 0 && !p.RequireExplicit && !p.InhibitAny && !p.InhibitMapping
}

func (v *vector) requireSame(tb testing.TB, want, got *Report) {
	tb.Helper()
	require.Equal(tb, want.Status, got.Status, v.id)
	require.Equal(tb, want.Basis, got.Basis, v.id)
	require.Equal(tb, want.ProblemList(), got.ProblemList(), v.id)
	for _, chains := range [][2][]*x509.Certificate{
		{want.PeerChain, got.PeerChain}, {want.JudgedPath, got.JudgedPath}, {want.VerifiedChain, got.VerifiedChain},
	} {
		require.True(tb, slices.EqualFunc(chains[0], chains[1], (*x509.Certificate).Equal), v.id)
	}
}

// publishing is a Fetcher with one answer for everything; nil: with none.
type publishing func() []byte

func (f publishing) Fetch(context.Context, revocation.Request) (io.ReadCloser, error) {
	if f == nil {
		return nil, errors.New("nobody is there")
	}
	return io.NopCloser(bytes.NewReader(f())), nil
}
