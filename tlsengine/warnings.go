package tlsengine

import (
	"crypto/x509"
	"fmt"
	"time"
)

// expiresSoon is when an expiry becomes worth a warning: two weeks leave time to act on it.
const expiresSoon = 14 * 24 * time.Hour

// warnings lists what the owner of a trusted chain should know.
func warnings(chain []*x509.Certificate, now time.Time) []string {
	all := []string{"revocation was not checked"}
	for depth, cert := range chain {
		if left := cert.NotAfter.Sub(now); left < expiresSoon {
			all = append(all, fmt.Sprintf("certificate %s at depth %d expires at %s",
				quote(subjectText(cert)), depth, instant(cert.NotAfter)))
		}
	}
	return all
}

func instant(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// subjectText names a certificate for a person; unquoted.
func subjectText(cert *x509.Certificate) string {
	if s := cert.Subject.String(); s != "" {
		return s
	}
	if len(cert.DNSNames) > 0 {
		return cert.DNSNames[0]
	}
	return "serial " + cert.SerialNumber.Text(16)
}
