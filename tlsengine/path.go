package tlsengine

import (
	"bytes"
	"crypto/x509"
	"slices"
	"time"
)

// Bounds on the search; each alone stops it. Visits need one of their own: signatures are remembered, so that their
// number alone does not bound the paths through many certificates of one name.
const (
	maxPathLength     = 20
	maxPathSignatures = 100
	maxPathVisits     = 1000
	maxCompletePaths  = 8
)

// Scores of a path; the lowest wins.
const (
	scoreUnanchored = 10000
	scoreBadEdge    = 3000
	scoreDefect     = 100
)

// path is what a chain is judged by, leaf first.
type path struct {
	certs    []*x509.Certificate
	edges    []edge // edges[i] is the signature of certs[i] by certs[i+1]
	anchored bool   // the last certificate is an anchor
	verified bool   // it is a chain of Verify's
	cut      bool   // the search that it comes from left something out
}

func verifiedPath(chain []*x509.Certificate) path {
	return path{certs: chain, edges: make([]edge, len(chain)-1), anchored: true, verified: true}
}

// sound reports whether every signature is good, up to an anchor.
func (p path) sound() bool {
	return p.anchored && !slices.ContainsFunc(p.edges, func(e edge) bool { return e != edgeGood })
}

// path returns the path that comes closest to an anchor.
func (q *inquiry) path() path {
	if q.afford(q.verifyCost(q.leaf, q.bySubject)) {
		// Without the leaf's own faults Verify may still build it, and better than we do.
		opts := q.options(q.roots)
		opts.KeyUsages, opts.Intermediates = []x509.ExtKeyUsage{x509.ExtKeyUsageAny}, q.intermediates()
		if chains, err := neutral(q.leaf, q.now).Verify(opts); err == nil {
			p := verifiedPath(append([]*x509.Certificate{q.leaf}, slices.MinFunc(chains, byLength)[1:]...))
			p.verified = false
			return p
		}
	}
	return q.search().best
}

func (q *inquiry) search() *pathFinder {
	if q.searched != nil {
		return q.searched
	}
	f := &pathFinder{q: q, bestScore: 1 << 30, left: min(maxSearchCost, q.left), anchors: make(map[*x509.Certificate]issuance),
		memo: make(map[[2]*x509.Certificate]edge)}
	had := f.left
	f.walk(path{certs: []*x509.Certificate{q.leaf}}, 0)
	f.best.cut = f.cut
	q.left -= had - f.left
	q.searched = f
	return f
}

// pathFinder searches depth first, good signatures before bad ones.
type pathFinder struct {
	q         *inquiry
	anchors   map[*x509.Certificate]issuance
	memo      map[[2]*x509.Certificate]edge // child, issuer
	left      time.Duration                 // what may still be spent on signatures
	checks    int
	visits    int
	cut       bool // a bound left something out
	best      path
	bestScore int
	complete  []path // sound ones, as they were found
}

type issuance struct {
	issuer *x509.Certificate
	edge   edge
}

func (f *pathFinder) walk(p path, score int) {
	f.visits++
	child := p.certs[len(p.certs)-1]
	score += 1
	if f.visits > maxPathVisits || len(p.certs) >= maxPathLength {
		f.cut = true
		f.finish(p, score+scoreUnanchored)
		return
	}
	anchor := f.anchorOf(child)
	if anchor.issuer == child {
		p.anchored = true
		f.finish(p, score)
		return
	}
	good, bad := f.issuersOf(child)
	on := false // the path goes on beyond child
	if anchor.issuer != nil && !contains(p.certs, anchor.issuer) {
		if anchor.edge == edgeGood {
			on = true
			f.finish(f.extend(p, anchor, true), score+f.cost(anchor))
		} else {
			bad = append(bad, anchor)
		}
	}
	for _, next := range good {
		if !contains(p.certs, next.issuer) {
			on = true
			f.walk(f.extend(p, next, false), score+f.cost(next))
		}
	}
	// A bad signature leads on only where nothing better does: an authority of our anchor's name that signed itself, or was
	// signed by its own kind, is not our anchor gone wrong.
	if !on && !f.selfSigned(child) {
		for _, next := range bad {
			if contains(p.certs, next.issuer) {
				continue
			}
			on = true
			if next == anchor {
				f.finish(f.extend(p, next, true), score+f.cost(next))
			} else {
				f.walk(f.extend(p, next, false), score+f.cost(next))
			}
		}
	}
	if !on {
		f.finish(p, score+scoreUnanchored)
	}
}

func (f *pathFinder) finish(p path, score int) {
	if score < f.bestScore {
		f.best, f.bestScore = p, score
	}
	if !p.sound() {
		return
	}
	if len(f.complete) == maxCompletePaths {
		f.cut = true
		return
	}
	f.complete = append(f.complete, p)
}

// extend copies: siblings share the head of a path.
func (f *pathFinder) extend(p path, next issuance, anchored bool) path {
	n := len(p.certs)
	return path{
		certs:    append(p.certs[:n:n], next.issuer),
		edges:    append(p.edges[:n-1:n-1], next.edge),
		anchored: anchored,
	}
}

func (f *pathFinder) cost(next issuance) int {
	cost := 0
	if next.edge != edgeGood {
		cost += scoreBadEdge
	}
	if outside(next.issuer, f.q.now) {
		cost += scoreDefect
	}
	if !next.issuer.IsCA {
		cost += scoreDefect
	}
	return cost
}

// spend charges a check, and reports whether there was enough left for it.
func (f *pathFinder) spend(cost time.Duration) bool {
	if f.checks >= maxPathSignatures || cost > f.left || f.q.stopped() {
		f.cut = true
		return false
	}
	f.checks++
	f.left -= cost
	return true
}

func (f *pathFinder) anchorOf(child *x509.Certificate) issuance {
	if known, ok := f.anchors[child]; ok {
		return known
	}
	if !f.spend(2 * f.q.anchorCost(child)) {
		return issuance{}
	}
	issuer, how := f.q.anchorOf(child)
	f.anchors[child] = issuance{issuer, how}
	return f.anchors[child]
}

// issuersOf asks those whose key identifier differs only when no other has signed: it is a hint, and a signature costs.
func (f *pathFinder) issuersOf(child *x509.Certificate) (good, bad []issuance) {
	for _, fits := range []bool{true, false} {
		for _, issuer := range f.q.bySubject[string(child.RawIssuer)] {
			if issuer == child || mayIssue(issuer, child) != fits {
				continue
			}
			if how := f.edge(child, issuer); how == edgeGood {
				good = append(good, issuance{issuer, how})
			} else if fits {
				bad = append(bad, issuance{issuer, how})
			}
		}
		if len(good) > 0 {
			break
		}
	}
	return good, bad
}

func (f *pathFinder) edge(child, issuer *x509.Certificate) edge {
	key := [2]*x509.Certificate{child, issuer}
	if known, ok := f.memo[key]; ok {
		return known
	}
	if !f.spend(checkCost(issuer)) {
		return edgeBad
	}
	f.memo[key] = signatureEdge(child, issuer)
	return f.memo[key]
}

// selfSigned takes a weak signature for a good one: nothing rests on it.
func (f *pathFinder) selfSigned(cert *x509.Certificate) bool {
	return bytes.Equal(cert.RawSubject, cert.RawIssuer) && mayIssue(cert, cert) && f.edge(cert, cert) != edgeBad
}

func contains(certs []*x509.Certificate, cert *x509.Certificate) bool {
	for _, c := range certs {
		if c.Equal(cert) {
			return true
		}
	}
	return false
}
