package revocation

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io"
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// vector is a file of boringssl/pki/testdata.
type vector struct {
	name   string
	blocks map[string][]byte // by the type of the PEM block
}

func (v *vector) expected() Outcome {
	word, _, _ := strings.Cut(v.name, "_")
	switch word = strings.TrimSuffix(word, ".pem"); word {
	case "good":
		return Good
	case "revoked":
		return Revoked
	}
	return NotChecked
}

// chain is false when x509 refuses a certificate, so that none of this could be asked.
func (v *vector) chain() ([]*x509.Certificate, bool) {
	var chain []*x509.Certificate
	for _, kind := range []string{"CERTIFICATE", "CA CERTIFICATE", "CA CERTIFICATE 2"} {
		if der, ok := v.blocks[kind]; ok {
			cert, err := x509.ParseCertificate(der)
			if err != nil {
				return nil, false
			}
			chain = append(chain, cert)
		}
	}
	return chain, len(chain) > 1
}

func readVectors(t *testing.T, folder string) []*vector {
	t.Helper()
	root := os.Getenv("SECURESOCKET_VECTORS")
	if root == "" {
		t.Skip("SECURESOCKET_VECTORS is not set: the vectors belong to other projects and are not kept here")
	}
	file, err := os.Open(filepath.Join(root, "boringssl-pki.tar.gz"))
	require.NoError(t, err)
	defer file.Close()
	unzipped, err := gzip.NewReader(file)
	require.NoError(t, err)
	var all []*vector
	for archive := tar.NewReader(unzipped); ; {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			require.NotEmpty(t, all, folder)
			return all
		}
		require.NoError(t, err)
		if path.Base(path.Dir(header.Name)) != folder || path.Ext(header.Name) != ".pem" {
			continue
		}
		text, err := io.ReadAll(archive)
		require.NoError(t, err)
		v := &vector{name: path.Base(header.Name), blocks: make(map[string][]byte)}
		for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
			v.blocks[block.Type] = block.Bytes
		}
		all = append(all, v)
	}
}

// score runs all vectors and holds them to the list of those that are known to differ, each with its reason.
func score(t *testing.T, all []*vector, known map[string]string, expected func(*vector) Outcome, run func(*vector) Outcome) {
	t.Helper()
	passed := 0
	for _, v := range all {
		got, want := run(v), expected(v)
		if got == Good {
			require.Equal(t, Good, want, "%s: a false good", v.name)
		}
		why, differs := known[v.name]
		if got == want {
			passed++
			require.False(t, differs, "%s passes now: %s", v.name, why)
		} else {
			require.True(t, differs, "%s: %d, expected %d", v.name, got, want)
		}
	}
	t.Logf("passed %d of %d", passed, len(all))
	require.GreaterOrEqual(t, passed*10, len(all)*9)
}

func TestCRLVectors(t *testing.T) {
	t.Parallel()
	now := time.Unix(1489017600, 0)
	all := readVectors(t, "crl_unittest")
	known := map[string]string{}
	t.Run("given", func(t *testing.T) {
		t.Parallel()
		score(t, all, known, (*vector).expected, func(v *vector) Outcome {
			chain, ok := v.chain()
			if !ok {
				return NotChecked
			}
			q := Query{Chain: chain, CRLs: [][]byte{v.blocks["CRL"]}, Now: now}
			return (*Checker)(nil).Check(t.Context(), q)[0].Outcome
		})
	})
	t.Run("fetched", func(t *testing.T) {
		t.Parallel()
		score(t, all, known, (*vector).expected, func(v *vector) Outcome {
			chain, ok := v.chain()
			if !ok {
				return NotChecked
			}
			q := Query{Chain: chain, Now: now}
			if len(chain[0].CRLDistributionPoints) == 0 {
				q.CRLs = [][]byte{v.blocks["CRL"]}
			}
			c := NewChecker(Config{Fetcher: fetcherFunc(func(context.Context, Request) ([]byte, error) {
				return v.blocks["CRL"], nil
			})})
			return c.Check(t.Context(), q)[0].Outcome
		})
	})
}

func TestOCSPVectors(t *testing.T) {
	t.Parallel()
	expected := map[string]Outcome{
		"good_response.pem": Good, "good_response_sha256.pem": Good, "good_response_next_update.pem": Good,
		"ocsp_sign_direct.pem": Good, "ocsp_sign_indirect.pem": Good, "ocsp_extra_certs.pem": Good,
		"has_version.pem": Good, "has_extension.pem": Good, "has_single_extension.pem": Good,
		"has_critical_ct_extension.pem": Good, "responder_id.pem": Good, "responder_name.pem": Good,
		"good_response_invalid_serial.pem": Good,
		"revoke_response.pem":              Revoked, "revoke_response_reason.pem": Revoked,
	}
	known := map[string]string{
		"good_response_invalid_serial.pem": "crypto/x509 refuses the certificate: its serial number is not in DER",
	}
	score(t, readVectors(t, "ocsp_unittest"), known,
		func(v *vector) Outcome {
			if o, ok := expected[v.name]; ok {
				return o
			}
			return NotChecked
		},
		func(v *vector) Outcome {
			chain, ok := v.chain()
			if !ok {
				return NotChecked
			}
			q := Query{Chain: chain, Staple: v.blocks["OCSP RESPONSE"], Now: time.Unix(1488672000, 0)}
			return (*Checker)(nil).Check(t.Context(), q)[0].Outcome
		})
}
