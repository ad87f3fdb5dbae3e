package server_test

import (
	"crypto/tls"
	"fmt"
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	pb "securesocket/gen/securesocket/v1"
	"securesocket/tlsengine/tlstest"
)

// sClient runs openssl s_client against a world's listener; its input stays open
// until the test ends.
func (w *listenerWorld) sClient(version uint16, args ...string) (*sClientRun, *printed) {
	w.tb.Helper()
	args = append([]string{"s_client", "-connect", localAddr(w.l),
		map[uint16]string{tls.VersionTLS12: "-tls1_2", tls.VersionTLS13: "-tls1_3"}[version]}, args...)
	cmd := exec.Command(program(w.tb, "openssl"), args...)
	out := &printed{changed: make(chan struct{}, 1)}
	cmd.Stdout, cmd.Stderr = out, out
	stdin, err := cmd.StdinPipe()
	require.NoError(w.tb, err)
	w.tb.Cleanup(func() { _ = stdin.Close() })
	run(w.tb, cmd)
	return &sClientRun{w.tb, stdin.Write}, out
}

// sClientRun is what goes into an s_client.
type sClientRun struct {
	tb    testing.TB
	write func([]byte) (int, error)
}

func (r *sClientRun) say(text string) {
	r.tb.Helper()
	_, err := r.write([]byte(text))
	require.NoError(r.tb, err)
}

// contains finds a text.
func contains(want string) func([]byte) []byte {
	return func(text []byte) []byte {
		if !strings.Contains(string(text), want) {
			return nil
		}
		return text
	}
}

func TestOpenSSLClient(t *testing.T) {
	t.Parallel()
	bothVersions(t, func(t *testing.T, version uint16) {
		clients := tlstest.NewCA(t)
		shown := clientLeaf(clients)
		certFile, keyFile := shown.WriteFiles(t.TempDir())
		w := secureListener(t, nil, trusted(clients), level(pb.ClientAuth_CLIENT_AUTH_VERIFY_IF_GIVEN), settling(fromNobody),
			settling(func(s *pb.SessionSettings) { s.Tls.AlpnProtocols = []string{"second", "first"} }))
		caFile, _ := w.ca.Leaf().WriteFiles(t.TempDir())
		require.NoError(t, writePEM(caFile, w.ca.Root().DER()))
		a := w.accept(0)
		for name, tc := range map[string]struct {
			args   []string
			server string
			alpn   string
			status pb.CertificateStatus
		}{
			"bare":             {[]string{"-noservername"}, "", "", pb.CertificateStatus_CERTIFICATE_STATUS_UNKNOWN},
			"with a name":      {[]string{"-servername", listenerName, "-verify_hostname", listenerName}, listenerName, "", pb.CertificateStatus_CERTIFICATE_STATUS_UNKNOWN},
			"with ALPN":        {[]string{"-servername", listenerName, "-alpn", "none,first"}, listenerName, "first", pb.CertificateStatus_CERTIFICATE_STATUS_UNKNOWN},
			"with our order":   {[]string{"-servername", listenerName, "-alpn", "first,second"}, listenerName, "second", pb.CertificateStatus_CERTIFICATE_STATUS_UNKNOWN},
			"with certificate": {[]string{"-servername", listenerName, "-cert", certFile, "-key", keyFile}, listenerName, "", pb.CertificateStatus_CERTIFICATE_STATUS_TRUSTED},
		} {
			in, out := w.sClient(version, append([]string{"-CAfile", caFile, "-verify_return_error", "-brief"}, tc.args...)...)
			got := a.next()
			s := got.GetSession()
			require.Equal(t, tc.server, s.GetTls().GetServerName(), name)
			require.Equal(t, tc.alpn, s.GetTls().GetAlpnProtocol(), name)
			require.Equal(t, tc.status, s.GetCertificateStatus(), name)
			require.True(t, s.GetTls().GetClientCertificateRequested(), name)
			require.Equal(t, version, versionOf(s.GetTls()), name)
			out.until(t, contains("Verification: OK"))
			k := w.attach(got)
			in.say("a line\n")
			k.until(func() bool { return string(k.data) == "a line\n" })
			k.write([]byte("an answer\n"))
			out.until(t, contains("an answer"))
			in.say("Q\n") // s_client ends with close_notify
			require.Equal(t, pb.CloseCause_CLOSE_CAUSE_PEER_CLOSE_NOTIFY, k.event("remote_closed").GetRemoteClosed().GetCause(), name)
			k.finish()
			require.NoError(t, k.end())
		}
		w.nothingMore(a)
	})
}

func versionOf(s *pb.TlsState) uint16 {
	return tls.VersionTLS10 + uint16(s.GetVersion()-pb.ProtocolVersion_PROTOCOL_VERSION_TLS1_0)
}

// Who can do only one kind of signature gets the identity that has it.
func TestIdentitiesByAlgorithm(t *testing.T) {
	t.Parallel()
	ca := tlstest.NewCA(t)
	kinds := map[string]*tlstest.Identity{
		"RSA":     ca.Leaf(tlstest.Names(listenerName), tlstest.RSA(2048)),
		"P-256":   ca.Leaf(tlstest.Names(listenerName)),
		"Ed25519": ca.Leaf(tlstest.Names(listenerName), tlstest.Ed25519()),
	}
	// The CA itself signs with ECDSA and SHA-256: a client that is so narrow has to
	// be lenient about it.
	sigalgs := map[string]string{"RSA": "rsa_pss_rsae_sha256:RSA+SHA256", "P-256": "ECDSA+SHA256", "Ed25519": "ed25519"}
	bothVersions(t, func(t *testing.T, version uint16) {
		w := plainListener(t, nil, func(m *pb.ListenRequest) {
			m.StartTlsOnAccept, m.Settings = true, having(uploaded(t, kinds["RSA"]), uploaded(t, kinds["P-256"]), uploaded(t, kinds["Ed25519"]))
		})
		a := w.accept(0)
		for name, id := range kinds {
			in, out := w.sClient(version, "-servername", listenerName, "-sigalgs", sigalgs[name], "-showcerts")
			got := a.next()
			k := w.attach(got)
			text := out.until(t, contains("-----END CERTIFICATE-----"))
			require.Contains(t, string(text), firstLine(pemOf("CERTIFICATE", id.Chain[0])), fmt.Sprint(name, " is not what was shown"))
			in.say("hello\n")
			k.until(func() bool { return string(k.data) == "hello\n" })
			k.cancel()
		}
		w.nothingMore(a)
	})
}

// firstLine is the first line of the body of a PEM block.
func firstLine(block []byte) string { return strings.Split(string(block), "\n")[8] }

// A peer's name chooses among identities, and the first is for all others.
func TestIdentitiesByName(t *testing.T) {
	t.Parallel()
	ca := tlstest.NewCA(t)
	names := []string{"one.example", "two.example", "three.example"}
	var ids []*pb.Identity
	for _, name := range names {
		ids = append(ids, uploaded(t, ca.Leaf(tlstest.Names(name))))
	}
	bothVersions(t, func(t *testing.T, version uint16) {
		w := plainListener(t, nil, func(m *pb.ListenRequest) { m.StartTlsOnAccept, m.Settings = true, having(ids...) })
		w.ca = ca
		a := w.accept(0)
		for sent, shown := range map[string]string{
			names[0]: names[0], names[1]: names[1], names[2]: names[2], "unknown.example": names[0], "": names[0],
		} {
			peer := w.dial(onlyVersion(version), func(c *tls.Config) { c.ServerName, c.InsecureSkipVerify = sent, true })
			require.Equal(t, []string{shown}, peer.ConnectionState().PeerCertificates[0].DNSNames, "%q", sent)
			got := a.next()
			require.Equal(t, sent, got.GetSession().GetTls().GetServerName())
			w.talks(peer, w.attach(got))
		}
		w.nothingMore(a)
	})
}
