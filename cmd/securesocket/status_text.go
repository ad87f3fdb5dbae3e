package main

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
	"time"

	pb "securesocket/gen/securesocket/v1"
)

// text is what a person wants to know, the verdict first.
func (i *inspection) text(t target) []byte {
	var out text
	peer := t.String()
	if remote := i.session.GetRemote(); remote != nil {
		peer += " (" + endpoint(remote) + ")"
	}
	out.line("%s  %s", statusName(i.session.GetCertificateStatus()), peer)
	if failure := i.failure(); failure != nil && i.report == nil {
		out.line("  no certificate was judged: %s: %s", reasonName(failure.GetReason()), failure.GetMessage())
	}
	for _, problem := range i.report.GetProblems() {
		writeProblem(&out, problem)
	}
	for _, warning := range i.report.GetWarnings() {
		out.line("  note: %s", warning)
	}
	writeChain(&out, i.report)
	writeConnection(&out, i.session)
	writeTimeline(&out, i.session.GetTimeline())
	return out.Bytes()
}

func writeProblem(out *text, problem *pb.CertificateProblem) {
	where := "chain"
	if depth := problem.GetDepth(); depth >= 0 {
		where = depthName(int(depth))
	}
	out.line("  problem: %s (%s): %s", problemName(problem.GetCode()), where, problem.GetMessage())
	out.line("    hint: %s", problem.GetHint())
}

// problemName is a code as the contract has it: "CERTIFICATE_EXPIRED".
func problemName(code pb.CertificateProblemCode) string {
	return strings.TrimPrefix(code.String(), "CERTIFICATE_PROBLEM_CODE_")
}

func depthName(depth int) string {
	if depth == 0 {
		return "depth 0, leaf"
	}
	return "depth " + strconv.Itoa(depth)
}

// writeChain writes the path that the depths of the problems are about; where there is none, what the peer sent.
func writeChain(out *text, report *pb.CertificateReport) {
	chain, title := report.GetJudgedPath(), "chain, leaf first"
	if len(chain) == 0 {
		chain, title = report.GetPeerChain(), "chain as the peer sent it"
	}
	if len(chain) == 0 {
		return
	}
	out.line("%s:", title)
	for depth, certificate := range chain {
		out.line("  %d  subject  %s", depth, certificate.GetSubject().GetText())
		out.line("     issuer   %s", certificate.GetIssuer().GetText())
		out.line("     valid    %s to %s", certificate.GetNotBeforeTime().AsTime().Format(time.RFC3339),
			certificate.GetNotAfterTime().AsTime().Format(time.RFC3339))
		names := slices.Concat(certificate.GetDnsNames(), certificate.GetIpAddresses(), certificate.GetEmailAddresses(), certificate.GetUris())
		if len(names) > 0 {
			out.line("     names    %s", strings.Join(names, ", "))
		}
	}
}

func writeConnection(out *text, session *pb.Session) {
	tls := session.GetTls()
	if tls == nil {
		return
	}
	out.line("connection:")
	out.line("  version  %s", versionName(tls.GetVersion()))
	out.line("  suite    %s", tls.GetCipherSuite())
	out.line("  group    %s", cmp.Or(tls.GetGroup(), "none"))
	out.line("  alpn     %s", cmp.Or(tls.GetAlpnProtocol(), "none"))
}

func writeTimeline(out *text, timeline *pb.Timeline) {
	if timeline == nil {
		return
	}
	out.line("time, from the start of the attempt:")
	for _, phase := range []struct {
		name string
		span *pb.Span
	}{
		{"policy", timeline.GetPolicy()},
		{"dns", timeline.GetDns()},
		{"tcp", timeline.GetTcp()},
		{"handshake", timeline.GetHandshake()},
		{"validation", timeline.GetValidation()}, // lies inside the handshake
	} {
		if phase.span != nil {
			out.line("  %-10s  at %11s  took %11s", phase.name,
				milliseconds(phase.span.GetStart().AsDuration()), milliseconds(phase.span.GetDuration().AsDuration()))
		}
	}
}
