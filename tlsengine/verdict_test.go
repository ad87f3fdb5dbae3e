package tlsengine_test

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"strings"
	"testing"
	"time"

	"securesocket/tlsengine"
	"securesocket/tlsengine/tlstest"

	"github.com/stretchr/testify/require"
)

func requireRefused(t *testing.T, err error) *tlsengine.Report {
	t.Helper()
	var ce *tlsengine.CertificateError
	require.ErrorAs(t, err, &ce)
	require.NotEqual(t, tlsengine.StatusTrusted, ce.Report.Status)
	require.Equal(t, tlsengine.BasisNone, ce.Report.Basis)
	require.NotEmpty(t, ce.Report.Problems)
	require.Empty(t, ce.Report.VerifiedChain)
	for _, p := range ce.Report.Problems {
		require.NotEmpty(t, p.Message)
		require.NotEmpty(t, p.Hint)
		require.True(t, isPrintable(p.Message), "%q", p.Message)
		if p.Depth >= 0 && p.Certificate != nil {
			require.True(t, ce.Report.JudgedPath[p.Depth].Equal(p.Certificate))
		}
	}
	return ce.Report
}

func isPrintable(s string) bool {
	return strings.IndexFunc(s, func(r rune) bool { return r < 0x20 || r > 0x7e }) < 0
}

// problems writes a report as the tables below do.
func problems(r *tlsengine.Report) string {
	var all []string
	for _, p := range r.Problems {
		all = append(all, fmt.Sprintf("%s@%d", p.Code, p.Depth))
	}
	return strings.Join(all, " ")
}

// judged is a chain as a peer presents it, and what it is to be judged by.
type judged struct {
	id    *tlstest.Identity
	trust tlsengine.Trust
	names []string // nil: localhost
}

func anchors(certs ...*x509.Certificate) tlsengine.Trust { return tlsengine.Trust{Anchors: certs} }

// under makes root, intermediate and leaf, with options for each.
func under(root, inter, leaf []tlstest.Option) func(*testing.T) judged {
	return func(t *testing.T) judged {
		ca := tlstest.NewCA(t, root...)
		return judged{id: ca.Intermediate(inter...).Leaf(leaf...), trust: anchors(ca.Certificate)}
	}
}

type opts = []tlstest.Option

func TestLists(t *testing.T) {
	t.Parallel()
	rows := map[string]struct {
		make   func(*testing.T) judged
		status tlsengine.Status
		want   string
	}{
		"good": {under(nil, nil, nil), tlsengine.StatusTrusted, ""},
		"good, anchor in Roots": {func(t *testing.T) judged {
			ca := tlstest.NewCA(t)
			return judged{id: ca.Intermediate().Leaf(), trust: tlsengine.Trust{Roots: ca.Pool()}}
		}, tlsengine.StatusTrusted, ""},
		"good, root sent": {func(t *testing.T) judged {
			ca := tlstest.NewCA(t)
			return judged{id: ca.Intermediate().Leaf().Append(ca.DER()), trust: anchors(ca.Certificate)}
		}, tlsengine.StatusTrusted, ""},
		"good, sent twice": {func(t *testing.T) judged {
			ca := tlstest.NewCA(t)
			id := ca.Intermediate().Leaf()
			return judged{id: id.Append(id.Chain...), trust: anchors(ca.Certificate)}
		}, tlsengine.StatusTrusted, ""},
		"expired leaf": {under(nil, nil, opts{tlstest.Expired()}), tlsengine.StatusExpired, "CERTIFICATE_EXPIRED@0"},
		"not yet valid": {under(nil, nil, opts{tlstest.NotYetValid()}), tlsengine.StatusNotYetValid,
			"CERTIFICATE_NOT_YET_VALID@0"},
		"wrong host": {under(nil, nil, opts{tlstest.Names("other.example")}), tlsengine.StatusPrincipalMismatch,
			"HOST_NAME_MISMATCH@0"},
		"common name only": {under(nil, nil, opts{tlstest.Names(), tlstest.CommonName("localhost")}),
			tlsengine.StatusPrincipalMismatch, "HOST_NAME_MISMATCH@0"},
		"self-signed leaf": {func(t *testing.T) judged { return judged{id: tlstest.SelfSigned(t)} },
			tlsengine.StatusUntrustedSigners, "SELF_SIGNED_CERTIFICATE@0"},
		"self-signed leaf, an anchor": {func(t *testing.T) judged {
			id := tlstest.SelfSigned(t)
			return judged{id: id, trust: anchors(id.Leaf)}
		}, tlsengine.StatusTrusted, ""},
		"expired self-signed anchor": {func(t *testing.T) judged {
			id := tlstest.SelfSigned(t, tlstest.Expired())
			return judged{id: id, trust: anchors(id.Leaf)}
		}, tlsengine.StatusExpired, "CERTIFICATE_EXPIRED@0"},
		"unknown root, sent": {func(t *testing.T) judged {
			ca := tlstest.NewCA(t)
			return judged{id: ca.Intermediate().Leaf().Append(ca.DER())}
		}, tlsengine.StatusUntrustedSigners, "SELF_SIGNED_CERTIFICATE_IN_CHAIN@2"},
		"root of the same name, sent": {func(t *testing.T) judged {
			ca := tlstest.NewCA(t)
			return judged{id: ca.Intermediate().Leaf().Append(ca.DER()), trust: anchors(tlstest.NewCA(t).Certificate)}
		}, tlsengine.StatusUntrustedSigners, "SELF_SIGNED_CERTIFICATE_IN_CHAIN@2"},
		"unknown root, not sent": {func(t *testing.T) judged {
			return judged{id: tlstest.NewCA(t).Intermediate().Leaf()}
		}, tlsengine.StatusUntrustedSigners, "UNABLE_TO_GET_LOCAL_ISSUER_CERTIFICATE@1"},
		"root of the same name, not sent": {func(t *testing.T) judged {
			return judged{id: tlstest.NewCA(t).Intermediate().Leaf(), trust: tlsengine.Trust{Roots: tlstest.NewCA(t).Pool()}}
		}, tlsengine.StatusUntrustedSigners, "UNABLE_TO_GET_LOCAL_ISSUER_CERTIFICATE@1"},
		"intermediate missing": {func(t *testing.T) judged {
			ca := tlstest.NewCA(t)
			id := ca.Intermediate().Leaf()
			id.Chain = id.Chain[:1]
			return judged{id: id, trust: anchors(ca.Certificate)}
		}, tlsengine.StatusUntrustedSigners, "UNABLE_TO_GET_LOCAL_ISSUER_CERTIFICATE@0 UNABLE_TO_VERIFY_FIRST_CERTIFICATE@0"},
		"intermediate added": {func(t *testing.T) judged {
			ca := tlstest.NewCA(t)
			inter := ca.Intermediate()
			id := inter.Leaf()
			id.Chain = id.Chain[:1]
			trust := anchors(ca.Certificate)
			trust.Intermediates = []*x509.Certificate{inter.Certificate}
			return judged{id: id, trust: trust}
		}, tlsengine.StatusTrusted, ""},
		"intermediate added as anchor": {func(t *testing.T) judged {
			inter := tlstest.NewCA(t).Intermediate()
			id := inter.Leaf()
			id.Chain = id.Chain[:1]
			return judged{id: id, trust: anchors(inter.Certificate)}
		}, tlsengine.StatusTrusted, ""},
		"expired intermediate": {under(nil, opts{tlstest.Expired()}, nil), tlsengine.StatusInvalidChain,
			"CERTIFICATE_EXPIRED@1"},
		"expired anchor": {under(opts{tlstest.Expired()}, nil, nil), tlsengine.StatusInvalidChain, "CERTIFICATE_EXPIRED@2"},
		"intermediate with cA = FALSE": {under(nil, opts{tlstest.NotCA()}, nil), tlsengine.StatusInvalidChain,
			"INVALID_CA_CERTIFICATE@1 INVALID_PURPOSE@1"},
		"intermediate without basic constraints": {under(nil, opts{tlstest.WithoutBasicConstraints()}, nil),
			tlsengine.StatusInvalidChain, "INVALID_CA_CERTIFICATE@1"},
		"intermediate without keyCertSign": {under(nil, opts{tlstest.WithoutCertSign()}, nil), tlsengine.StatusInvalidChain,
			"INVALID_CA_CERTIFICATE@1 INVALID_PURPOSE@1 UNSPECIFIED_ERROR@1"},
		"path length exceeded": {func(t *testing.T) judged {
			ca := tlstest.NewCA(t)
			return judged{id: ca.Intermediate(tlstest.PathLen(0)).Intermediate(tlstest.CommonName("Low")).Leaf(),
				trust: anchors(ca.Certificate)}
		}, tlsengine.StatusInvalidChain, "PATH_LENGTH_EXCEEDED@2"},
		"path length exceeded at the anchor": {under(opts{tlstest.PathLen(0)}, nil, nil), tlsengine.StatusInvalidChain,
			"PATH_LENGTH_EXCEEDED@2"},
		"leaf for clientAuth only": {under(nil, nil, opts{tlstest.ExtKeyUsage(x509.ExtKeyUsageClientAuth)}),
			tlsengine.StatusInvalid, "INVALID_PURPOSE@0"},
		"leaf for any purpose": {under(nil, nil, opts{tlstest.ExtKeyUsage(x509.ExtKeyUsageAny)}), tlsengine.StatusTrusted, ""},
		"intermediate for clientAuth only": {under(nil, opts{tlstest.ExtKeyUsage(x509.ExtKeyUsageClientAuth)}, nil),
			tlsengine.StatusInvalidChain, "INVALID_PURPOSE@1"},
		"name constraint violated": {under(nil, opts{tlstest.PermittedDNS("example.com")}, nil),
			tlsengine.StatusInvalidChain, "NAME_CONSTRAINT_VIOLATED@0"},
		"name constraint of the anchor violated": {under(opts{tlstest.PermittedDNS("example.com")}, nil, nil),
			tlsengine.StatusInvalidChain, "NAME_CONSTRAINT_VIOLATED@0"},
		"critical extension, leaf": {under(nil, nil, opts{tlstest.CriticalExtension()}), tlsengine.StatusInvalid,
			"UNHANDLED_CRITICAL_EXTENSION@0"},
		"critical extension, intermediate": {under(nil, opts{tlstest.CriticalExtension()}, nil), tlsengine.StatusInvalidChain,
			"UNHANDLED_CRITICAL_EXTENSION@1"},
		"critical extension, anchor": {under(opts{tlstest.CriticalExtension()}, nil, nil), tlsengine.StatusInvalidChain,
			"UNHANDLED_CRITICAL_EXTENSION@2"},
		"critical extension, anchor in Roots": {func(t *testing.T) judged {
			ca := tlstest.NewCA(t, tlstest.CriticalExtension())
			return judged{id: ca.Leaf(), trust: tlsengine.Trust{Roots: ca.Pool()}}
		}, tlsengine.StatusInvalidChain, "UNHANDLED_CRITICAL_EXTENSION@1"},
		"SHA-1 leaf": {under(nil, opts{tlstest.RSA(2048)}, opts{tlstest.SignatureAlgorithm(x509.SHA1WithRSA)}),
			tlsengine.StatusInvalid, "WEAK_SIGNATURE@0"},
		"SHA-1 intermediate": {under(opts{tlstest.RSA(2048)}, opts{tlstest.SignatureAlgorithm(x509.SHA1WithRSA)}, nil),
			tlsengine.StatusInvalidChain, "WEAK_SIGNATURE@1"},
		"RSA-1024 leaf": {under(nil, nil, opts{tlstest.RSA(1024)}), tlsengine.StatusInvalid, "WEAK_KEY@0"},
		"bad leaf signature": {under(nil, nil, opts{tlstest.BadSignature()}), tlsengine.StatusInvalid,
			"CERTIFICATE_SIGNATURE_FAILED@0"},
		"bad leaf signature below a root": {func(t *testing.T) judged {
			ca := tlstest.NewCA(t)
			return judged{id: ca.Leaf(tlstest.BadSignature()), trust: tlsengine.Trust{Roots: ca.Pool()}}
		}, tlsengine.StatusInvalid, "CERTIFICATE_SIGNATURE_FAILED@0"},
		"bad intermediate signature": {under(nil, opts{tlstest.BadSignature()}, nil), tlsengine.StatusInvalidChain,
			"CERTIFICATE_SIGNATURE_FAILED@1"},

		// Several defects at once give the union, and the most serious decides.
		"wrong host, expired": {under(nil, nil, opts{tlstest.Names("other.example"), tlstest.Expired()}),
			tlsengine.StatusPrincipalMismatch, "HOST_NAME_MISMATCH@0 CERTIFICATE_EXPIRED@0"},
		"expired, unknown root": {func(t *testing.T) judged {
			return judged{id: tlstest.NewCA(t).Intermediate().Leaf(tlstest.Expired())}
		}, tlsengine.StatusUntrustedSigners, "UNABLE_TO_GET_LOCAL_ISSUER_CERTIFICATE@1 CERTIFICATE_EXPIRED@0"},
		"wrong host, expired, self-signed": {func(t *testing.T) judged {
			return judged{id: tlstest.SelfSigned(t, tlstest.Expired(), tlstest.Names("other.example"))}
		}, tlsengine.StatusUntrustedSigners, "HOST_NAME_MISMATCH@0 SELF_SIGNED_CERTIFICATE@0 CERTIFICATE_EXPIRED@0"},
		"wrong host, expired intermediate": {under(nil, opts{tlstest.Expired()}, opts{tlstest.Names("other.example")}),
			tlsengine.StatusInvalidChain, "HOST_NAME_MISMATCH@0 CERTIFICATE_EXPIRED@1"},
		"expired everywhere": {under(opts{tlstest.Expired()}, opts{tlstest.Expired()}, opts{tlstest.Expired()}),
			tlsengine.StatusInvalidChain, "CERTIFICATE_EXPIRED@2 CERTIFICATE_EXPIRED@1 CERTIFICATE_EXPIRED@0"},
		"expired, for clientAuth": {under(nil, nil, opts{tlstest.Expired(), tlstest.ExtKeyUsage(x509.ExtKeyUsageClientAuth)}),
			tlsengine.StatusExpired, "INVALID_PURPOSE@0 CERTIFICATE_EXPIRED@0"},
		"bad signature, wrong host, expired intermediate": {
			under(nil, opts{tlstest.Expired()}, opts{tlstest.BadSignature(), tlstest.Names("other.example")}),
			tlsengine.StatusInvalidChain, "HOST_NAME_MISMATCH@0 CERTIFICATE_EXPIRED@1 CERTIFICATE_SIGNATURE_FAILED@0"},
		"name constraint, expired": {under(nil, opts{tlstest.PermittedDNS("example.com")}, opts{tlstest.Expired()}),
			tlsengine.StatusInvalidChain, "CERTIFICATE_EXPIRED@0 NAME_CONSTRAINT_VIOLATED@0"},
	}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			j := row.make(t)
			r := report(t, j)
			require.Equal(t, row.want, problems(r))
			require.Equal(t, row.status, r.Status, r.Status.String())
			if row.status == tlsengine.StatusTrusted {
				require.NotEmpty(t, r.Warnings)
				require.Equal(t, tlsengine.BasisValidated, r.Basis)
				require.Equal(t, r.VerifiedChain, r.JudgedPath)
				return
			}
			deciding, ok := r.Deciding()
			require.True(t, ok)
			require.NotNil(t, deciding.Certificate)
		})
	}
}

// report judges through a handshake.
func report(t *testing.T, j judged) *tlsengine.Report {
	t.Helper()
	if j.names == nil {
		j.names = []string{"localhost"}
	}
	address := tlstest.Serve(t, serverConfig(j.id, tls.VersionTLS13), tlstest.Echo)
	conn, err := client(t, address, &tlsengine.Config{VerifyNames: j.names, Trust: j.trust})
	if err != nil {
		return requireRefused(t, err)
	}
	require.Equal(t, tlsengine.StatusTrusted, conn.Report().Status)
	require.Empty(t, conn.Report().Problems)
	return conn.Report()
}

func TestVerifyNames(t *testing.T) {
	t.Parallel()
	ca := tlstest.NewCA(t)
	id := ca.Leaf(tlstest.Names("a.example", "*.w.example", "xn--bcher-kva.example", "under_score.example",
		"r3---sn.example", "127.0.0.1", "2001:db8::1", "uri:spiffe://trust/one"))
	address := tlstest.Serve(t, serverConfig(id, tls.VersionTLS13), tlstest.Echo)
	for name, want := range map[string]bool{
		"a.example": true, "A.Example.": true, "b.example": false, "x.w.example": true, "w.example": false,
		"x.y.w.example": false, "bücher.example": true, "BÜCHER.example": true, "xn--bcher-kva.example": true,
		"under_score.example": true, "r3---sn.example": true, "127.0.0.1": true, "::ffff:127.0.0.1": true, "127.0.0.2": false,
		"2001:DB8:0::1": true, "2001:db8::1%eth0": true, "uri:spiffe://trust/one": true, "uri:spiffe://trust/on": false,
		"uri:SPIFFE://trust/one": false, "uri:a.example": false,
	} {
		cfg := trusting(ca)
		cfg.VerifyNames = []string{name}
		conn, err := client(t, address, cfg)
		if want {
			require.NoError(t, err, name)
			require.Equal(t, name, conn.Report().VerifyName)
			continue
		}
		require.Equal(t, tlsengine.StatusPrincipalMismatch, requireRefused(t, err).Status, name)

		cfg.VerifyNames = []string{name, "a.example"}
		conn, err = client(t, address, cfg)
		require.NoError(t, err, "one of the names is enough")
		require.Equal(t, "a.example", conn.Report().VerifyName)

		// A matching name does not help an unknown authority.
		cfg.Trust = tlsengine.Trust{}
		_, err = client(t, address, cfg)
		require.Equal(t, tlsengine.StatusUntrustedSigners, requireRefused(t, err).Status)
	}
}

func TestChainBounds(t *testing.T) {
	t.Parallel()
	ca := tlstest.NewCA(t)
	var many [][]byte
	for range 16 {
		many = append(many, ca.Leaf().Leaf.Raw)
	}
	huge := ca.Leaf(tlstest.Padding(33 << 10)).Leaf.Raw
	var large [][]byte
	for range 5 {
		large = append(large, ca.Leaf(tlstest.Padding(30<<10)).Leaf.Raw)
	}
	for name, extra := range map[string][][]byte{"too many": many, "one too large": {huge}, "too large in all": large} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := report(t, judged{id: ca.Leaf().Append(extra...), trust: anchors(ca.Certificate)})
			require.Equal(t, "CHAIN_TOO_LARGE@-1", problems(r))
			require.Equal(t, tlsengine.StatusUnknown, r.Status)
			require.LessOrEqual(t, len(r.PeerChain), 16)
		})
	}
	r := report(t, judged{id: ca.Leaf().Append(many[:15]...), trust: anchors(ca.Certificate)})
	require.Len(t, r.PeerChain, 16)
}

// Many authorities of one name and key identifier must not make the search explode.
func TestManyIssuersOfOneName(t *testing.T) {
	t.Parallel()
	root := tlstest.NewCA(t)
	inter := root.Intermediate(tlstest.CommonName("Loop"))
	id := inter.Leaf()
	id.Chain = id.Chain[:1]
	for range 15 {
		id.Append(inter.CrossSign(inter, tlstest.Expired()).DER())
	}
	r := report(t, judged{id: id})
	require.Equal(t, tlsengine.StatusUntrustedSigners, r.Status)
	require.Less(t, r.Took, 5*time.Second)
}

func TestCrossSignedPastAnExpiredRoot(t *testing.T) {
	t.Parallel()
	oldRoot := tlstest.NewCA(t, tlstest.CommonName("Old"), tlstest.Expired())
	newRoot := tlstest.NewCA(t, tlstest.CommonName("New"))
	inter := oldRoot.Intermediate()
	id := inter.Leaf().Append(newRoot.CrossSign(inter).DER())
	r := report(t, judged{id: id, trust: anchors(oldRoot.Certificate, newRoot.Certificate)})
	require.True(t, r.VerifiedChain[2].Equal(newRoot.Certificate))
}

func TestMalformedCertificate(t *testing.T) {
	t.Parallel()
	bothVersions(t, func(t *testing.T, version uint16) {
		ca := tlstest.NewCA(t)
		for name, junk := range map[string][]byte{"junk": []byte("junk"), "cut": ca.DER()[:100]} {
			address := tlstest.Serve(t, serverConfig(ca.Leaf().Append(junk), version), tlstest.Echo)
			_, err := client(t, address, trusting(ca))
			r := requireRefused(t, err)
			require.Equal(t, "MALFORMED_CERTIFICATE@-1", problems(r), name)
			require.Equal(t, tlsengine.StatusInvalid, r.Status)
		}
	})
}

func TestHostileNamesAreQuoted(t *testing.T) {
	t.Parallel()
	ca := tlstest.NewCA(t, tlstest.CommonName("\x1b[31mroot\n"))
	var names []string
	for i := range 100 {
		names = append(names, fmt.Sprintf("%d.%s", i, strings.Repeat("x", 1000)))
	}
	id := ca.Leaf(tlstest.Names(names...), tlstest.CommonName("\x1b]0;evil\a\u202e"+strings.Repeat("y", 5000)), tlstest.Expired())
	r := report(t, judged{id: id}) // requireRefused looks at every message
	for _, p := range r.Problems {
		require.Less(t, len(p.Message), 8000)
	}
}

func TestClock(t *testing.T) {
	t.Parallel()
	ca := tlstest.NewCA(t)
	address := tlstest.Serve(t, serverConfig(ca.Leaf(), tls.VersionTLS13), tlstest.Echo)
	cfg := trusting(ca)
	at := time.Now().Add(360 * 24 * time.Hour)
	cfg.Now = func() time.Time { return at }
	conn, err := client(t, address, cfg)
	require.NoError(t, err)
	require.Len(t, conn.Report().Warnings, 3, "revocation, leaf and root")
	require.Equal(t, at.Truncate(time.Second), conn.Report().Time)

	at = at.Add(360 * 24 * time.Hour)
	_, err = client(t, address, cfg)
	require.Equal(t, "CERTIFICATE_EXPIRED@1 CERTIFICATE_EXPIRED@0", problems(requireRefused(t, err)))
}

// The same certificates are judged at the same time by configurations that disagree: nothing shared may change.
func TestJudgingChangesNothingShared(t *testing.T) {
	t.Parallel()
	ca := tlstest.NewCA(t)
	inter := ca.Intermediate(tlstest.Expired())
	address := tlstest.Serve(t, serverConfig(inter.Leaf(), tls.VersionTLS13), tlstest.Echo)
	pool := ca.Pool()
	before := pool.Clone()
	for range 4 {
		t.Run("", func(t *testing.T) {
			t.Parallel()
			_, err := client(t, address, &tlsengine.Config{VerifyNames: []string{"localhost"},
				Trust: tlsengine.Trust{Roots: pool, Anchors: []*x509.Certificate{inter.Certificate}}})
			require.Equal(t, "CERTIFICATE_EXPIRED@1", problems(requireRefused(t, err)))
			require.True(t, pool.Equal(before))
		})
	}
}
