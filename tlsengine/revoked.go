package tlsengine

import (
	"cmp"
	"context"
	"crypto/x509"
	"slices"
	"time"

	"securesocket/tlsengine/revocation"
)

// maxChainsAsked bounds the chains that are asked about when the first has a revoked authority.
const maxChainsAsked = 3

// askRevocation asks about a verified chain, outside any turn: it may wait for the network, and takes turns for the rest.
func (q *inquiry) askRevocation(ctx context.Context, r *Report, chain []*x509.Certificate) []revocation.Result {
	if q.mode() == revocation.Off {
		return nil
	}
	began := time.Now()
	if r.RevocationStarted.IsZero() {
		r.RevocationStarted = began
	}
	defer func() { r.RevocationTook += time.Since(began) }()
	return q.askNamesakes(ctx, q.settings.Checker.Check(ctx, q.query(chain)), chain)
}

func (q *inquiry) query(chain []*x509.Certificate) revocation.Query {
	return revocation.Query{Chain: chain, Staple: q.staple, CRLs: q.crls, Now: q.now, Owner: q.settings.Owner, Turn: q.turn()}
}

// turn is the settings' for questions about revocation; nil when there is none. That there was none to be had is remembered:
// without one a revoked certificate in what is at hand would pass for one about which nothing is known.
func (q *inquiry) turn() func(context.Context) (func(), error) {
	if q.settings.Turn == nil {
		return nil
	}
	return func(ctx context.Context) (func(), error) {
		late := ctx.Err() != nil // somebody else took too long
		done, err := q.settings.Turn(ctx)
		if err != nil && !late {
			q.refused.CompareAndSwap(nil, &err)
		}
		return done, err
	}
}

// refusedTurn is why there was no turn, or nil.
func (q *inquiry) refusedTurn() error {
	if err := q.refused.Load(); err != nil {
		return *err
	}
	return nil
}

// revocationProblems judges the answers, revoked certificates first. A certificate without an answer was not checked.
func (q *inquiry) revocationProblems(results []revocation.Result, chain []*x509.Certificate) []Problem {
	if q.mode() == revocation.Off {
		return nil
	}
	problems := revoked(results, chain)
	for depth, cert := range chain[:len(chain)-1] {
		i := slices.IndexFunc(results, func(r revocation.Result) bool { return r.Depth == depth })
		result := revocation.Result{Depth: depth, Outcome: revocation.NotChecked, Detail: "nothing was said about it"}
		if i >= 0 {
			result = results[i]
		}
		subject := quote(subjectText(cert))
		if result.StapleRequired && !q.settings.PeerIsClient { // clients have no way to staple in TLS 1.2
			problems = append(problems, Problem{Code: StapleRequired, Depth: depth, Certificate: cert,
				Message: subject + " asks for a stapled OCSP answer (RFC 7633), and no valid one came with it",
				Hint:    "server: turn on OCSP stapling"})
		}
		if q.mode() == revocation.Hard && result.Outcome != revocation.Good && result.Outcome != revocation.Revoked {
			problems = append(problems, Problem{Code: RevocationUnknown, Depth: depth, Certificate: cert,
				Message: "whether " + subject + " was revoked is not known: " + result.Detail,
				Hint:    "server: staple an OCSP answer; operator: let the service fetch from the authority; caller: or give a CRL"})
		}
	}
	return problems
}

// revoked are the problems of revoked certificates, the leaf's first.
func revoked(results []revocation.Result, chain []*x509.Certificate) []Problem {
	var problems []Problem
	for _, result := range results {
		if result.Outcome != revocation.Revoked || result.Depth < 0 || result.Depth >= len(chain) {
			continue
		}
		cert := chain[result.Depth]
		message := quote(subjectText(cert)) + " was " + cmp.Or(result.Detail, "revoked")
		problems = append(problems, Problem{Code: CertificateRevoked, Depth: result.Depth, Certificate: cert, Message: message,
			Hint: "server: replace the certificate and its key"})
	}
	slices.SortStableFunc(problems, func(a, b Problem) int { return cmp.Compare(a.Depth, b.Depth) })
	return problems
}

// revocationOfRefused completes the list of a chain that is refused already: whoever accepts its problems knows this one
// too. A chain of Verify's, for a wrong name or with a weak key, is asked about like any other. For one that only has its
// signatures in order nothing is fetched: only a verified chain may make the service send anything.
func (q *inquiry) revocationOfRefused(ctx context.Context, r *Report, p path) []Problem {
	if q.mode() == revocation.Off || !p.sound() || len(p.certs) < 2 {
		return nil
	}
	if p.verified {
		r.Revocation = q.askRevocation(ctx, r, p.certs)
	} else {
		r.Revocation = (*revocation.Checker)(nil).Check(ctx, q.query(p.certs))
	}
	return q.revocationProblems(r.Revocation, p.certs)
}
