package tlsengine

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/ocsp"

	"securesocket/tlsengine/revocation"
)

var updateDocs = flag.Bool("update-docs", false, "write the table of docs/validation.md anew")

const (
	tablePath  = "../docs/validation.md"
	tableBegin = "<!-- table: make validation-table -->\n"
	tableEnd   = "<!-- end of table -->\n"
)

// The table in the documentation is what the suites give.
func TestValidationTable(t *testing.T) {
	if testing.Short() {
		t.Skip("runs every suite twice")
	}
	text, err := os.ReadFile(tablePath)
	require.NoError(t, err)
	before, rest, ok := strings.Cut(string(text), tableBegin)
	require.True(t, ok)
	old, after, ok := strings.Cut(rest, tableEnd)
	require.True(t, ok)
	table := validationTable(t, old)
	if *updateDocs {
		require.NoError(t, os.WriteFile(tablePath, []byte(before+tableBegin+table+tableEnd+after), 0o644)) //nolint:gosec // documentation
		return
	}
	require.Equal(t, table, old, "docs/validation.md is stale: run make validation-table, and commit it")
}

// validationTable keeps the old row of a suite that is not there.
func validationTable(t *testing.T, old string) string {
	t.Helper()
	byHand, building, constraints := splitLimbo(limbo(t))
	rows := [][4]string{
		row("x509-limbo, written by hand", run(t, byHand)),
		row("BetterTLS, path building", run(t, building)),
		row("BetterTLS, name constraints", run(t, constraints)),
		row("BoringSSL, chains for TLS", run(t, boringSSL(t))),
		row("BoringSSL, CRLs", revocationVectors(t, "crl_unittest", crlByX509, crlByUs)),
		row("BoringSSL, OCSP answers", revocationVectors(t, "ocsp_unittest", ocspByX, ocspByUs)),
	}
	const suite = "NIST PKITS, with its CRLs"
	if pkitsCRLs() != "" {
		rows = append(rows, row(suite, run(t, pkits(t))))
	} else {
		for line := range strings.Lines(old) {
			if cells := strings.Split(strings.Trim(line, "|\n "), " | "); cells[0] == suite {
				rows = append(rows, [4]string(cells))
			}
		}
	}
	l := compareWithOpenSSL(t)
	rows = append(rows, [4]string{"lists equal to OpenSSL's", fmt.Sprint(l.both), "-", fmt.Sprint(l.equal)})
	var b strings.Builder
	b.WriteString("| Suite | Cases | Right by crypto/x509 alone | Right here |\n|---|---|---|---|\n")
	for _, cells := range rows {
		b.WriteString("| " + strings.Join(cells[:], " | ") + " |\n")
	}
	return b.String()
}

func row(name string, s score) [4]string {
	return [4]string{name, fmt.Sprint(s.total), fmt.Sprint(s.plain), fmt.Sprint(s.ours)}
}

// goodOCSP and revokedOCSP are the cases of ocsp_unittest that say something; their names do not tell.
var (
	goodOCSP = []string{"good_response", "good_response_sha256", "good_response_next_update", "ocsp_sign_direct",
		"ocsp_sign_indirect", "ocsp_extra_certs", "has_version", "has_extension", "has_single_extension",
		"has_critical_ct_extension", "responder_id", "responder_name", "good_response_invalid_serial"}
	revokedOCSP = []string{"revoke_response", "revoke_response_reason"}
)

// revocationVectors scores the files of a folder; package revocation's tests look at each of them.
func revocationVectors(t *testing.T, folder string, plain, ours func(map[string][]byte, []*x509.Certificate) revocation.Outcome) score {
	t.Helper()
	var s score
	for name, text := range untar(t, vectors(t)+"/boringssl-pki.tar.gz") {
		if filepath.Base(filepath.Dir(name)) != folder || filepath.Ext(name) != ".pem" {
			continue
		}
		name := strings.TrimSuffix(filepath.Base(name), ".pem")
		want := revocation.NotChecked
		switch word, _, _ := strings.Cut(name, "_"); {
		case folder == "crl_unittest" && word == "good", folder != "crl_unittest" && slices.Contains(goodOCSP, name):
			want = revocation.Good
		case folder == "crl_unittest" && word == "revoked", folder != "crl_unittest" && slices.Contains(revokedOCSP, name):
			want = revocation.Revoked
		}
		blocks := make(map[string][]byte)
		for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
			blocks[block.Type] = block.Bytes
		}
		var chain []*x509.Certificate
		readable := true
		for _, kind := range []string{"CERTIFICATE", "CA CERTIFICATE", "CA CERTIFICATE 2"} {
			if der, ok := blocks[kind]; ok {
				cert, err := x509.ParseCertificate(der)
				readable = readable && err == nil
				chain = append(chain, cert)
			}
		}
		got := [2]revocation.Outcome{revocation.NotChecked, revocation.NotChecked}
		if readable && len(chain) > 1 {
			got = [2]revocation.Outcome{plain(blocks, chain), ours(blocks, chain)}
		}
		s.total++
		if got[0] == want {
			s.plain++
		}
		if got[1] == want {
			s.ours++
		}
		require.False(t, got[1] == revocation.Good && want != revocation.Good, "%s: a false good", name)
	}
	return s
}

func crlByUs(blocks map[string][]byte, chain []*x509.Certificate) revocation.Outcome {
	return (*revocation.Checker)(nil).Check(context.Background(), revocation.Query{Chain: chain, CRLs: [][]byte{blocks["CRL"]}, Now: time.Unix(1489017600, 0)})[0].Outcome
}

func ocspByUs(blocks map[string][]byte, chain []*x509.Certificate) revocation.Outcome {
	return (*revocation.Checker)(nil).Check(context.Background(), revocation.Query{Chain: chain, Staple: blocks["OCSP RESPONSE"], Now: time.Unix(1488672000, 0)})[0].Outcome
}

// crlByX509 and ocspByX are what a program does that takes the libraries at their word.
func crlByX509(blocks map[string][]byte, chain []*x509.Certificate) revocation.Outcome {
	list, err := x509.ParseRevocationList(blocks["CRL"])
	if err != nil || list.CheckSignatureFrom(chain[1]) != nil {
		return revocation.NotChecked
	}
	if slices.ContainsFunc(list.RevokedCertificateEntries, func(e x509.RevocationListEntry) bool {
		return e.SerialNumber.Cmp(chain[0].SerialNumber) == 0
	}) {
		return revocation.Revoked
	}
	return revocation.Good
}

func ocspByX(blocks map[string][]byte, chain []*x509.Certificate) revocation.Outcome {
	answer, err := ocsp.ParseResponseForCert(blocks["OCSP RESPONSE"], chain[0], chain[1])
	switch {
	case err != nil || answer.Status == ocsp.Unknown:
		return revocation.NotChecked
	case answer.Status == ocsp.Revoked:
		return revocation.Revoked
	}
	return revocation.Good
}
