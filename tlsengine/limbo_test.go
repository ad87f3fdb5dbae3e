package tlsengine

import (
	"crypto/x509"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// configure adds certificates to the settings.
func (v *vector) configure(to *[]*x509.Certificate, ders [][]byte) {
	for _, der := range ders {
		cert, err := x509.ParseCertificate(der)
		if err != nil {
			v.unusable = true
			return
		}
		*to = append(*to, cert)
	}
}

// score is how a suite went.
type score struct {
	total, plain, ours int
	falseAccepts       []string // of ours, without those that are known
	worse              []string // right by plain Verify, wrong by us
	wrong              []string
}

// plainly is the judgement of Verify alone, as a program would write it.
func (v *vector) plainly() bool {
	if v.unusable {
		return false
	}
	var certs []*x509.Certificate
	for _, der := range v.chain.Certificates {
		cert, err := x509.ParseCertificate(der)
		if err != nil {
			return false
		}
		certs = append(certs, cert)
	}
	opts := x509.VerifyOptions{Roots: x509.NewCertPool(), Intermediates: x509.NewCertPool(),
		CertificatePolicies: v.chain.Policies.Acceptable, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}
	if v.cfg.PeerIsClient {
		opts.KeyUsages = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	}
	for _, cert := range append(certs[1:], v.cfg.Trust.Intermediates...) {
		opts.Intermediates.AddCert(cert)
	}
	for _, cert := range v.cfg.Trust.Anchors {
		opts.Roots.AddCert(cert)
	}
	if v.cfg.Now != nil {
		opts.CurrentTime = v.cfg.Now()
	}
	if len(v.cfg.VerifyNames) > 0 {
		opts.DNSName = v.cfg.VerifyNames[0]
	}
	_, err := certs[0].Verify(opts)
	return err == nil
}

// run judges a suite.
func run(t *testing.T, suite []vector) score {
	t.Helper()
	var s score
	for _, v := range suite {
		s.total++
		r, judged := v.judge(t)
		ours, plain := judged && r.Status == StatusTrusted, v.plainly()
		if plain == v.good {
			s.plain++
		}
		if ours == v.good {
			s.ours++
			continue
		}
		s.wrong = append(s.wrong, v.id)
		if plain == v.good {
			s.worse = append(s.worse, v.id)
		}
		if ours {
			s.falseAccepts = append(s.falseAccepts, v.id)
		}
	}
	return s
}

// split parts limbo into what was written by hand, path building, and name constraints.
func splitLimbo(all []vector) (byHand, building, constraints []vector) {
	for _, v := range all {
		switch {
		case strings.HasPrefix(v.id, "bettertls::pathbuilding"):
			building = append(building, v)
		case strings.HasPrefix(v.id, "bettertls::"):
			constraints = append(constraints, v)
		default:
			byHand = append(byHand, v)
		}
	}
	return byHand, building, constraints
}

func TestLimbo(t *testing.T) {
	t.Parallel()
	byHand, building, constraints := splitLimbo(limbo(t))
	for _, suite := range [][]vector{building, constraints} {
		s := run(t, suite)
		require.Equal(t, s.total, s.ours, s.wrong)
	}
	s := run(t, byHand)
	require.Empty(t, s.worse)
	require.GreaterOrEqual(t, s.ours, s.plain+10)
	requireKnown(t, limboDeviations, s.wrong)
}
