package tlsengine

import (
	"bytes"
	"crypto/x509"
	"time"
)

// Bounds on the search; each alone stops it. Visits need one of their own: signatures are remembered, so that their
// number alone does not bound the paths through many certificates of one name.
const (
	maxPathLength      = 20
	maxPathTime        = 250 * time.Millisecond // explaining is not worth more of a caller-chosen chain
	maxPathSignatures  = 100
	maxPathVisits      = 1000
	maxSubjectSiblings = 8
)

// Scores of a path; the lowest wins.
const (
	scoreUnanchored = 10000
	scoreBadEdge    = 3000
	scoreDefect     = 100
)

// path is what a refused chain is judged by, leaf first.
type path struct {
	certs    []*x509.Certificate
	edges    []edge // edges[i] is the signature of certs[i] by certs[i+1]
	anchored bool   // the last certificate is an anchor
}

// path returns the chain that Verify built, or else the path that comes closest to an anchor.
func (q *inquiry) path(verified []*x509.Certificate) path {
	if verified == nil {
		// Without the leaf's own faults Verify may still build it, and better than we do.
		leaf := neutral(q.leaf, q.now)
		chain, err := shortest(leaf.Verify(x509.VerifyOptions{
			Roots:         q.roots,
			Intermediates: q.intermediates,
			CurrentTime:   q.now,
			KeyUsages:     []x509.ExtKeyUsage{x509.ExtKeyUsageAny},
		}))
		if err == nil {
			verified = append([]*x509.Certificate{q.leaf}, chain[1:]...)
		}
	}
	if verified != nil {
		return path{certs: verified, edges: make([]edge, len(verified)-1), anchored: true}
	}
	f := &pathFinder{q: q, began: time.Now(), bestScore: 1 << 30, anchors: make(map[*x509.Certificate]issuance),
		memo: make(map[[2]*x509.Certificate]edge), bySubject: make(map[string][]*x509.Certificate)}
	for _, cert := range q.extra {
		if same := f.bySubject[string(cert.RawSubject)]; len(same) < maxSubjectSiblings {
			f.bySubject[string(cert.RawSubject)] = append(same, cert)
		}
	}
	f.walk(path{certs: []*x509.Certificate{q.leaf}}, 0)
	return f.best
}

// pathFinder searches depth first, good signatures before bad ones.
type pathFinder struct {
	q         *inquiry
	bySubject map[string][]*x509.Certificate
	anchors   map[*x509.Certificate]issuance
	memo      map[[2]*x509.Certificate]edge // child, issuer
	checks    int
	began     time.Time
	visits    int
	best      path
	bestScore int
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
	if f.q.now.Before(next.issuer.NotBefore) || f.q.now.After(next.issuer.NotAfter) {
		cost += scoreDefect
	}
	if !next.issuer.IsCA {
		cost += scoreDefect
	}
	return cost
}

// spent charges a check, and says that there is nothing left to spend.
func (f *pathFinder) spent() bool {
	f.checks++
	return f.checks > maxPathSignatures || time.Since(f.began) > maxPathTime
}

func (f *pathFinder) anchorOf(child *x509.Certificate) issuance {
	if known, ok := f.anchors[child]; ok {
		return known
	}
	if f.spent() {
		return issuance{}
	}
	issuer, how := f.q.anchorOf(child)
	f.anchors[child] = issuance{issuer, how}
	return f.anchors[child]
}

func (f *pathFinder) issuersOf(child *x509.Certificate) (good, bad []issuance) {
	for _, issuer := range f.bySubject[string(child.RawIssuer)] {
		if issuer == child {
			continue
		}
		switch how := f.edge(child, issuer); {
		case how == edgeGood:
			good = append(good, issuance{issuer, how})
		case mayIssue(issuer, child):
			bad = append(bad, issuance{issuer, how})
		}
	}
	return good, bad
}

func (f *pathFinder) edge(child, issuer *x509.Certificate) edge {
	key := [2]*x509.Certificate{child, issuer}
	if known, ok := f.memo[key]; ok {
		return known
	}
	if f.spent() {
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
