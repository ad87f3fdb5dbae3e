package tlsengine

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// The cases of other suites that are judged otherwise here, each with its reason. A case that is judged as its suite
// expects must leave the table.

const (
	cabfIssuance = "a rule for issuing public certificates that no browser enforces; private authorities break it with good chains"
	privateKeyID = "RFC 5280 asks authorities for key identifiers; many private ones leave them out, which endangers nobody: a warning"
	noDNs        = "crypto/x509 knows no constraints on these names and refuses them; only what Verify accepts is trusted"
	byteNames    = "crypto/x509 compares names byte by byte; only what Verify accepts is trusted"
	selfIssued   = "crypto/x509 counts self-issued certificates in path lengths; only what Verify accepts is trusted"
	hostDomains  = "crypto/x509 takes a host in an excluded constraint for a domain; only what Verify accepts is trusted"
	parsePoint   = "crypto/x509 cannot read a CRL distribution point with a relative name"
	noDSA        = "DSA is refused everywhere"
	crlParts     = "a CRL that is indirect, or partial by reasons, is not used: the certificate stays unchecked, which HARD refuses"
)

var limboDeviations = map[string]string{
	"pathlen::self-issued-certs-pathlen":                        selfIssued,
	"rfc5280::aki::cross-signed-root-missing-aki":               privateKeyID,
	"rfc5280::aki::leaf-missing-aki":                            privateKeyID,
	"rfc5280::nc::invalid-dnsname-leading-period":               "a leading period is common in constraints on DNS names, and its meaning is clear",
	"rfc5280::nc::nc-forbids-othername-noop":                    noDNs,
	"rfc5280::nc::permitted-dns-match-noncritical":              "constraints that are not critical are allowed by the CA/Browser Forum, and are obeyed",
	"rfc5280::serial::zero":                                     "RFC 5280, section 4.1.2.2 asks readers to bear with a serial number of zero: a warning",
	"rfc5280::ski::intermediate-missing-ski":                    privateKeyID,
	"rfc5280::ski::root-missing-ski":                            privateKeyID,
	"webpki::aki::root-with-aki-authoritycertissuer":            cabfIssuance,
	"webpki::aki::root-with-aki-missing-keyidentifier":          cabfIssuance,
	"webpki::cn::case-mismatch":                                 cabfIssuance,
	"webpki::cn::ipv4-hex-mismatch":                             cabfIssuance,
	"webpki::cn::ipv4-leading-zeros-mismatch":                   cabfIssuance,
	"webpki::cn::ipv6-uncompressed-mismatch":                    cabfIssuance,
	"webpki::cn::ipv6-uppercase-mismatch":                       cabfIssuance,
	"webpki::cn::punycode-not-in-san":                           cabfIssuance,
	"webpki::eku::ee-anyeku":                                    "anyExtendedKeyUsage allows every use (RFC 5280, section 4.2.1.12)",
	"webpki::eku::root-has-eku":                                 cabfIssuance,
	"webpki::san::public-suffix-private-namespace-wildcard-san": "who owns a private suffix may have a wildcard below it, and does: *.s3.amazonaws.com",
	"webpki::san::san-critical-with-nonempty-subject":           cabfIssuance,
}

// boringDeviations: BoringSSL does not look at dates and path lengths of an anchor unless it is told to.
var boringDeviations = map[string]string{
	"expired-root/not-after-ta-with-constraints.test": "an anchor that has expired is refused, as OpenSSL and Go do",
	"expired-root/not-after.test":                     "an anchor that has expired is refused, as OpenSSL and Go do",
	"expired-root/not-before.test":                    "an anchor that is not valid yet is refused, as OpenSSL and Go do",
	"violates-pathlen-1-from-root/main.test":          "the path length of an anchor is obeyed, as OpenSSL and Go do",
}

// opensslDeviations are lists that differ from OpenSSL's on chains that both refuse.
var opensslDeviations = map[string]string{
	"invalid::invalid-issuer-key":                                    "the intermediate cannot be read, and the list says so beside its absence",
	"pathological::nc-dos-3":                                         "the leaf is larger than what is judged at all",
	"pathological::pathological-chain-distinct-subject-distinct-key": "no path of more than 20 certificates is followed",
	"pathological::pathological-chain-distinct-subject-same-key":     "no path of more than 20 certificates is followed",
	"rfc5280::ca-as-leaf-wrong-san":                                  "the key usage of a leaf is not looked at: Verify does not, and limbo wants it so",
	"rfc5280::duplicate-extensions":                                  "crypto/x509 cannot read the leaf, so that nothing else can be said of it",
	"rfc5280::mismatching-signature-algorithm":                       "crypto/x509 cannot read the leaf, so that nothing else can be said of it",
}

// pkitsDeviations hold with the suite's CRLs.
var pkitsDeviations = map[string]string{
	"4.1.4 Valid DSA Signatures Test4":                                noDSA,
	"4.1.5 Valid DSA Parameter Inheritance Test5":                     noDSA,
	"4.3.3 Valid Name Chaining Whitespace Test3":                      byteNames,
	"4.3.4 Valid Name Chaining Whitespace Test4":                      byteNames,
	"4.3.5 Valid Name Chaining Capitalization Test5":                  byteNames,
	"4.3.10 Valid Rollover from PrintableString to UTF8String Test10": byteNames,
	"4.3.11 Valid UTF8String Case Insensitive Match Test11":           byteNames,
	"4.6.15 Valid Self-Issued pathLenConstraint Test15":               selfIssued,
	"4.6.17 Valid Self-Issued pathLenConstraint Test17":               selfIssued,
	"4.13.1 Valid DN nameConstraints Test1":                           noDNs,
	"4.13.4 Valid DN nameConstraints Test4":                           noDNs,
	"4.13.5 Valid DN nameConstraints Test5":                           noDNs,
	"4.13.6 Valid DN nameConstraints Test6":                           noDNs,
	"4.13.11 Valid DN nameConstraints Test11":                         noDNs,
	"4.13.14 Valid DN nameConstraints Test14":                         noDNs,
	"4.13.18 Valid DN nameConstraints Test18":                         noDNs,
	"4.13.19 Valid Self-Issued DN nameConstraints Test19":             noDNs,
	"4.13.27 Valid DN and RFC822 nameConstraints Test27":              noDNs,
	"4.13.25 Valid RFC822 nameConstraints Test25":                     hostDomains,
	"4.13.36 Valid URI nameConstraints Test36":                        hostDomains,
	"4.14.4 Valid distributionPoint Test4":                            parsePoint,
	"4.14.5 Valid distributionPoint Test5":                            parsePoint,
	"4.14.29 Valid cRLIssuer Test29":                                  parsePoint,
	"4.15.5 Valid delta-CRL Test5":                                    "a delta CRL is not applied: what it lifts stays revoked",
	"4.14.18 Valid onlySomeReasons Test18":                            crlParts,
	"4.14.19 Valid onlySomeReasons Test19":                            crlParts,
	"4.14.22 Valid IDP with indirectCRL Test22":                       crlParts,
	"4.14.24 Valid IDP with indirectCRL Test24":                       crlParts,
	"4.14.25 Valid IDP with indirectCRL Test25":                       crlParts,
	"4.14.28 Valid cRLIssuer Test28":                                  crlParts,
	"4.14.30 Valid cRLIssuer Test30":                                  crlParts,
	"4.14.33 Valid cRLIssuer Test33":                                  crlParts,
}

// requireKnown wants a reason for every difference, and none for what is no difference any more.
func requireKnown(t *testing.T, reasons map[string]string, wrong []string) {
	t.Helper()
	known := []string{}
	for id, why := range reasons {
		require.NotEmpty(t, why, id)
		known = append(known, id)
	}
	require.ElementsMatch(t, known, wrong)
}
