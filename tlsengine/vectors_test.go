package tlsengine

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"encoding/pem"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"securesocket/tlsengine/revocation"
)

// vectors is the folder of other projects' test data.
func vectors(tb testing.TB) string {
	tb.Helper()
	folder := os.Getenv("SECURESOCKET_VECTORS")
	if folder == "" {
		tb.Skip("SECURESOCKET_VECTORS is not set: the vectors belong to other projects and are not kept here")
	}
	return folder
}

// vector is one case of any suite.
type vector struct {
	id       string
	cfg      *Config
	chain    Chain
	unusable bool // an anchor or an intermediate of the settings cannot be read: no one could configure it
	good     bool // what the suite expects
}

// limboCase is a case of C2SP/x509-limbo, as far as it is used here.
type limboCase struct {
	ID            string    `json:"id"`
	Kind          string    `json:"validation_kind"`
	Anchors       []string  `json:"trusted_certs"`
	Intermediates []string  `json:"untrusted_intermediates"`
	Leaf          string    `json:"peer_certificate"`
	Time          time.Time `json:"validation_time"`
	CRLs          []string  `json:"crls"`
	Expected      string    `json:"expected_result"`
	PeerName      struct {
		Value string `json:"value"`
	} `json:"expected_peer_name"`
}

func limbo(tb testing.TB) []vector {
	tb.Helper()
	file, err := os.Open(filepath.Join(vectors(tb), "limbo.json.gz"))
	require.NoError(tb, err)
	defer func() { _ = file.Close() }()
	unzipped, err := gzip.NewReader(file)
	require.NoError(tb, err)
	var suite struct {
		Cases []limboCase `json:"testcases"`
	}
	require.NoError(tb, json.NewDecoder(unzipped).Decode(&suite))
	all := make([]vector, len(suite.Cases))
	for i, c := range suite.Cases {
		all[i] = c.vector()
	}
	return all
}

// vector presents as many intermediates as a peer may, and configures the rest.
func (c *limboCase) vector() vector {
	v := vector{id: c.ID, good: c.Expected == "SUCCESS",
		cfg: &Config{PeerIsClient: c.Kind == "CLIENT", Revocation: revocation.Off}}
	if c.PeerName.Value != "" {
		v.cfg.VerifyNames = []string{c.PeerName.Value}
	}
	if !c.Time.IsZero() {
		v.cfg.Now = func() time.Time { return c.Time }
	}
	if len(c.CRLs) > 0 {
		v.cfg.Revocation = revocation.Hard
		v.chain.CRLs = ders(c.CRLs)
	}
	v.chain.Certificates = ders([]string{c.Leaf})
	presented := ders(c.Intermediates)
	if len(presented) > maxPresented-1 {
		v.configure(&v.cfg.Trust.Intermediates, presented)
	} else {
		v.chain.Certificates = append(v.chain.Certificates, presented...)
	}
	v.configure(&v.cfg.Trust.Anchors, ders(c.Anchors))
	return v
}

func ders(texts []string) [][]byte {
	var all [][]byte
	for _, text := range texts {
		if block, _ := pem.Decode([]byte(text)); block != nil {
			all = append(all, block.Bytes)
		}
	}
	return all
}

// The invariants of every judgement, over every vector.
func TestInvariants(t *testing.T) {
	t.Parallel()
	all := append(limbo(t), boringSSL(t)...)
	all = append(all, pkits(t)...)
	trusted := 0
	for _, v := range all {
		if r, ok := v.judge(t); ok {
			v.requireInvariants(t, r)
			if r.Status == StatusTrusted {
				trusted++
			}
		}
	}
	require.Greater(t, trusted, 200)
	require.Greater(t, len(all)-trusted, 400)
}

func (v *vector) judge(tb testing.TB) (*Report, bool) {
	tb.Helper()
	if v.unusable {
		return nil, false
	}
	s, err := v.settings(v.cfg)
	var refused *ConfigError
	if errors.As(err, &refused) {
		return nil, false
	}
	require.NoError(tb, err, v.id)
	return v.chain.judge(tb.Context(), s), true
}

// settings allows a server's chain that is for nobody in particular, which Config does not.
func (v *vector) settings(cfg *Config) (*settings, error) {
	nameless := *cfg
	nameless.PeerIsClient = nameless.PeerIsClient || len(cfg.VerifyNames) == 0
	s, err := nameless.settings()
	if err == nil {
		s.Config = cfg
	}
	return s, err
}

// requireInvariants: trusted means that Verify agrees; refused comes with a reason and a status to match; what is stricter
// than Verify is all that is found on a chain of Verify's; an anchor that goes never makes a chain trusted; an override
// changes nothing of the list.
func (v *vector) requireInvariants(tb testing.TB, r *Report) {
	tb.Helper()
	s, err := v.settings(v.cfg)
	require.NoError(tb, err, v.id)
	var verified error
	if len(r.PeerChain) > 0 {
		q := newInquiry(tb.Context(), s, evidence{chain: r.PeerChain, policies: v.chain.Policies}, r.Time)
		name, named := q.name()
		_, verified = q.verify(name)
		if r.Status == StatusTrusted {
			require.True(tb, named, v.id)
		} else if verified == nil && named {
			for _, p := range r.Problems {
				require.Contains(tb, []ProblemCode{WeakKey, ChainTooLarge, InvalidPurpose, MalformedCertificate, NameConstraintViolated,
					UnspecifiedError, PinMismatch, CertificateRevoked, RevocationUnknown, StapleRequired}, p.Code, v.id)
			}
		}
	}
	if r.Status == StatusTrusted {
		require.NoError(tb, verified, v.id)
		require.Empty(tb, r.Problems, v.id)
		require.Equal(tb, BasisValidated, r.Basis, v.id)
		require.NotEmpty(tb, r.VerifiedChain, v.id)
		require.False(tb, r.Overridable(), v.id)
	} else {
		require.NotEmpty(tb, r.Problems, v.id)
		require.Empty(tb, r.VerifiedChain, v.id)
		require.Equal(tb, BasisNone, r.Basis, v.id)
		require.Equal(tb, statusOf(r.Problems), r.Status, v.id)
		for _, p := range r.Problems {
			require.Contains(tb, problemNames, p.Code, v.id)
			require.NotEmpty(tb, p.Message, v.id)
			require.NotEmpty(tb, p.Hint, v.id)
			if p.Depth >= 0 && p.Certificate != nil {
				require.True(tb, r.JudgedPath[p.Depth].Equal(p.Certificate), v.id)
			}
		}
		over := r.overridden()
		require.Equal(tb, StatusTrusted, over.Status)
		require.Equal(tb, BasisOverride, over.Basis)
		require.Equal(tb, r.Problems, over.Problems)
	}
	if r.Status != StatusTrusted {
		for i := range v.cfg.Trust.Anchors {
			fewer := *v.cfg
			fewer.Trust.Anchors = slices.Delete(slices.Clone(v.cfg.Trust.Anchors), i, i+1)
			s, err := v.settings(&fewer)
			require.NoError(tb, err, v.id)
			require.NotEqual(tb, StatusTrusted, v.chain.judge(tb.Context(), s).Status, v.id)
		}
	}
	for _, cert := range r.PeerChain {
		require.True(tb, slices.ContainsFunc(v.chain.Certificates, func(der []byte) bool { return bytes.Equal(der, cert.Raw) }), v.id)
	}
}
