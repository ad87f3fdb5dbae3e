package picture

import (
	"cmp"
	"strconv"

	"securesocket/cmd/securesocket/internal/wording"
	pb "securesocket/gen/securesocket/v1"
)

// fact is a line of a list.
type fact struct{ name, value string }

// connection is what was negotiated; empty where TLS never was up.
func (d *Diagnosis) connection() []fact {
	tls := d.Reply.GetTls()
	if tls == nil {
		return nil
	}
	suite := tls.GetCipherSuite()
	if bits := tls.GetCipher().GetUsedBits(); bits > 0 {
		suite += ", " + strconv.Itoa(int(bits)) + " bits"
	}
	resumed := "no"
	if tls.GetResumed() {
		resumed = "yes"
	}
	facts := []fact{
		{"version", wording.Version(tls.GetVersion())},
		{"suite", suite},
		{"group", cmp.Or(tls.GetGroup(), "none")},
		{"alpn", cmp.Or(tls.GetAlpnProtocol(), "none")},
		{"server name", cmp.Or(tls.GetServerName(), "none sent")},
		{"resumed", resumed},
		{"client certificate", wording.ClientCertificate(tls)},
	}
	if greeting := d.Reply.GetGreeting(); len(greeting) > 0 {
		facts = append(facts, fact{"greeting", wording.Greeting(greeting)})
	}
	return facts
}

// judgedBy says by what and when a chain was judged.
func judgedBy(report *pb.CertificateReport) string {
	said := ""
	if store := report.GetStoreName(); store != "" {
		said += ", judged by the anchors of: " + store
		if store != "system" { // which follows nobody
			said += ", and of any level that it follows"
		}
	}
	if report.GetValidateTime() != nil {
		said += ", at " + wording.Time(report.GetValidateTime())
	}
	return said
}
