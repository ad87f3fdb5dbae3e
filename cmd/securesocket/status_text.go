package main

import (
	"cmp"
	"slices"
	"time"

	"securesocket/cmd/securesocket/internal/terminal"
	"securesocket/cmd/securesocket/internal/wording"
	pb "securesocket/gen/securesocket/v1"
)

// text is what a person wants to know, the verdict first.
func (i *inspection) text(t target) []byte {
	var out terminal.Text
	peer := t.String()
	if remote := i.session.GetRemote(); remote != nil {
		peer += " (" + wording.Endpoint(remote) + ")"
	}
	out.Line("%s  %s", wording.Status(i.session.GetCertificateStatus()), peer)
	if failure := failureOf(i.err); failure != nil && i.report == nil {
		out.Line("  no certificate was judged: %s: %s", wording.Reason(failure.GetReason()), failure.GetMessage())
	}
	for _, problem := range i.report.GetProblems() {
		writeProblem(&out, problem)
	}
	for _, warning := range i.report.GetWarnings() {
		out.Line("  note: %s", warning)
	}
	for _, known := range i.report.GetRevocation() {
		out.Line("  revocation: %s: %s", wording.Depth(known.GetDepth()), wording.Revocation(known))
	}
	writeChain(&out, i.report)
	writeConnection(&out, i.session)
	writeTimeline(&out, i.session.GetTimeline())
	return out.Bytes()
}

func writeProblem(out *terminal.Text, problem *pb.CertificateProblem) {
	out.Line("  problem: %s", problemLine(problem))
	out.Line("    hint: %s", problem.GetHint())
}

// writeChain writes the path that the depths of the problems are about; where there is none, what the peer sent.
func writeChain(out *terminal.Text, report *pb.CertificateReport) {
	chain, title := report.GetJudgedPath(), "chain, leaf first"
	if len(chain) == 0 {
		chain, title = report.GetPeerChain(), "chain as the peer sent it"
	}
	if len(chain) == 0 {
		return
	}
	out.Line("%s:", title)
	for depth, certificate := range chain {
		out.Line("  %d  subject  %s", depth, certificate.GetSubject().GetText())
		out.Line("     issuer   %s", certificate.GetIssuer().GetText())
		out.Line("     valid    %s to %s", certificate.GetNotBeforeTime().AsTime().Format(time.RFC3339),
			certificate.GetNotAfterTime().AsTime().Format(time.RFC3339))
		names := slices.Concat(certificate.GetDnsNames(), certificate.GetIpAddresses(), certificate.GetEmailAddresses(), certificate.GetUris())
		if len(names) > 0 {
			out.Line("     names    %s", wording.Names(names))
		}
	}
}

func writeConnection(out *terminal.Text, session *pb.Session) {
	tls := session.GetTls()
	if tls == nil {
		return
	}
	out.Line("connection:")
	out.Line("  version             %s", wording.Version(tls.GetVersion()))
	out.Line("  suite               %s", tls.GetCipherSuite())
	out.Line("  group               %s", cmp.Or(tls.GetGroup(), "none"))
	out.Line("  alpn                %s", cmp.Or(tls.GetAlpnProtocol(), "none"))
	if greeting := session.GetGreeting(); len(greeting) > 0 {
		out.Line("  greeting            %s", wording.Greeting(greeting))
	}
	out.Line("  client certificate  %s", wording.ClientCertificate(tls))
	if hint := wording.ClientCertificateHint(tls); hint != "" {
		out.Line("    hint: %s", hint)
	}
}

func writeTimeline(out *terminal.Text, timeline *pb.Timeline) {
	if timeline == nil {
		return
	}
	out.Line("time, from the start of the attempt:")
	for _, phase := range []struct {
		name string
		span *pb.Span
	}{
		{"policy", timeline.GetPolicy()},
		{"dns", timeline.GetDns()},
		{"tcp", timeline.GetTcp()},
		{"handshake", timeline.GetHandshake()},
		{"validation", timeline.GetValidation()}, // lies inside the handshake
		{"revocation", timeline.GetRevocation()}, // lies inside the validation
		{"decision", timeline.GetDecision()},     // lies inside the handshake
	} {
		if phase.span != nil {
			out.Line("  %-10s  at %11s  took %11s", phase.name,
				wording.Milliseconds(phase.span.GetStart().AsDuration()), wording.Milliseconds(phase.span.GetDuration().AsDuration()))
		}
	}
}
