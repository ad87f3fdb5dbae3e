package tlsengine_test

import (
	"crypto/x509"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/ocsp"

	"securesocket/tlsengine"
	"securesocket/tlsengine/forge"
	"securesocket/tlsengine/revocation"
	"securesocket/tlsengine/tlstest"
)

func TestRevocation(t *testing.T) {
	t.Parallel()
	root := tlstest.NewCA(t)
	inter := root.Intermediate()
	leaf, strict, old := inter.Leaf(), inter.Leaf(forge.MustStaple()), inter.Leaf(tlstest.Expired())
	stranger := tlstest.NewCA(t).Leaf()
	rootCRL, interCRL := root.CRL(forge.List{}), inter.CRL(forge.List{})
	staple := func(cert *x509.Certificate, status int) []byte {
		return inter.OCSP(forge.Answer{Serial: cert.SerialNumber, Status: status})
	}
	rows := map[string]struct {
		id       *tlstest.Identity
		mode     revocation.Mode
		staple   []byte
		crls     [][]byte
		want     string
		status   tlsengine.Status
		warnings int // of a trusted chain
	}{
		"not set, revoked": {leaf, 0, nil, [][]byte{inter.CRL(forge.List{Revoked: []*x509.Certificate{leaf.Leaf}})}, "",
			tlsengine.StatusTrusted, 1},
		"off, revoked":         {leaf, revocation.Off, staple(leaf.Leaf, ocsp.Revoked), nil, "", tlsengine.StatusTrusted, 1},
		"off, staple required": {strict, revocation.Off, nil, nil, "", tlsengine.StatusTrusted, 1},
		"soft, nothing known":  {leaf, revocation.Soft, nil, nil, "", tlsengine.StatusTrusted, 2},
		"soft, leaf known":     {leaf, revocation.Soft, staple(leaf.Leaf, ocsp.Good), nil, "", tlsengine.StatusTrusted, 1},
		"soft, all known":      {leaf, revocation.Soft, nil, [][]byte{rootCRL, interCRL}, "", tlsengine.StatusTrusted, 0},
		"soft, leaf revoked": {leaf, revocation.Soft, staple(leaf.Leaf, ocsp.Revoked), nil, "CERTIFICATE_REVOKED@0",
			tlsengine.StatusRevoked, 0},
		"soft, authority revoked": {leaf, revocation.Soft, nil,
			[][]byte{interCRL, root.CRL(forge.List{Revoked: []*x509.Certificate{inter.Certificate}})}, "CERTIFICATE_REVOKED@1",
			tlsengine.StatusInvalidChain, 0},
		"soft, both revoked": {leaf, revocation.Soft, staple(leaf.Leaf, ocsp.Revoked),
			[][]byte{root.CRL(forge.List{Revoked: []*x509.Certificate{inter.Certificate}})}, "CERTIFICATE_REVOKED@0 CERTIFICATE_REVOKED@1",
			tlsengine.StatusRevoked, 0},
		"soft, staple required":       {strict, revocation.Soft, nil, nil, "STAPLE_REQUIRED@0", tlsengine.StatusUnknown, 0},
		"soft, required staple comes": {strict, revocation.Soft, staple(strict.Leaf, ocsp.Good), nil, "", tlsengine.StatusTrusted, 1},
		"hard, nothing known": {leaf, revocation.Hard, nil, nil, "REVOCATION_UNKNOWN@0 REVOCATION_UNKNOWN@1",
			tlsengine.StatusUnknown, 0},
		"hard, leaf known": {leaf, revocation.Hard, staple(leaf.Leaf, ocsp.Good), nil, "REVOCATION_UNKNOWN@1",
			tlsengine.StatusUnknown, 0},
		"hard, staple of the leaf says unknown": {leaf, revocation.Hard, staple(leaf.Leaf, ocsp.Unknown), [][]byte{rootCRL},
			"REVOCATION_UNKNOWN@0", tlsengine.StatusUnknown, 0},
		"hard, all known": {leaf, revocation.Hard, staple(leaf.Leaf, ocsp.Good), [][]byte{rootCRL}, "", tlsengine.StatusTrusted, 0},
		"expired and revoked": {old, revocation.Soft, nil, [][]byte{inter.CRL(forge.List{Revoked: []*x509.Certificate{old.Leaf}})},
			"CERTIFICATE_EXPIRED@0 CERTIFICATE_REVOKED@0", tlsengine.StatusRevoked, 0},
		"expired and not revoked": {old, revocation.Soft, nil, [][]byte{interCRL}, "CERTIFICATE_EXPIRED@0", tlsengine.StatusExpired, 0},
		"expired, hard": {old, revocation.Hard, nil, [][]byte{interCRL}, "CERTIFICATE_EXPIRED@0 REVOCATION_UNKNOWN@1",
			tlsengine.StatusExpired, 0},
		"of a stranger": {stranger, revocation.Soft, staple(stranger.Leaf, ocsp.Revoked), nil,
			"UNABLE_TO_GET_LOCAL_ISSUER_CERTIFICATE@0 UNABLE_TO_VERIFY_FIRST_CERTIFICATE@0", tlsengine.StatusUntrustedSigners, 0},
	}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := trusting(root)
			cfg.Revocation = row.mode
			r := validate(t, cfg, tlsengine.Chain{Certificates: row.id.Chain, Staple: row.staple, CRLs: row.crls})
			require.Equal(t, row.want, problems(r))
			require.Equal(t, row.status, r.Status)
			require.Len(t, r.Warnings, row.warnings)
			require.Equal(t, row.mode > revocation.Off && r.Status != tlsengine.StatusUntrustedSigners && row.id != old,
				!r.RevocationStarted.IsZero(), "only a verified chain is asked about")
			if row.want != "" {
				require.True(t, r.Overridable())
			}
		})
	}
}

func TestAStapleOfTheHandshakeCounts(t *testing.T) {
	t.Parallel()
	bothVersions(t, func(t *testing.T, version uint16) {
		ca := tlstest.NewCA(t)
		id := ca.Leaf(forge.MustStaple())
		for status, want := range map[int]string{ocsp.Good: "", ocsp.Revoked: "CERTIFICATE_REVOKED@0"} {
			conf := serverConfig(id, version)
			conf.Certificates[0].OCSPStaple = ca.OCSP(forge.Answer{Serial: id.Leaf.SerialNumber, Status: status})
			cfg := trusting(ca)
			cfg.Revocation = revocation.Hard
			conn, err := client(t, tlstest.Serve(t, conf, tlstest.Echo), cfg)
			if want == "" {
				require.NoError(t, err)
				require.Equal(t, revocation.Staple, conn.Report().Revocation[0].Source)
				continue
			}
			r := requireRefused(t, err)
			require.Equal(t, want, problems(r))
			require.Equal(t, tlsengine.StatusRevoked, r.Status)
		}
	})
}

// Whoever accepts a wrong name has not accepted that nothing is known about revocation.
func TestRevocationOfAWrongName(t *testing.T) {
	t.Parallel()
	ca := tlstest.NewCA(t)
	id := ca.Leaf()
	for want, staple := range map[string][]byte{
		"HOST_NAME_MISMATCH@0":                       ca.OCSP(forge.Answer{Serial: id.Leaf.SerialNumber}),
		"HOST_NAME_MISMATCH@0 REVOCATION_UNKNOWN@0":  nil,
		"HOST_NAME_MISMATCH@0 CERTIFICATE_REVOKED@0": ca.OCSP(forge.Answer{Serial: id.Leaf.SerialNumber, Status: ocsp.Revoked}),
	} {
		cfg := trusting(ca)
		cfg.VerifyNames, cfg.Revocation = []string{"other.example"}, revocation.Hard
		r := validate(t, cfg, tlsengine.Chain{Certificates: id.Chain, Staple: staple})
		require.Equal(t, want, problems(r))
		require.False(t, r.RevocationStarted.IsZero())
	}
}

// A chain whose authority was revoked is no reason to refuse a leaf that has another.
func TestAnUnrevokedChainIsTaken(t *testing.T) {
	t.Parallel()
	one, two := tlstest.NewCA(t, tlstest.CommonName("One")), tlstest.NewCA(t, tlstest.CommonName("Two"))
	inter := one.Intermediate()
	cross := two.CrossSign(inter)
	id := inter.Leaf().Append(cross.DER())
	revoking := map[*tlstest.CA]*x509.Certificate{one: inter.Certificate, two: cross.Certificate}
	for bad, cert := range revoking {
		var crls [][]byte
		for ca := range revoking {
			var list forge.List
			if ca == bad {
				list.Revoked = []*x509.Certificate{cert}
			}
			crls = append(crls, ca.CRL(list))
		}
		r := validate(t, &tlsengine.Config{VerifyNames: []string{"localhost"}, Trust: anchors(one.Certificate, two.Certificate),
			Revocation: revocation.Soft}, tlsengine.Chain{Certificates: id.Chain, CRLs: crls})
		require.Equal(t, tlsengine.StatusTrusted, r.Status)
		require.False(t, r.VerifiedChain[2].Equal(bad.Certificate))
	}
}

// Nor is one with a weak key.
func TestASoundChainIsTaken(t *testing.T) {
	t.Parallel()
	weak, good := tlstest.NewCA(t, tlstest.CommonName("Weak"), tlstest.RSA(1024)), tlstest.NewCA(t, tlstest.CommonName("Good"))
	inter := weak.Intermediate()
	id := inter.Leaf().Append(good.CrossSign(inter).DER())
	r := validate(t, &tlsengine.Config{VerifyNames: []string{"localhost"}, Trust: anchors(weak.Certificate, good.Certificate)},
		tlsengine.Chain{Certificates: id.Chain})
	require.Equal(t, tlsengine.StatusTrusted, r.Status)
	require.True(t, r.VerifiedChain[2].Equal(good.Certificate))
}

func TestWarnings(t *testing.T) {
	t.Parallel()
	ca := tlstest.NewCA(t)
	day := 24 * time.Hour
	for name, row := range map[string]struct {
		leaf  opts
		store string
		want  int
	}{
		"none but revocation":    {nil, "session", 1},
		"no timestamps":          {nil, "system", 2},
		"valid for two years":    {opts{tlstest.Validity(time.Now().Add(-day), time.Now().Add(700*day))}, "", 2},
		"expires in a week":      {opts{tlstest.Validity(time.Now().Add(-day), time.Now().Add(7*day))}, "", 2},
		"expires in three weeks": {opts{tlstest.Validity(time.Now().Add(-day), time.Now().Add(21*day))}, "", 1},
	} {
		cfg := trusting(ca)
		cfg.Trust.Name = row.store
		r := validate(t, cfg, tlsengine.Chain{Certificates: ca.Leaf(row.leaf...).Chain})
		require.Len(t, r.Warnings, row.want, name)
	}
	old := tlstest.NewCA(t, tlstest.RSA(2048), tlstest.SignatureAlgorithm(x509.SHA1WithRSA))
	r := validate(t, trusting(old), tlsengine.Chain{Certificates: old.Leaf(tlstest.SignatureAlgorithm(x509.SHA256WithRSA)).Chain})
	require.Equal(t, tlsengine.StatusTrusted, r.Status)
	require.Len(t, r.Warnings, 2, "revocation, and the anchor's own signature")
}
