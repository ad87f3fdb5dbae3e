package tlsengine

import (
	"crypto/x509"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"securesocket/tlsengine/revocation"
)

// pkitsCase is a case of NIST's Public Key Infrastructure Test Suite, as Go's distribution has it.
type pkitsCase struct {
	Name                                                                        string
	CertPath, CRLPath                                                           []string
	ShouldValidate                                                              bool
	InitialPolicySet                                                            []string
	InitialPolicyMappingInhibit, InitialExplicitPolicy, InitialAnyPolicyInhibit bool
}

// pkitsCRLs is the folder of the suite's CRLs, which Go's distribution leaves out; "": there is none.
func pkitsCRLs() string {
	for _, folder := range []string{os.Getenv("SECURESOCKET_PKITS_CRLS"), filepath.Join(os.Getenv("SECURESOCKET_VECTORS"), "nist-pkits", "crls")} {
		if folder == "" {
			continue
		}
		if _, err := os.Stat(folder); err == nil {
			return folder
		}
	}
	return ""
}

func pkits(tb testing.TB) []vector {
	tb.Helper()
	goroot, err := exec.CommandContext(tb.Context(), "go", "env", "GOROOT").Output()
	require.NoError(tb, err)
	folder := filepath.Join(strings.TrimSpace(string(goroot)), "src/crypto/x509/testdata/nist-pkits")
	text, err := os.ReadFile(filepath.Join(folder, "vectors.json"))
	if os.IsNotExist(err) {
		tb.Skip("this Go distribution has no test data of crypto/x509")
	}
	require.NoError(tb, err)
	var cases []pkitsCase
	require.NoError(tb, json.Unmarshal(text, &cases))
	crls := pkitsCRLs()
	var all []vector
	for _, c := range cases {
		v := vector{id: c.Name, good: c.ShouldValidate, cfg: &Config{Revocation: revocation.Off,
			Now: func() time.Time { return time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC) }}}
		for _, name := range c.CertPath {
			der, err := os.ReadFile(filepath.Join(folder, "certs", name))
			require.NoError(tb, err)
			v.chain.Certificates = append(v.chain.Certificates, der)
		}
		v.configure(&v.cfg.Trust.Anchors, v.chain.Certificates[:1])
		v.chain.Certificates = v.chain.Certificates[1:]
		slices.Reverse(v.chain.Certificates)
		v.chain.Policies = c.policies(tb)
		if crls != "" {
			v.cfg.Revocation = revocation.Hard
			for _, name := range c.CRLPath {
				der, err := os.ReadFile(filepath.Join(crls, name))
				require.NoError(tb, err)
				v.chain.CRLs = append(v.chain.CRLs, der)
			}
		}
		all = append(all, v)
	}
	return all
}

func (c *pkitsCase) policies(tb testing.TB) Policies {
	tb.Helper()
	p := Policies{RequireExplicit: c.InitialExplicitPolicy, InhibitMapping: c.InitialPolicyMappingInhibit,
		InhibitAny: c.InitialAnyPolicyInhibit}
	for _, name := range c.InitialPolicySet {
		if number, ok := strings.CutPrefix(name, "NIST-test-policy-"); ok {
			oid, err := x509.ParseOID("2.16.840.1.101.3.2.1.48." + number)
			require.NoError(tb, err)
			p.Acceptable = append(p.Acceptable, oid)
		} else {
			require.Equal(tb, "anyPolicy", name)
		}
	}
	return p
}

func TestPKITS(t *testing.T) {
	t.Parallel()
	s := run(t, pkits(t))
	if pkitsCRLs() == "" {
		// What the suite's CRLs decide counts as wrong then, here and by Verify alone.
		require.Empty(t, s.worse)
		require.GreaterOrEqual(t, s.ours, s.plain+7)
		return
	}
	require.GreaterOrEqual(t, s.ours, 215)
	require.Empty(t, s.falseAccepts)
	requireKnown(t, pkitsDeviations, s.wrong)
}
