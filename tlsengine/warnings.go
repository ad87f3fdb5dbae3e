package tlsengine

import (
	"crypto/x509"
	"encoding/asn1"
	"fmt"
	"time"

	"securesocket/tlsengine/certinfo"
	"securesocket/tlsengine/revocation"
)

// expiresSoon is when an expiry becomes worth a warning: two weeks leave time to act on it.
const expiresSoon = 14 * 24 * time.Hour

// maxLeafValidity is the longest that browsers accept from public authorities issued since September 2020: CA/Browser
// Forum, Baseline Requirements, section 6.3.2.
const maxLeafValidity = 398 * 24 * time.Hour

// systemStore is the name of the trust store that holds public authorities.
const systemStore = "system"

// oidTimestamps is RFC 6962, section 3.3.
var oidTimestamps = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 11129, 2, 4, 2}

// warnings lists what the owner of a trusted chain should know. None of it makes the chain worse than trusted.
func (q *inquiry) warnings(chain []*x509.Certificate, asked []revocation.Result) []string {
	var all []string
	warn := func(format string, args ...any) { all = append(all, fmt.Sprintf(format, args...)) }
	if q.mode() == revocation.Off {
		warn("revocation was not checked")
	}
	for _, result := range asked {
		if result.Outcome == revocation.NotChecked && result.Depth >= 0 && result.Depth < len(chain) {
			warn("whether certificate %s at depth %d was revoked is not known: %s",
				quote(subjectText(chain[result.Depth])), result.Depth, result.Detail)
		}
	}
	for depth, cert := range chain {
		if cert.NotAfter.Sub(q.now) < expiresSoon {
			warn("certificate %s at depth %d expires at %s", quote(subjectText(cert)), depth, instant(cert.NotAfter))
		}
	}
	leaf, top := chain[0], chain[len(chain)-1]
	if len(chain) > 1 {
		if validity := leaf.NotAfter.Sub(leaf.NotBefore); validity > maxLeafValidity {
			warn("the certificate is valid for %d days, public ones for at most 398", validity/(24*time.Hour))
		}
		if len(leaf.AuthorityKeyId) == 0 {
			warn("the certificate has no authority key identifier, against RFC 5280, section 4.2.1.1")
		}
		if q.settings.trust.Name == systemStore && !has(leaf, oidTimestamps) {
			warn("the certificate carries no signed certificate timestamps, browsers may refuse it")
		}
	}
	if n := leaf.SerialNumber; n.Sign() <= 0 || n.BitLen() > 159 {
		warn("the certificate's serial number is not one of 1 to 20 octets, against RFC 5280, section 4.1.2.2")
	}
	switch top.SignatureAlgorithm {
	case x509.SHA1WithRSA, x509.ECDSAWithSHA1, x509.MD5WithRSA, x509.MD2WithRSA, x509.DSAWithSHA1:
		if len(chain) > 1 {
			warn("the trust anchor %s is signed with %s; nothing rests on that signature", quote(subjectText(top)), top.SignatureAlgorithm)
		}
	}
	for _, text := range q.unparsed {
		warn("%s; the chain does without it", text)
	}
	return all
}

func instant(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// nameText is a distinguished name by RFC 4514, in the order of its encoding, as the report has it; unquoted.
func nameText(der []byte) string {
	name, _ := certinfo.ParseName(der) // one that does not decode has no text
	return name.Text
}

// subjectText names a certificate for a person; unquoted.
func subjectText(cert *x509.Certificate) string {
	if s := nameText(cert.RawSubject); s != "" {
		return s
	}
	if len(cert.DNSNames) > 0 {
		return cert.DNSNames[0]
	}
	return "serial " + cert.SerialNumber.Text(16)
}

// subjectOf is subjectText, quoted, for a message that most often is not needed.
type subjectOf struct{ cert *x509.Certificate }

func (s subjectOf) String() string { return quote(subjectText(s.cert)) }
