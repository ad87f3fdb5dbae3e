package tlsengine

import (
	"cmp"
	"context"
	"crypto/x509"
	"errors"
	"slices"
	"sync/atomic"
	"time"

	"securesocket/tlsengine/revocation"
)

// evidence is what is at hand about one chain.
type evidence struct {
	chain    []*x509.Certificate // as presented, leaf first
	staple   []byte              // OCSP response; nil: none came
	scts     [][]byte            // which nobody looks at
	crls     [][]byte            // DER
	unparsed []string            // presented certificates that could not be read and are not in chain: which, and why
	policies Policies
}

// inquiry is one chain with everything that it is judged by. Nothing in it changes but what is left to spend, and refused,
// which a fetch may set that outlives the judgement.
type inquiry struct {
	settings *settings
	evidence
	leaf      *x509.Certificate
	now       time.Time
	base      *x509.CertPool                 // nil: none
	anchors   map[string][]*x509.Certificate // those beside base, by subject
	roots     *x509.CertPool                 // both; never nil: x509 would take the system's
	bySubject map[string][]*x509.Certificate // intermediates that can play a part
	stopped   func() bool                    // whoever asked has gone
	left      time.Duration                  // what may still be spent on signatures
	searched  *pathFinder                    // nil: not yet
	refused   atomic.Pointer[error]          // why a question about revocation got no turn; nil: it did
}

func newInquiry(ctx context.Context, s *settings, in evidence, now time.Time) *inquiry {
	q := &inquiry{settings: s, evidence: in, leaf: in.chain[0], now: now, base: s.trust.Roots,
		anchors: bySubject(s.trust.Anchors), left: maxCost, stopped: func() bool { return ctx.Err() != nil }}
	q.bySubject = candidates(q.leaf, in.chain[1:], s.trust.Intermediates, now)
	q.roots = q.base
	if q.roots == nil {
		q.roots = x509.NewCertPool()
	}
	if len(s.trust.Anchors) > 0 {
		q.roots = q.roots.Clone()
		for _, anchor := range s.trust.Anchors {
			q.roots.AddCert(anchor)
		}
	}
	return q
}

// name returns the first wanted name that the leaf carries; the zero name, which every leaf carries, when none is wanted.
func (q *inquiry) name() (verifyName, bool) {
	for _, n := range q.settings.verifyNames {
		if n.carriedBy(q.leaf) {
			return n, true
		}
	}
	return verifyName{}, len(q.settings.verifyNames) == 0
}

var errTooCostly = errors.New("tlsengine: verifying would cost too much")

// verify is the verdict: all chains, the shortest first. The zero name, and a URI, leave the name out of it: then a success
// is only worth something to a caller that knows the name to be carried.
func (q *inquiry) verify(name verifyName) ([][]*x509.Certificate, error) {
	if !q.afford(q.verifyCost(q.leaf, q.bySubject)) {
		return q.verifySparingly(name)
	}
	opts := q.options(q.roots)
	opts.DNSName, opts.Intermediates = name.host, q.intermediates()
	chains, err := q.leaf.Verify(opts)
	slices.SortStableFunc(chains, byLength)
	return chains, err
}

// verifySparingly is for more certificates of one name than Verify can be given: it remembers no signature that it has
// checked. It is asked about whole paths instead, whose signatures are known to be good. Unless one is accepted, the error
// wraps errTooCostly when any was left out.
func (q *inquiry) verifySparingly(name verifyName) ([][]*x509.Certificate, error) {
	var good [][]*x509.Certificate
	var last error = x509.UnknownAuthorityError{Cert: q.leaf}
	leftOut := q.search().cut
	for _, p := range q.search().complete {
		top := len(p.certs) - 1
		intermediates := p.certs[min(1, top):top]
		if !q.afford(q.verifyCost(q.leaf, bySubject(intermediates))) {
			leftOut = true
			continue
		}
		opts := q.options(q.rootsOf(p.certs[top]))
		opts.DNSName = name.host
		for _, cert := range intermediates {
			opts.Intermediates.AddCert(cert)
		}
		chains, err := q.leaf.Verify(opts)
		if err != nil {
			last = err
		}
		good = append(good, chains...)
	}
	slices.SortStableFunc(good, byLength)
	switch {
	case len(good) > 0:
		return good, nil
	case leftOut:
		return nil, errors.Join(errTooCostly, last)
	}
	return nil, last
}

func (q *inquiry) intermediates() *x509.CertPool {
	pool := x509.NewCertPool()
	for _, certs := range q.bySubject {
		for _, cert := range certs {
			pool.AddCert(cert)
		}
	}
	return pool
}

// rootsOf is a pool that has the anchor, and no more of its name than need be.
func (q *inquiry) rootsOf(anchor *x509.Certificate) *x509.CertPool {
	if contains(q.anchors[string(anchor.RawSubject)], anchor) {
		pool := x509.NewCertPool()
		pool.AddCert(anchor)
		return pool
	}
	return q.roots // whose anchors may have constraints of their own
}

// options are Verify's, without a name and without intermediates.
func (q *inquiry) options(roots *x509.CertPool) x509.VerifyOptions {
	usage := x509.ExtKeyUsageServerAuth
	if q.settings.PeerIsClient {
		usage = x509.ExtKeyUsageClientAuth
	}
	return x509.VerifyOptions{
		Roots:               roots,
		Intermediates:       x509.NewCertPool(),
		CurrentTime:         q.now,
		KeyUsages:           []x509.ExtKeyUsage{usage},
		CertificatePolicies: q.policies.Acceptable,
	}
}

func byLength(a, b []*x509.Certificate) int { return cmp.Compare(len(a), len(b)) }

// mode is the one for revocation; Off when none was set.
func (q *inquiry) mode() revocation.Mode { return max(q.settings.Config.Revocation, revocation.Off) }
