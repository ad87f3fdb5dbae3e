package server_test

import (
	"bytes"
	"crypto"
	"crypto/tls"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	pb "securesocket/gen/securesocket/v1"
	"securesocket/server/servertest"
	"securesocket/tlsengine/tlstest"
)

// authorityFile writes what a server takes as the authority of its clients.
func authorityFile(tb testing.TB, ca *tlstest.CA) string {
	tb.Helper()
	file := filepath.Join(tb.TempDir(), "clients.pem")
	require.NoError(tb, os.WriteFile(file, pemOf("CERTIFICATE", ca.DER()), 0o600))
	return file
}

// demanding is openssl that wants a certificate of an authority.
func demanding(tb testing.TB, version uint16, clients *tlstest.CA) (string, *tlstest.CA) {
	tb.Helper()
	addr, ca, _ := serveOpenSSL(tb, version, "", "-rev", "-Verify", "1", "-verify_return_error", "-CAfile", authorityFile(tb, clients))
	return addr, ca
}

func TestOpenSSLTakesAClientCertificate(t *testing.T) {
	t.Parallel()
	bothVersions(t, func(t *testing.T, version uint16) {
		eachKey(t, func(t *testing.T, key crypto.Signer) {
			clients := tlstest.NewCA(t)
			id := clientLeaf(clients, tlstest.Key(key))
			addr, ca := demanding(t, version, clients)
			c := servertest.Start(t).Client(t)
			for name, own := range map[string]*pb.Identity{
				"handed over": keyPair(&pb.KeyPair{CertificateChain: id.Chain, PrivateKey: id.KeyPEM()}), "kept": callerSigner(id),
			} {
				k := asked(open(t, c, addr, ca, func(m *pb.Open) { m.Settings = having(own) }))
				if name == "kept" {
					r := k.signRequest(1)
					require.Contains(t, fitting(key, version), tls.SignatureScheme(r.GetSignatureScheme()))
					k.send(signatureFrame(sign(t, key, r)))
				}
				k.secure()
				k.write([]byte("first\n"))
				k.until(func() bool { return string(k.data) == "tsrif\n" })
				k.send(closeFrame(pb.CloseSocket_HOW_GRACEFUL))
				require.Nil(t, k.closed().GetFailure(), name)
			}
		})
	})
}

func TestOpenSSLRefusesAClientCertificate(t *testing.T) {
	t.Parallel()
	bothVersions(t, func(t *testing.T, version uint16) {
		clients := tlstest.NewCA(t)
		addr, ca := demanding(t, version, clients)
		c := servertest.Start(t).Client(t)
		none := map[uint16]string{tls.VersionTLS12: "handshake_failure", tls.VersionTLS13: "certificate_required"}[version]
		for name, tc := range map[string]struct {
			id    *tlstest.Identity // nil: none
			alert string
		}{
			"none":           {nil, none},
			"none that fits": {clientLeaf(tlstest.NewCA(t, tlstest.CommonName("Others"))), none},
			"expired":        {clientLeaf(clients, tlstest.Expired()), "certificate_expired"},
			"for servers":    {clients.Leaf(), "unsupported_certificate"},
			"a stranger":     {clientLeaf(tlstest.NewCA(t)), "unknown_ca"}, // of the authority's name
		} {
			t.Run(name, func(t *testing.T) {
				settings := having()
				if tc.id != nil {
					settings = having(keyPair(&pb.KeyPair{CertificateChain: tc.id.Chain, PrivateKey: tc.id.KeyPEM()}))
				}
				k := open(t, c, addr, ca, func(m *pb.Open) { m.Settings = settings })
				closed := k.closed()
				require.Equal(t, pb.ErrorReason_ERROR_REASON_PEER_ALERT, closed.GetFailure().GetReason())
				require.Equal(t, tc.alert, closed.GetFailure().GetMetadata()["alert_name"])
				require.Equal(t, version == tls.VersionTLS13, slices.Contains(k.kinds(), "secure_connected"))
			})
		}
	})
}

// OpenSSL hears why it was refused, and serves who accepts it.
func TestOpenSSLIsDecidedAbout(t *testing.T) {
	t.Parallel()
	bothVersions(t, func(t *testing.T, version uint16) {
		addr, _, out := serveOpenSSL(t, version, "", "-rev")
		c := servertest.Start(t).Client(t)
		k := asked(open(t, c, addr, nil, askingOpen()))
		k.send(decisionFrame(&pb.CertificateDecision{DecisionId: k.question(1).GetDecisionId()}))
		require.Equal(t, pb.ErrorReason_ERROR_REASON_DECISION_REFUSED, k.closed().GetFailure().GetReason())
		out.until(t, func(text []byte) []byte {
			if bytes.Contains(text, []byte("SSL alert number 42")) {
				return text
			}
			return nil
		})
		k = asked(open(t, c, addr, nil, askingOpen()))
		k.send(decisionFrame(exactly(k.question(1))))
		require.Equal(t, pb.CertificateReport_TRUST_BASIS_OVERRIDE, k.secure().GetTrustBasis())
		k.write([]byte("first\n"))
		k.until(func() bool { return string(k.data) == "tsrif\n" })
	})
}
