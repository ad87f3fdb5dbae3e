package tlsengine_test

import (
	"bufio"
	"crypto/x509"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/ocsp"

	"securesocket/tlsengine"
	"securesocket/tlsengine/forge"
	"securesocket/tlsengine/revocation"
	"securesocket/tlsengine/tlstest"
)

// qtCodes are ours for Qt's names.
var qtCodes = map[string]string{
	"CertificateExpired":                "CERTIFICATE_EXPIRED",
	"CertificateNotYetValid":            "CERTIFICATE_NOT_YET_VALID",
	"CertificateRevoked":                "CERTIFICATE_REVOKED",
	"CertificateSignatureFailed":        "CERTIFICATE_SIGNATURE_FAILED",
	"HostNameMismatch":                  "HOST_NAME_MISMATCH",
	"InvalidCaCertificate":              "INVALID_CA_CERTIFICATE",
	"InvalidPurpose":                    "INVALID_PURPOSE",
	"OcspResponseExpired":               "REVOCATION_UNKNOWN",
	"OcspStatusUnknown":                 "REVOCATION_UNKNOWN",
	"PathLengthExceeded":                "PATH_LENGTH_EXCEEDED",
	"SelfSignedCertificate":             "SELF_SIGNED_CERTIFICATE",
	"SelfSignedCertificateInChain":      "SELF_SIGNED_CERTIFICATE_IN_CHAIN",
	"UnableToGetLocalIssuerCertificate": "UNABLE_TO_GET_LOCAL_ISSUER_CERTIFICATE",
	"UnableToVerifyFirstCertificate":    "UNABLE_TO_VERIFY_FIRST_CERTIFICATE",
	"UnspecifiedError":                  "UNSPECIFIED_ERROR",
}

// qtLists are the problems that were recorded on Qt, by scenario, in our codes where there is one.
func qtLists(t *testing.T, name string) map[string]string {
	t.Helper()
	folder := os.Getenv("SECURESOCKET_VECTORS")
	if folder == "" {
		t.Skip("SECURESOCKET_VECTORS is not set: the recordings are not kept here")
	}
	file, err := os.Open(filepath.Join(folder, name))
	require.NoError(t, err)
	defer func() { _ = file.Close() }()
	problem := regexp.MustCompile(`^(\w+)@(-?\d+)\[`)
	lists := make(map[string]string)
	for lines := bufio.NewScanner(file); lines.Scan(); {
		scenario, rest, ok := strings.Cut(lines.Text(), " | ")
		require.True(t, ok)
		list, _, ok := strings.Cut(rest, " | ")
		if !ok {
			list = ""
		}
		var ours []string
		for text := range strings.SplitSeq(list, "; ") {
			if m := problem.FindStringSubmatch(text); m != nil {
				code, known := qtCodes[m[1]]
				if !known {
					code = m[1]
				}
				ours = append(ours, code+"@"+m[2])
			}
		}
		lists[scenario] = strings.Join(ours, " ")
	}
	require.NotEmpty(t, lists)
	return lists
}

// qtScenario is a chain like the one that Qt was shown.
type qtScenario struct {
	make   func(*testing.T) judged
	name   string // verify name; "": localhost
	differ string // our list, where it is not Qt's
	why    string // it is not
}

func TestListsAreLikeQts(t *testing.T) {
	t.Parallel()
	plain := under(nil, nil, nil)
	constrained := func(option tlstest.Option) func(*testing.T) judged { return under(nil, opts{option}, nil) }
	specific := "Qt has one code for it: ours says what it is"
	scenarios := map[string]qtScenario{
		"good": {make: plain},
		"good-root-sent": {make: func(t *testing.T) judged {
			ca := tlstest.NewCA(t)
			return judged{id: ca.Intermediate().Leaf().Append(ca.DER()), trust: anchors(ca.Certificate)}
		}},
		"expired":       {make: under(nil, nil, opts{tlstest.Expired()})},
		"not-yet-valid": {make: under(nil, nil, opts{tlstest.NotYetValid()})},
		"wrong-host":    {make: plain, name: "wrong.example"},
		"self-signed":   {make: func(t *testing.T) judged { return judged{id: tlstest.SelfSigned(t)} }},
		"self-signed-is-anchor": {make: func(t *testing.T) judged {
			id := tlstest.SelfSigned(t)
			return judged{id: id, trust: anchors(id.Leaf)}
		}},
		"untrusted-root-sent": {make: func(t *testing.T) judged {
			ca := tlstest.NewCA(t)
			return judged{id: ca.Intermediate().Leaf().Append(ca.DER())}
		}},
		"untrusted-root-not-sent": {make: func(t *testing.T) judged { return judged{id: tlstest.NewCA(t).Intermediate().Leaf()} }},
		"incomplete-chain": {make: func(t *testing.T) judged {
			j := plain(t)
			j.id.Chain = j.id.Chain[:1]
			return j
		}},
		"incomplete-chain-intermediate-as-anchor": {make: func(t *testing.T) judged {
			inter := tlstest.NewCA(t).Intermediate()
			id := inter.Leaf()
			id.Chain = id.Chain[:1]
			return judged{id: id, trust: anchors(inter.Certificate)}
		}},
		"expired-intermediate":     {make: constrained(tlstest.Expired())},
		"intermediate-ca-false":    {make: constrained(tlstest.NotCA())},
		"intermediate-no-bc":       {make: constrained(tlstest.WithoutBasicConstraints())},
		"intermediate-no-certsign": {make: constrained(tlstest.WithoutCertSign())},
		"pathlen-exceeded": {make: func(t *testing.T) judged {
			ca := tlstest.NewCA(t)
			return judged{id: ca.Intermediate(tlstest.PathLen(0)).Intermediate(tlstest.CommonName("Low")).Leaf(), trust: anchors(ca.Certificate)}
		}},
		"leaf-eku-clientauth": {make: under(nil, nil, opts{tlstest.ExtKeyUsage(x509.ExtKeyUsageClientAuth)})},
		"leaf-eku-any": {make: under(nil, nil, opts{tlstest.ExtKeyUsage(x509.ExtKeyUsageAny)}),
			why: "anyExtendedKeyUsage allows every use (RFC 5280, section 4.2.1.12)"},
		"intermediate-eku-clientauth": {make: constrained(tlstest.ExtKeyUsage(x509.ExtKeyUsageClientAuth))},
		"nc-permitted-violation":      {make: constrained(tlstest.PermittedDNS("example.com")), differ: "NAME_CONSTRAINT_VIOLATED@0", why: specific},
		"nc-excluded-violation":       {make: constrained(forge.ExcludedDNS("localhost")), differ: "NAME_CONSTRAINT_VIOLATED@0", why: specific},
		"crit-ext-leaf":               {make: under(nil, nil, opts{tlstest.CriticalExtension()}), differ: "UNHANDLED_CRITICAL_EXTENSION@0", why: specific},
		"crit-ext-intermediate":       {make: constrained(tlstest.CriticalExtension()), differ: "UNHANDLED_CRITICAL_EXTENSION@1", why: specific},
		"sha1-leaf": {make: under(nil, opts{tlstest.RSA(2048)}, opts{tlstest.SignatureAlgorithm(x509.SHA1WithRSA)}),
			differ: "WEAK_SIGNATURE@0", why: specific},
		"rsa1024-leaf":  {make: under(nil, nil, opts{tlstest.RSA(1024)}), differ: "WEAK_KEY@0", why: specific},
		"bad-signature": {make: under(nil, nil, opts{tlstest.BadSignature()})},
		"no-san-cn-match": {make: under(nil, nil, opts{tlstest.Names(), tlstest.CommonName("localhost")}), differ: "HOST_NAME_MISMATCH@0",
			why: "common names do not count (RFC 6125)"},
		"wildcard-ok":         {make: under(nil, nil, opts{tlstest.Names("*.example.com")}), name: "a.example.com"},
		"wildcard-two-labels": {make: under(nil, nil, opts{tlstest.Names("*.example.com")}), name: "a.b.example.com"},
		"idn-ok":              {make: under(nil, nil, opts{tlstest.Names("xn--bcher-kva.example")}), name: "bücher.example"},
		"case-and-trailing-dot": {make: under(nil, nil, opts{tlstest.Names("a.example")}), name: "A.example.",
			why: "a trailing dot is how a name is written in full (RFC 1034)"},
		"ip-san-ok": {make: plain, name: "127.0.0.1"},
		"ip-only-dns-san": {make: under(nil, nil, opts{tlstest.Names("127.0.0.1.example"), tlstest.CommonName("127.0.0.1")}),
			name: "127.0.0.1", differ: "HOST_NAME_MISMATCH@0", why: "an address needs an alternative name that is one (RFC 6125)"},
		"cross-sign-expired-root-first": {make: func(t *testing.T) judged {
			oldRoot, newRoot := tlstest.NewCA(t, tlstest.CommonName("Old"), tlstest.Expired()), tlstest.NewCA(t, tlstest.CommonName("New"))
			inter := oldRoot.Intermediate()
			return judged{id: inter.Leaf().Append(newRoot.CrossSign(inter).DER()), trust: anchors(newRoot.Certificate)}
		}, why: "every way to an anchor is tried"},
		"long-chain-12": {make: func(t *testing.T) judged {
			root := tlstest.NewCA(t)
			ca := root
			for i := range 10 {
				ca = ca.Intermediate(tlstest.CommonName(string(rune('a' + i))))
			}
			return judged{id: ca.Leaf(), trust: anchors(root.Certificate)}
		}},
	}
	for _, file := range []string{"qt-refuse.txt", "qt-ignore.txt"} {
		lists := qtLists(t, file)
		compareWithQt(t, lists, scenarios)
		for scenario := range lists {
			if !strings.Contains(scenario, "staple") { // TestStapleListsAreLikeQts has those
				require.Contains(t, scenarios, scenario)
			}
		}
	}
}

func TestStapleListsAreLikeQts(t *testing.T) {
	t.Parallel()
	lists := qtLists(t, "qt-refuse.txt")
	root := tlstest.NewCA(t) // without an intermediate, about which HARD would have to know as well
	id, strict := root.Leaf(), root.Leaf(forge.MustStaple())
	now := time.Now()
	answer := func(a forge.Answer) []byte {
		a.Serial = id.Leaf.SerialNumber
		return root.OCSP(a)
	}
	other := tlstest.NewCA(t)
	for scenario, row := range map[string]struct {
		id          *tlstest.Identity
		staple      []byte
		differ, why string
	}{
		"staple-good":    {id: id, staple: answer(forge.Answer{})},
		"staple-revoked": {id: id, staple: answer(forge.Answer{Status: ocsp.Revoked})},
		"staple-unknown": {id: id, staple: answer(forge.Answer{Status: ocsp.Unknown})},
		"staple-expired": {id: id, staple: answer(forge.Answer{ThisUpdate: now.Add(-48 * time.Hour), NextUpdate: now.Add(-24 * time.Hour)})},
		"staple-future":  {id: id, staple: answer(forge.Answer{ThisUpdate: now.Add(24 * time.Hour), NextUpdate: now.Add(48 * time.Hour)})},
		"staple-wrong-signer": {id: id, staple: other.OCSP(forge.Answer{Serial: id.Leaf.SerialNumber}), differ: "REVOCATION_UNKNOWN@0",
			why: "what a stranger says is nothing at all"},
		"staple-garbage": {id: id, staple: []byte("garbage"), differ: "REVOCATION_UNKNOWN@0", why: "Qt ends the handshake"},
		"staple-trylater": {id: id, staple: []byte{0x30, 3, 0x0a, 1, 3}, differ: "REVOCATION_UNKNOWN@0",
			why: "Qt has a code for every answer of a responder: ours says it in words"},
		"staple-unauthorized": {id: id, staple: []byte{0x30, 3, 0x0a, 1, 6}, differ: "REVOCATION_UNKNOWN@0",
			why: "Qt has a code for every answer of a responder: ours says it in words"},
		"staple-none-required": {id: id, differ: "REVOCATION_UNKNOWN@0", why: "Qt names the chain, ours the certificate"},
		"must-staple-none": {id: strict, differ: "STAPLE_REQUIRED@0 REVOCATION_UNKNOWN@0",
			why: "Qt does not know RFC 7633, and had not been asked for more"},
		"must-staple-good": {id: strict, staple: root.OCSP(forge.Answer{Serial: strict.Leaf.SerialNumber})},
	} {
		cfg := trusting(root)
		cfg.Revocation = revocation.Hard
		r := validate(t, cfg, tlsengine.Chain{Certificates: row.id.Chain, Staple: row.staple})
		requireLikeQt(t, lists, scenario, problems(r), row.differ, row.why)
	}
}

func compareWithQt(t *testing.T, lists map[string]string, scenarios map[string]qtScenario) {
	t.Helper()
	for scenario, row := range scenarios {
		j := row.make(t)
		name := row.name
		if name == "" {
			name = "localhost"
		}
		r := validate(t, &tlsengine.Config{VerifyNames: []string{name}, Trust: j.trust}, tlsengine.Chain{Certificates: j.id.Chain})
		requireLikeQt(t, lists, scenario, problems(r), row.differ, row.why)
	}
}

// requireLikeQt wants Qt's list, or ours where a reason is given, which must then be another.
func requireLikeQt(t *testing.T, lists map[string]string, scenario, got, differ, why string) {
	t.Helper()
	theirs, recorded := lists[scenario]
	require.True(t, recorded, scenario)
	if why == "" {
		require.Equal(t, theirs, got, scenario)
		return
	}
	require.Equal(t, differ, got, scenario)
	require.NotEqual(t, theirs, got, scenario)
}
