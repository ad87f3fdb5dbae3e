package tlsengine

import (
	"archive/tar"
	"compress/gzip"
	"encoding/json"
	"encoding/pem"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"securesocket/tlsengine/revocation"
)

// boringCase is a case of BoringSSL's verify_certificate_chain_unittest.
type boringCase struct {
	Errors   []string `json:"errors"`
	Settings struct {
		Purpose string `json:"key_purpose"`
		Anchor  string `json:"last_cert_trust"`
		Time    string `json:"utc_time"`
	} `json:"kv"`
}

// boringSSL gives the cases for the purposes that TLS has; BoringSSL knows stricter ones and others beside them.
func boringSSL(tb testing.TB) []vector {
	tb.Helper()
	folder := vectors(tb)
	text, err := os.ReadFile(filepath.Join(folder, "boringssl-chain-expected.json"))
	require.NoError(tb, err)
	var cases map[string]boringCase
	require.NoError(tb, json.Unmarshal(text, &cases))
	files := untar(tb, filepath.Join(folder, "boringssl-pki.tar.gz"))
	var all []vector
	for id, c := range cases {
		if c.Settings.Purpose != "SERVER_AUTH" && c.Settings.Purpose != "CLIENT_AUTH" {
			continue
		}
		at := time.Date(2021, 10, 5, 12, 0, 0, 0, time.UTC)
		if c.Settings.Time != "DEFAULT" {
			at, err = time.Parse("060102150405Z", c.Settings.Time)
			require.NoError(tb, err, id)
		}
		v := vector{id: id, good: !slices.ContainsFunc(c.Errors, func(s string) bool { return strings.HasPrefix(s, "ERROR") }),
			cfg: &Config{PeerIsClient: c.Settings.Purpose == "CLIENT_AUTH", Revocation: revocation.Off,
				Now: func() time.Time { return at }}}
		for rest := files["verify_certificate_chain_unittest/"+filepath.Dir(id)+"/chain.pem"]; ; {
			var block *pem.Block
			if block, rest = pem.Decode(rest); block == nil {
				break
			}
			v.chain.Certificates = append(v.chain.Certificates, block.Bytes)
		}
		last := len(v.chain.Certificates) - 1
		require.Positive(tb, last, id)
		v.configure(&v.cfg.Trust.Anchors, v.chain.Certificates[last:])
		v.chain.Certificates = v.chain.Certificates[:last]
		all = append(all, v)
	}
	slices.SortFunc(all, func(a, b vector) int { return strings.Compare(a.id, b.id) })
	require.NotEmpty(tb, all)
	return all
}

func untar(tb testing.TB, name string) map[string][]byte {
	tb.Helper()
	file, err := os.Open(name)
	require.NoError(tb, err)
	defer func() { _ = file.Close() }()
	unzipped, err := gzip.NewReader(file)
	require.NoError(tb, err)
	files := make(map[string][]byte)
	for r := tar.NewReader(unzipped); ; {
		header, err := r.Next()
		if errors.Is(err, io.EOF) {
			return files
		}
		require.NoError(tb, err)
		files[header.Name], err = io.ReadAll(r)
		require.NoError(tb, err)
	}
}

func TestBoringSSL(t *testing.T) {
	t.Parallel()
	s := run(t, boringSSL(t))
	require.Empty(t, s.falseAccepts)
	require.Empty(t, s.worse)
	requireKnown(t, boringDeviations, s.wrong)
}
