package tlsengine

import (
	"cmp"
	"context"
	"crypto/x509"
	"errors"
	"strings"
	"time"
)

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

	var q *inquiry
	var f finding
	if err := s.inTurn(ctx, func() {
		q = newInquiry(ctx, s, in, r.Time)
		name, named := q.name()
		if name.wanted != "" && named {
			r.VerifyName = name.wanted
		}
		f = q.find(name, named)
	}); err != nil {
		r.fail(err)
		return r
	}
	r.conclude(ctx, q, f)
	if err := cmp.Or(q.refusedTurn(), context.Cause(ctx)); err != nil {
		r.fail(err)
	}
	return r
}

// inTurn does what needs the CPU. Its error is the turn's, or why ctx ended: then nothing that was done counts.
func (s *settings) inTurn(ctx context.Context, work func()) error {
	if s.Turn != nil {
		done, err := s.Turn(ctx)
		if err != nil {
			return err
		}
		defer done()
	}
	work()
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return nil
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
	case f.path.cut || errors.Is(err, errTooCostly):
		f.problems = withIncomplete(f.problems, "there are too many certificates of one name, or too large keys, to try all")
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
		f.problems = append(f.problems, q.revocationOfRefused(ctx, r, f.path)...)
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
	r.Basis, r.JudgedPath, r.VerifiedChain, r.Warnings, r.Revocation = BasisNone, nil, nil, nil, nil
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
	r.staple = in.stapled()
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

// certificateFailure recognises the failures by which crypto/tls ends a handshake over a certificate, or over none, before
// any hook runs. It gives them by text alone; an unknown text is still a failed handshake, only with a poorer reason.
func (s *settings) certificateFailure(err error) error {
	text := err.Error()
	if s.server && strings.HasPrefix(text, "tls: client didn't provide a certificate") {
		_, refusal := s.withoutCertificate()
		return refusal
	}
	for _, known := range []string{
		"tls: failed to parse certificate from server",
		"tls: server sent certificate containing RSA key larger than",
		"tls: server's certificate contains an unsupported type of public key",
		"tls: failed to parse client certificate",
		"tls: client sent certificate containing RSA key larger than",
		"tls: client certificate contains an unsupported public key",
	} {
		if strings.HasPrefix(text, known) {
			r := &Report{
				Status: StatusInvalid, Basis: BasisNone, Time: s.now(), Started: time.Now(),
				Problems: []Problem{malformed(-1, "a certificate of the peer cannot be used: "+quote(text))},
			}
			if s.server {
				r.addressClient()
			}
			return &CertificateError{Report: r}
		}
	}
	return nil
}
