package picture

import (
	"strings"

	"securesocket/cmd/securesocket/internal/wording"
	pb "securesocket/gen/securesocket/v1"
)

// verdict is the first line of a diagnosis.
type verdict struct {
	trusted bool
	word    string // a status of the certificate, or the reason of another failure
	who     string
	why     string
}

func (d *Diagnosis) verdict() verdict {
	report := d.Reply.GetReport()
	v := verdict{word: wording.Status(pb.CertificateStatus_CERTIFICATE_STATUS_UNKNOWN), who: d.Target, why: "no certificate was judged"}
	if remote := d.Reply.GetRemote(); remote != nil && wording.Endpoint(remote) != d.Target {
		v.who += " (" + wording.Endpoint(remote) + ")"
	}
	switch {
	case Refused(report):
		v.word = wording.Status(report.GetStatus())
		if p := Deciding(report); p != nil {
			v.why = p.GetMessage()
		}
	case d.Err != nil:
		v.word, v.why = wording.Reason(d.Err.Reason), d.Err.Message
		if phase := wording.Phase(d.Err.Phase); phase != "" && !strings.HasPrefix(v.why, phase+": ") {
			v.why = phase + ": " + v.why
		}
	case report != nil:
		v.trusted, v.word, v.why = true, wording.Status(report.GetStatus()), validFor(report)
	}
	return v
}

// Refused reports whether there is a judgement, and it is not that the chain is valid.
func Refused(report *pb.CertificateReport) bool {
	return report != nil && (report.GetTrustBasis() != pb.CertificateReport_TRUST_BASIS_VALIDATED ||
		report.GetStatus() != pb.CertificateStatus_CERTIFICATE_STATUS_TRUSTED)
}

// validFor says what a valid chain is valid for.
func validFor(report *pb.CertificateReport) string {
	said := "the chain is valid"
	if name := report.GetVerifyName(); name != "" {
		said += " for " + name
	}
	if chain := report.GetVerifiedChain(); len(chain) > 0 {
		said += " up to " + name(chain[len(chain)-1].GetSubject())
	}
	return said
}

// Deciding is the problem that the status of a refused chain rests on, or the first one; nil if there is none.
func Deciding(report *pb.CertificateReport) *pb.CertificateProblem {
	for _, p := range report.GetProblems() {
		if decides(p, report.GetStatus()) {
			return p
		}
	}
	if all := report.GetProblems(); len(all) > 0 {
		return all[0]
	}
	return nil
}

// decides follows what the contract says about each status.
func decides(p *pb.CertificateProblem, status pb.CertificateStatus) bool {
	code, leaf := p.GetCode(), p.GetDepth() <= 0
	switch status {
	case pb.CertificateStatus_CERTIFICATE_STATUS_REVOKED:
		return leaf && code == pb.CertificateProblemCode_CERTIFICATE_PROBLEM_CODE_CERTIFICATE_REVOKED
	case pb.CertificateStatus_CERTIFICATE_STATUS_UNTRUSTED_SIGNERS:
		return endsTrust(code)
	case pb.CertificateStatus_CERTIFICATE_STATUS_INVALID_CHAIN:
		return !endsTrust(code) && (!leaf || code == pb.CertificateProblemCode_CERTIFICATE_PROBLEM_CODE_NAME_CONSTRAINT_VIOLATED)
	case pb.CertificateStatus_CERTIFICATE_STATUS_PRINCIPAL_MISMATCH:
		return code == pb.CertificateProblemCode_CERTIFICATE_PROBLEM_CODE_HOST_NAME_MISMATCH
	case pb.CertificateStatus_CERTIFICATE_STATUS_NOT_YET_VALID:
		return leaf && code == pb.CertificateProblemCode_CERTIFICATE_PROBLEM_CODE_CERTIFICATE_NOT_YET_VALID
	case pb.CertificateStatus_CERTIFICATE_STATUS_EXPIRED:
		return leaf && code == pb.CertificateProblemCode_CERTIFICATE_PROBLEM_CODE_CERTIFICATE_EXPIRED
	}
	return true
}

// endsTrust reports whether a problem of this code means that the path reaches no trust anchor.
func endsTrust(code pb.CertificateProblemCode) bool {
	switch code {
	case pb.CertificateProblemCode_CERTIFICATE_PROBLEM_CODE_SELF_SIGNED_CERTIFICATE,
		pb.CertificateProblemCode_CERTIFICATE_PROBLEM_CODE_SELF_SIGNED_CERTIFICATE_IN_CHAIN,
		pb.CertificateProblemCode_CERTIFICATE_PROBLEM_CODE_UNABLE_TO_GET_LOCAL_ISSUER_CERTIFICATE,
		pb.CertificateProblemCode_CERTIFICATE_PROBLEM_CODE_UNABLE_TO_VERIFY_FIRST_CERTIFICATE:
		return true
	}
	return false
}

// remedy is what one side can do.
type remedy struct {
	side string // "peer", "caller", "operator"; empty: not said
	what string
}

// hintSides are the sides as hints of problems have them, where the peer is the server.
var hintSides = map[string]string{"server": "peer", "peer": "peer", "caller": "caller", "operator": "operator", "client": "peer"}

// remedies takes a hint apart: "server: renew it; operator: check this clock".
func remedies(hint string) (all []remedy) {
	for part := range strings.SplitSeq(hint, "; ") {
		before, after, ok := strings.Cut(part, ": ")
		side, known := hintSides[before]
		switch {
		case ok && known:
			all = append(all, remedy{side, after})
		case len(all) > 0:
			all[len(all)-1].what += "; " + part
		case part != "":
			all = append(all, remedy{"", part})
		}
	}
	return all
}

// String is a remedy in one line, whose it is first.
func (r remedy) String() string {
	if r.side == "" {
		return r.what
	}
	return r.side + ": " + r.what
}
