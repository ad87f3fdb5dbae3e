package tlsengine

import (
	"crypto/x509"
	"strings"
	"time"
)

// inquiry is one chain with everything that it is judged by.
type inquiry struct {
	leaf          *x509.Certificate
	extra         []*x509.Certificate // presented and configured intermediates, distinct, without the leaf
	roots         *x509.CertPool      // never nil: x509 would take the system's
	intermediates *x509.CertPool
	names         []verifyName
	now           time.Time
}

// judge decides about a chain, leaf first. It never returns nil. It modifies no certificate: crypto/tls shares parsed ones
// between connections.
func judge(s *settings, presented []*x509.Certificate) *Report {
	r := &Report{Status: StatusUnknown, Basis: BasisNone, Time: s.now(), Started: time.Now()}
	defer func() { r.Took = time.Since(r.Started) }()
	r.VerifyName = s.verifyNames[0].wanted

	head, why := withinBounds(presented)
	r.PeerChain = head
	if why != "" {
		r.refuse(Problem{Code: ChainTooLarge, Depth: -1, Message: why,
			Hint: "server: send the leaf and its intermediates, and nothing else"})
		return r
	}
	if len(head) == 0 {
		// Clients never see it: crypto/tls refuses an empty list before the hook.
		r.refuse(Problem{Code: UnspecifiedError, Depth: -1, Message: "the peer sent no certificate",
			Hint: "server: configure a certificate"})
		return r
	}
	q := newInquiry(s, head, r.Time)
	name, named := q.name()
	if named {
		r.VerifyName = name.wanted
	}
	chain, err := q.verify(name)
	if named && err == nil {
		if p, weak := weakKey(q.leaf, 0); weak {
			r.JudgedPath = chain
			r.refuse(p)
			return r
		}
		r.Status, r.Basis = StatusTrusted, BasisValidated
		r.VerifiedChain, r.JudgedPath = chain, chain
		r.Warnings = warnings(chain, r.Time)
		return r
	}
	path := q.path(chain)
	r.JudgedPath = path.certs
	problems := q.diagnose(path, named)
	if len(problems) == 0 {
		problems = []Problem{{Code: UnspecifiedError, Depth: -1, Message: "the chain was refused: " + quote(err.Error()),
			Hint: "server: replace the certificate"}}
	}
	r.refuse(problems...)
	return r
}

func (r *Report) refuse(problems ...Problem) {
	r.Problems = problems
	r.Status = statusOf(problems)
}

func newInquiry(s *settings, presented []*x509.Certificate, now time.Time) *inquiry {
	q := &inquiry{leaf: presented[0], names: s.verifyNames, now: now, intermediates: x509.NewCertPool()}
	q.extra = distinct(presented[:1], presented[1:], s.trust.Intermediates)[1:]
	for _, cert := range q.extra {
		q.intermediates.AddCert(cert)
	}
	q.roots = s.trust.Roots
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

// name returns the first wanted name that the leaf carries.
func (q *inquiry) name() (verifyName, bool) {
	for _, n := range q.names {
		if n.carriedBy(q.leaf) {
			return n, true
		}
	}
	return verifyName{}, false
}

// verify is the verdict. The zero name, and a URI, leave the name out of it: then a success is only worth something to a
// caller that knows the name to be carried.
func (q *inquiry) verify(name verifyName) ([]*x509.Certificate, error) {
	return shortest(q.leaf.Verify(x509.VerifyOptions{
		DNSName:       name.host,
		Roots:         q.roots,
		Intermediates: q.intermediates,
		CurrentTime:   q.now,
		KeyUsages:     []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}))
}

func shortest(chains [][]*x509.Certificate, err error) ([]*x509.Certificate, error) {
	if err != nil {
		return nil, err
	}
	best := chains[0]
	for _, chain := range chains[1:] {
		if len(chain) < len(best) {
			best = chain
		}
	}
	return best, nil
}

// malformedChain recognises the failures by which crypto/tls ends a handshake over a certificate before any hook runs. It
// gives them by text alone; an unknown text is still a failed handshake, only with a poorer reason.
func malformedChain(err error, now time.Time) error {
	text := err.Error()
	for _, known := range []string{
		"tls: failed to parse certificate from server",
		"tls: server sent certificate containing RSA key larger than",
		"tls: server's certificate contains an unsupported type of public key",
	} {
		if strings.HasPrefix(text, known) {
			return &CertificateError{Report: &Report{
				Status: StatusInvalid, Basis: BasisNone, Time: now, Started: time.Now(),
				Problems: []Problem{{Code: MalformedCertificate, Depth: -1,
					Message: "a certificate of the peer cannot be used: " + quote(text),
					Hint:    "server: replace the certificate"}},
			}}
		}
	}
	return nil
}
