package tlsengine

import (
	"cmp"
	"context"
	"crypto/x509"
	"errors"
	"slices"
	"strings"
	"time"

	"securesocket/tlsengine/revocation"
)

// evidence is what is at hand about one chain.
type evidence struct {
	chain    []*x509.Certificate // as presented, leaf first
	staple   []byte              // OCSP response; nil: none came
	crls     [][]byte            // DER
	unparsed []string            // presented certificates that could not be read and are not in chain: which, and why
	policies Policies
}

// inquiry is one chain with everything that it is judged by. Nothing in it changes but what is left to spend.
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
}

// judge decides about a chain. It never returns nil, and modifies no certificate: crypto/tls shares parsed ones between
// connections. When ctx ends first, or there is no turn to be had, the report says UNKNOWN and r.failed why.
func judge(ctx context.Context, s *settings, in evidence) *Report {
	r := newReport(s)
	defer func() {
		if s.PeerIsClient {
			r.addressClient()
		}
		r.Took = time.Since(r.Started) - r.RevocationTook
	}()
	if !r.admit(in) {
		return r
	}
	in.chain = r.PeerChain

	done := func() {}
	if s.Turn != nil {
		var err error
		if done, err = s.Turn(ctx); err != nil {
			r.fail(err)
			return r
		}
	}
	q := newInquiry(ctx, s, in, r.Time)
	name, named := q.name()
	if name.wanted != "" && named {
		r.VerifyName = name.wanted
	}
	f := q.find(name, named)
	done()
	if ctx.Err() != nil {
		r.fail(context.Cause(ctx))
		return r
	}
	r.conclude(ctx, q, f)
	return r
}

// finding is what is known of a chain when only revocation has not been asked about yet.
type finding struct {
	clean    [][]*x509.Certificate // verified and without a problem, the shortest first
	path     path                  // when there is none
	problems []Problem
}

// find does all that needs the CPU and no network.
func (q *inquiry) find(name verifyName, named bool) finding {
	var f finding
	chains, err := q.verify(name)
	for i, chain := range chains {
		p := verifiedPath(chain)
		problems := q.diagnose(p, named)
		if len(problems) == 0 {
			f.clean = append(f.clean, chain)
		} else if i == 0 {
			f.path, f.problems = p, problems
		}
	}
	if len(f.clean) > 0 || err == nil {
		return f
	}
	f.path = q.path()
	f.problems = q.diagnose(f.path, named)
	switch {
	case f.path.cut && errors.Is(err, errTooCostly):
		f.problems = append(f.problems, Problem{Code: ChainTooLarge, Depth: -1,
			Message: "there are too many certificates of one name to try them all",
			Hint:    "server: send the leaf and its intermediates, and nothing else"})
	case len(f.problems) == 0:
		f.problems = append(f.problems, Problem{Code: UnspecifiedError, Depth: -1,
			Message: "the chain was refused: " + quote(err.Error()), Hint: "server: replace the certificate"})
	}
	for _, text := range q.unparsed {
		f.problems = append(f.problems, malformed(-1, text))
	}
	return f
}

// conclude asks about revocation and fills in the rest of the report.
func (r *Report) conclude(ctx context.Context, q *inquiry, f finding) {
	for i, chain := range f.clean {
		if i == maxChainsAsked {
			break
		}
		asked := q.askRevocation(ctx, r, chain)
		problems := q.revocationProblems(asked, chain)
		if i == 0 || len(problems) == 0 {
			r.Revocation, r.JudgedPath = asked, chain
			f.problems = problems
		}
		if len(problems) == 0 {
			r.Status, r.Basis = StatusTrusted, BasisValidated
			r.VerifiedChain = chain
			r.Warnings = q.warnings(chain, asked)
			return
		}
		if problems[0].Depth == 0 {
			break // another chain has the same leaf
		}
	}
	if len(f.clean) == 0 {
		r.JudgedPath = f.path.certs
		f.problems = append(f.problems, q.revokedAnyway(ctx, r, f.path)...)
	}
	r.refuse(f.problems...)
}

func (r *Report) refuse(problems ...Problem) {
	r.Problems = problems
	r.Status = statusOf(problems)
}

// fail ends a judgement that could not be made.
func (r *Report) fail(err error) {
	r.failed = err
	r.Problems = []Problem{{Code: UnspecifiedError, Depth: -1, Message: "the certificate was not judged: " + quote(err.Error()),
		Hint: "caller: try again; operator: give the service more CPU"}}
	r.Status = StatusUnknown
}

// addressClient turns hints for a server into hints for the client whose chain it is.
func (r *Report) addressClient() {
	for i := range r.Problems {
		r.Problems[i].Hint = strings.ReplaceAll(r.Problems[i].Hint, "server: ", "client: ")
	}
}

// admit fills in what was presented, and refuses what is not worth judging.
func (r *Report) admit(in evidence) bool {
	sizes := make([]int, len(in.chain))
	for i, cert := range in.chain {
		sizes[i] = len(cert.Raw)
	}
	n, why := withinBounds(sizes)
	r.PeerChain = in.chain[:n:n]
	switch {
	case why != "":
		r.refuse(tooLarge(why))
	case n == 0:
		// Clients never see it: crypto/tls refuses an empty list before the hook.
		r.refuse(Problem{Code: NoPeerCertificate, Depth: -1, Message: "the peer sent no certificate",
			Hint: "server: configure a certificate"})
	default:
		return true
	}
	return false
}

func tooLarge(why string) Problem {
	return Problem{Code: ChainTooLarge, Depth: -1, Message: why,
		Hint: "server: send the leaf and its intermediates, and nothing else"}
}

func malformed(depth int, text string) Problem {
	return Problem{Code: MalformedCertificate, Depth: depth, Message: text, Hint: "server: replace the certificate"}
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
	if !q.afford(q.verifyCost()) {
		return q.verifySparingly(name)
	}
	opts := q.options(q.roots)
	opts.DNSName = name.host
	for _, certs := range q.bySubject {
		for _, cert := range certs {
			opts.Intermediates.AddCert(cert)
		}
	}
	chains, err := q.leaf.Verify(opts)
	slices.SortStableFunc(chains, byLength)
	return chains, err
}

// verifySparingly is for more certificates of one name than Verify can be given: it remembers no signature that it has
// checked. It is asked about whole paths instead, whose signatures are known to be good.
func (q *inquiry) verifySparingly(name verifyName) ([][]*x509.Certificate, error) {
	var good [][]*x509.Certificate
	last := errTooCostly
	for _, p := range q.search().complete {
		if !q.afford(pathCost(p.certs)) {
			break
		}
		opts := q.options(q.base)
		if top := p.certs[len(p.certs)-1]; contains(q.settings.trust.Anchors, top) {
			opts.Roots = x509.NewCertPool()
			opts.Roots.AddCert(top)
		}
		opts.DNSName = name.host
		for _, cert := range p.certs[1 : len(p.certs)-1] {
			opts.Intermediates.AddCert(cert)
		}
		chains, err := q.leaf.Verify(opts)
		if err != nil {
			last = err
		}
		good = append(good, chains...)
	}
	slices.SortStableFunc(good, byLength)
	if len(good) == 0 {
		return nil, errors.Join(errTooCostly, last)
	}
	return good, nil
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
				Problems: []Problem{malformed(-1, "a certificate of the peer cannot be used: "+quote(text))},
			}}
		}
	}
	return nil
}
