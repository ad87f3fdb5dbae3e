package tlsengine

import (
	"compress/gzip"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// limboCase is a case of C2SP/x509-limbo, as far as it is used here.
type limboCase struct {
	ID             string    `json:"id"`
	Kind           string    `json:"validation_kind"`
	Anchors        []string  `json:"trusted_certs"`
	Intermediates  []string  `json:"untrusted_intermediates"`
	Leaf           string    `json:"peer_certificate"`
	ValidationTime time.Time `json:"validation_time"`
	PeerName       struct {
		Value string `json:"value"`
	} `json:"expected_peer_name"`
}

// Over every vector: trusted means that Verify agrees, refused comes with a reason and a status to match, and taking an
// anchor away never makes a chain trusted.
func TestLimboInvariants(t *testing.T) {
	t.Parallel()
	folder := os.Getenv("SECURESOCKET_VECTORS")
	if folder == "" {
		t.Skip("SECURESOCKET_VECTORS is not set: the vectors belong to other projects and are not kept here")
	}
	file, err := os.Open(filepath.Join(folder, "limbo.json.gz"))
	require.NoError(t, err)
	defer func() { _ = file.Close() }()
	unzipped, err := gzip.NewReader(file)
	require.NoError(t, err)
	var limbo struct {
		Cases []limboCase `json:"testcases"`
	}
	require.NoError(t, json.NewDecoder(unzipped).Decode(&limbo))
	judged := 0
	for _, c := range limbo.Cases {
		s, presented, ok := c.inputs(t)
		if !ok {
			continue
		}
		judged++
		r := judge(s, presented)
		_, verifyErr := newInquiry(s, presented, r.Time).verify(s.verifyNames[0])
		switch r.Status {
		case StatusTrusted:
			require.NoError(t, verifyErr, c.ID)
			require.Empty(t, r.Problems, c.ID)
		default:
			require.NotEmpty(t, r.Problems, c.ID)
			require.Empty(t, r.VerifiedChain, c.ID)
			_, ok := r.Deciding()
			require.True(t, ok, c.ID)
			if verifyErr == nil {
				require.Contains(t, []ProblemCode{WeakKey, ChainTooLarge}, r.Problems[0].Code, c.ID)
			}
		}
		require.Less(t, r.Took, 2*time.Second, c.ID)
		for i := range s.trust.Anchors {
			fewer := *s
			fewer.trust.Anchors = slices.Delete(slices.Clone(s.trust.Anchors), i, i+1)
			if judge(&fewer, presented).Status == StatusTrusted {
				require.Equal(t, StatusTrusted, r.Status, c.ID)
			}
		}
	}
	require.Greater(t, judged, 1000)
}

// inputs is false for what crypto/tls would not hand to the judge.
func (c *limboCase) inputs(t *testing.T) (*settings, []*x509.Certificate, bool) {
	t.Helper()
	if c.Kind != "SERVER" || c.PeerName.Value == "" {
		return nil, nil, false
	}
	cfg := &Config{VerifyNames: []string{c.PeerName.Value}}
	if !c.ValidationTime.IsZero() {
		cfg.Now = func() time.Time { return c.ValidationTime }
	}
	presented, ok := parsePEM([]string{c.Leaf})
	if !ok {
		return nil, nil, false
	}
	if cfg.Trust.Intermediates, ok = parsePEM(c.Intermediates); !ok {
		return nil, nil, false
	}
	if cfg.Trust.Anchors, ok = parsePEM(c.Anchors); !ok {
		return nil, nil, false
	}
	s, err := cfg.settings()
	return s, presented, err == nil
}

func parsePEM(texts []string) ([]*x509.Certificate, bool) {
	var certs []*x509.Certificate
	for _, text := range texts {
		block, _ := pem.Decode([]byte(text))
		if block == nil {
			return nil, false
		}
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, false
		}
		certs = append(certs, cert)
	}
	return certs, true
}
