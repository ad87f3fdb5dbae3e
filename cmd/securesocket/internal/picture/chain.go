package picture

import (
	"bytes"
	"crypto/sha256"
	"slices"
	"strconv"

	"securesocket/cmd/securesocket/internal/wording"
	pb "securesocket/gen/securesocket/v1"
)

// link is one place in the chain: a certificate, or the gap where one should be.
type link struct {
	certificate *pb.Certificate // nil: a gap
	name        string          // whom it is about; of a gap, the issuer that is missing
	issuer      string          // empty where the link above says it
	role        string          // "trust anchor", "intermediate 1", "leaf"
	origin      string
	facts       string // validity, key, fingerprint
	names       string // what the leaf is for
	problems    []*pb.CertificateProblem
	revocation  *pb.RevocationResult
	anchor      bool
}

// chain is the path that was judged, the anchor first; where none was, what the peer sent.
func (d *Diagnosis) chain() (links []link) {
	report := d.Reply.GetReport()
	path := report.GetJudgedPath()
	if len(path) == 0 {
		path = report.GetPeerChain()
	}
	if len(path) == 0 {
		return nil
	}
	top := len(path) - 1
	anchored := d.anchored()
	above := ""
	if gap := slices.ContainsFunc(report.GetProblems(), func(p *pb.CertificateProblem) bool {
		return p.GetCode() == pb.CertificateProblemCode_CERTIFICATE_PROBLEM_CODE_UNABLE_TO_GET_LOCAL_ISSUER_CERTIFICATE
	}); gap {
		above = name(path[top].GetIssuer())
		links = append(links, link{name: above, role: "missing", origin: "neither sent nor a trust anchor"})
	}
	for depth, c := range slices.Backward(path) {
		l := link{certificate: c, name: name(c.GetSubject()), facts: facts(c), anchor: anchored && depth == top}
		l.role, l.origin = role(depth, l.anchor), d.origin(c, l.anchor)
		if issuer := name(c.GetIssuer()); issuer != above {
			l.issuer = issuer
			if issuer == l.name {
				l.issuer = "itself"
			}
		}
		if depth == 0 {
			l.names = subjectNames(c)
		}
		for _, p := range report.GetProblems() {
			if p.Depth != nil && int(p.GetDepth()) == depth || p.GetDepth() < 0 && len(p.GetCertificateSha256()) > 0 && bytes.Equal(p.GetCertificateSha256(), c.GetSha256()) {
				l.problems = append(l.problems, p)
			}
		}
		for _, r := range report.GetRevocation() {
			if int(r.GetDepth()) == depth {
				l.revocation = r
			}
		}
		above = l.name
		links = append(links, l)
	}
	return links
}

// unused are the certificates that the peer sent and the path does not have.
func (d *Diagnosis) unused() (extra []*pb.Certificate) {
	report := d.Reply.GetReport()
	if len(report.GetJudgedPath()) == 0 {
		return nil
	}
	for _, c := range report.GetPeerChain() {
		if !contains(report.GetJudgedPath(), c.GetSha256()) {
			extra = append(extra, c)
		}
	}
	return extra
}

// anchored reports whether the top of the judged path is a trust anchor. A validated chain says so; of a refused one it
// follows from its problems.
func (d *Diagnosis) anchored() bool {
	report := d.Reply.GetReport()
	switch {
	case len(report.GetVerifiedChain()) > 0:
		return true
	case len(report.GetJudgedPath()) == 0:
		return false
	}
	return !slices.ContainsFunc(report.GetProblems(), func(p *pb.CertificateProblem) bool {
		// An error of the whole chain without a code may be anything.
		return endsTrust(p.GetCode()) || p.GetDepth() < 0 &&
			p.GetCode() == pb.CertificateProblemCode_CERTIFICATE_PROBLEM_CODE_UNSPECIFIED_ERROR
	})
}

func role(depth int, anchor bool) string {
	switch {
	case anchor && depth == 0:
		return "leaf and trust anchor"
	case anchor:
		return "trust anchor"
	case depth == 0:
		return "leaf"
	}
	return "intermediate " + strconv.Itoa(depth)
}

// origin says where a certificate came from.
func (d *Diagnosis) origin(c *pb.Certificate, anchor bool) string {
	sent, sentBy := contains(d.Reply.GetReport().GetPeerChain(), c.GetSha256()), "sent by the peer"
	switch {
	case d.FromFile:
		sentBy = "from the file"
	case d.Reply.GetTls().GetResumed():
		sentBy = "sent by the peer in an earlier handshake"
	}
	added := slices.ContainsFunc(d.Added, func(der []byte) bool {
		sum := sha256.Sum256(der)
		return bytes.Equal(sum[:], c.GetSha256())
	})
	switch {
	case sent && !anchor:
		return sentBy
	case sent && added:
		return "added by the caller, also " + sentBy
	case sent:
		return "in the trust store, also " + sentBy
	case added:
		return "added by the caller"
	case anchor:
		return "from the trust store"
	}
	return "from the service"
}

func contains(chain []*pb.Certificate, sum []byte) bool {
	return slices.ContainsFunc(chain, func(c *pb.Certificate) bool { return bytes.Equal(c.GetSha256(), sum) })
}

// maxName bounds a name that is shown, in characters: a peer may send one of kilobytes.
const maxName = 160

// name is a distinguished name in one line.
func name(n *pb.DistinguishedName) string {
	if n.GetText() == "" {
		return "(no name)"
	}
	return cut(n.GetText(), maxName)
}

// facts are what is to be known about any certificate.
func facts(c *pb.Certificate) string {
	return "valid " + wording.Time(c.GetNotBeforeTime()) + " to " + wording.Time(c.GetNotAfterTime()) + ", " +
		wording.Key(c) + ", sha256 " + wording.Fingerprint(c.GetSha256())
}

// maxSubjectNames is how many names of a leaf are shown; those of a hosting provider are hundreds.
const maxSubjectNames = 8

func subjectNames(c *pb.Certificate) string {
	all := slices.Concat(c.GetDnsNames(), c.GetIpAddresses(), c.GetEmailAddresses(), c.GetUris())
	shown := all[:min(len(all), maxSubjectNames)]
	said := cut(wording.Names(shown), 2*maxName)
	if more := len(all) - len(shown); more > 0 {
		said += " and " + strconv.Itoa(more) + " more"
	}
	return said
}

// cut shortens text to n characters.
func cut(text string, n int) string {
	if runes := []rune(text); len(runes) > n {
		return string(runes[:n-3]) + "..."
	}
	return text
}
