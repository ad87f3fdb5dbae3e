package tlsengine

import (
	"context"
	"crypto/x509"
	"slices"

	"securesocket/tlsengine/revocation"
)

// maxNamesakesAsked bounds how often all given CRLs are read again.
const maxNamesakesAsked = 8

// askNamesakes asks the given CRLs about what is still not known with the other certificates of the issuer: an authority
// may sign its CRLs with a key of its own, or go on with the one that it had (RFC 5280, section 6.3.3, f). Such a
// certificate counts when it leads to the same anchor and nothing on its way was revoked or is unknown. Nothing is fetched.
func (q *inquiry) askNamesakes(ctx context.Context, results []revocation.Result, chain []*x509.Certificate) []revocation.Result {
	if len(q.crls) == 0 {
		return results
	}
	results = slices.Clone(results)
	left := maxNamesakesAsked
	for i, result := range results {
		depth := result.Depth
		if result.Outcome != revocation.NotChecked || depth < 0 || depth+1 >= len(chain) {
			continue
		}
		var paths [][]*x509.Certificate
		if err := q.settings.inTurn(ctx, func() { paths = q.namesakes(chain, depth+1) }); err != nil {
			q.refused.CompareAndSwap(nil, &err)
			return results
		}
		for _, path := range paths[:min(left, len(paths))] {
			left--
			answers := (*revocation.Checker)(nil).Check(ctx, revocation.Query{
				Chain: append([]*x509.Certificate{chain[depth]}, path...), CRLs: q.crls, Now: q.now, Turn: q.turn()})
			if len(answers) == 0 || slices.ContainsFunc(answers[1:], func(r revocation.Result) bool { return r.Outcome != revocation.Good }) {
				continue
			}
			if answer := answers[0]; answer.Depth == 0 && answer.Outcome != revocation.NotChecked {
				answer.Depth, answer.StapleRequired = depth, result.StapleRequired
				results[i] = answer
				break
			}
		}
	}
	return results
}

// namesakes are verified paths to the anchor of chain from certificates with the name of the one at depth and other keys.
func (q *inquiry) namesakes(chain []*x509.Certificate, depth int) [][]*x509.Certificate {
	authority, anchor := chain[depth], chain[len(chain)-1]
	opts := q.options(q.roots)
	opts.KeyUsages, opts.Intermediates = []x509.ExtKeyUsage{x509.ExtKeyUsageAny}, q.intermediates()
	var found [][]*x509.Certificate
	for _, cert := range q.bySubject[string(authority.RawSubject)] {
		if string(cert.RawSubjectPublicKeyInfo) == string(authority.RawSubjectPublicKeyInfo) ||
			cert.KeyUsage&x509.KeyUsageCRLSign == 0 || // said in so many words: not whoever got a certificate of that name
			!q.afford(q.verifyCost(cert, q.bySubject)) {
			continue
		}
		paths, err := cert.Verify(opts)
		if err != nil {
			continue
		}
		slices.SortStableFunc(paths, byLength)
		if i := slices.IndexFunc(paths, func(p []*x509.Certificate) bool { return p[len(p)-1].Equal(anchor) }); i >= 0 {
			found = append(found, paths[i])
		}
	}
	return found
}
