package main

import (
	"crypto/tls"
	"crypto/x509"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"

	"securesocket/server/callers"
	"securesocket/tlsengine/tlstest"
)

const allowWeb = "callers: {allow: [\"dns:web.test\", \"spiffe://prod/*\"], administrators: [\"dns:web.test\"]}\n"

// The API's TLS is 1.2 or 1.3, for a client of grpc-go without the SDK.
func TestVersionsOfTheAPIsTLS(t *testing.T) {
	t.Parallel()
	g := gated(t, allowWeb)
	web := g.caller(g.ca, "web.test")
	for version, works := range map[uint16]bool{tls.VersionTLS10: false, tls.VersionTLS11: false, tls.VersionTLS12: true, tls.VersionTLS13: true} {
		config := g.client(web)
		config.MinVersion, config.MaxVersion = version, version
		cc := g.connect(config)
		if works {
			g.is("dns:web.test", cc)
			continue
		}
		g.shut(cc)
	}
	plain, err := grpc.NewClient(strings.TrimPrefix(g.ready[0], "grpcs://"), grpc.WithTransportCredentials(insecure.NewCredentials()))
	require.NoError(t, err)
	defer plain.Close()
	_, err = who(t, plain, "a-token-in-clear")
	require.Error(t, err)
	require.NotContains(t, g.log(), "a-token-in-clear")
}

// s_client is openssl's word on the same.
func TestOpenSSLAtTheAPI(t *testing.T) {
	t.Parallel()
	openssl, err := exec.LookPath("openssl")
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal("openssl is not installed, and CI is set")
		}
		t.Skip("openssl is not installed")
	}
	g := gatedBy(t, ", require_client_cert: true", allowWeb)
	dir := t.TempDir()
	anchor := filepath.Join(dir, "ca.pem")
	require.NoError(t, os.WriteFile(anchor, g.ca.Root().PEM(), 0o600))
	files := func(id *tlstest.Identity) (args []string) {
		cert, key := id.WriteFiles(t.TempDir())
		return []string{"-cert", cert, "-key", key}
	}
	web := files(g.caller(g.ca, "web.test"))
	// connect returns what s_client says until it has said all of want.
	connect := func(what string, args []string, want ...string) string {
		cmd := exec.CommandContext(t.Context(), openssl, append([]string{"s_client", "-connect", strings.TrimPrefix(g.ready[0], "grpcs://"),
			"-CAfile", anchor, "-verify_return_error", "-alpn", "h2"}, args...)...)
		in, err := cmd.StdinPipe() // open: an alert of TLS 1.3 comes behind the handshake
		require.NoError(t, err)
		heard, err := os.Create(filepath.Join(t.TempDir(), "heard"))
		require.NoError(t, err)
		defer heard.Close()
		cmd.Stdout, cmd.Stderr = heard, heard
		require.NoError(t, cmd.Start())
		var out []byte
		said := func() bool {
			out, err = os.ReadFile(heard.Name())
			for _, text := range want {
				if err != nil || !strings.Contains(string(out), text) {
					return false
				}
			}
			return true
		}
		require.Eventually(t, said, patience, 10*time.Millisecond, "%s: %v", what, want)
		_ = in.Close()
		_ = cmd.Wait()
		return string(out)
	}
	for _, version := range []string{"-tls1", "-tls1_1"} { // level 0, or openssl itself would refuse
		connect(version, append(slices.Clone(web), version, "-cipher", "ALL:@SECLEVEL=0"), "alert protocol version")
	}
	for version, name := range map[string]string{"-tls1_2": "TLSv1.2", "-tls1_3": "TLSv1.3"} {
		// The daemon says whose certificates it takes.
		out := connect(version, append(slices.Clone(web), version), name, "ALPN protocol: h2", "Acceptable client certificate CA names", "Verify return code: 0 (ok)")
		require.NotContains(t, out, "alert")
	}
	for name, tc := range map[string]struct {
		args  []string
		alert string
	}{
		"none":     {nil, "alert certificate required"},
		"wrong CA": {files(g.caller(tlstest.NewCA(t), "web.test")), "alert bad certificate"},
		"expired":  {files(g.caller(g.ca, "web.test", tlstest.Expired())), "alert bad certificate"},
	} {
		connect(name, append(tc.args, "-tls1_3"), tc.alert)
	}
}

// A client certificate says who calls, if its authority is the operator's, it is in force, and the name is one who may call.
func TestClientCertificatesOfCallers(t *testing.T) {
	t.Parallel()
	g := gated(t, allowWeb)
	resp, err := who(t, g.connect(g.client(g.caller(g.ca, "web.test"))))
	require.NoError(t, err)
	require.Equal(t, "dns:web.test", resp.GetPrincipal())
	require.True(t, resp.GetAdministrator())
	resp, err = who(t, g.connect(g.client(g.caller(g.ca, "uri:spiffe://prod/db", tlstest.CommonName("web.test")))))
	require.NoError(t, err)
	require.Equal(t, "spiffe://prod/db", resp.GetPrincipal())
	require.False(t, resp.GetAdministrator())

	for name, id := range map[string]*tlstest.Identity{
		"wrong CA":             g.caller(tlstest.NewCA(t), "web.test"),
		"same name, wrong CA":  g.caller(tlstest.NewCA(t, tlstest.CommonName(g.ca.Certificate.Subject.CommonName)), "web.test"),
		"expired":              g.caller(g.ca, "web.test", tlstest.Expired()),
		"not yet":              g.caller(g.ca, "web.test", tlstest.NotYetValid()),
		"its own":              tlstest.SelfSigned(t, tlstest.Names("web.test"), tlstest.ExtKeyUsage(x509.ExtKeyUsageClientAuth)),
		"a server's":           g.ca.Leaf(tlstest.Names("web.test"), tlstest.ExtKeyUsage(x509.ExtKeyUsageServerAuth)),
		"a spoilt signature":   g.caller(g.ca, "web.test", tlstest.BadSignature()),
		"a critical extension": g.caller(g.ca, "web.test", tlstest.CriticalExtension()),
	} {
		t.Run(name, func(t *testing.T) {
			for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
				config := g.client(id)
				// crypto/tls would leave a certificate out that the daemon's list of authorities does not fit.
				config.Certificates, config.GetClientCertificate = nil, func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
					cert := id.Certificate()
					return &cert, nil
				}
				config.MaxVersion = version
				g.shut(g.connect(config))
			}
		})
	}
	g.refuses(codes.Unauthenticated, "UNAUTHENTICATED", "", g.connect(g.client()))
	for _, name := range []string{"evil.test", "web.test.evil.test", "notweb.test", "uri:spiffe://production/db"} {
		g.refuses(codes.PermissionDenied, "NOT_ALLOWED", "", g.connect(g.client(g.caller(g.ca, name))))
	}
	// A token that is not accepted is not passed over for the certificate.
	g.refuses(codes.Unauthenticated, "UNAUTHENTICATED", string(callers.TokenUnknown), g.connect(g.client(g.caller(g.ca, "web.test"))), callers.NewToken())

	required := gatedBy(t, ", require_client_cert: true", allowWeb)
	required.is("dns:web.test", required.connect(required.client(required.caller(required.ca, "web.test"))))
	required.shut(required.connect(required.client()))
}

// serialAt is the certificate that a new connection is shown.
func (g *gate) serialAt(tb testing.TB) string {
	tb.Helper()
	conn, err := (&tls.Dialer{NetDialer: &net.Dialer{}, Config: &tls.Config{RootCAs: g.ca.Pool(), NextProtos: []string{"h2"}}}).
		DialContext(tb.Context(), "tcp", strings.TrimPrefix(g.ready[0], "grpcs://"))
	require.NoError(tb, err)
	defer conn.Close()
	return conn.(*tls.Conn).ConnectionState().PeerCertificates[0].SerialNumber.String()
}

// A certificate that is replaced is shown to new connections, by itself and at once on SIGHUP; the old ones go on. One that
// does not fit its key changes nothing.
func TestReloadOfTheCertificate(t *testing.T) {
	t.Parallel()
	g := gated(t, allowWeb+"limits: {connections_per_address: 1000}\n") // it looks again and again
	old := g.connect(g.client(g.caller(g.ca, "web.test")))
	g.is("dns:web.test", old)
	renew := func() string {
		leaf := g.ca.Leaf(tlstest.Names("127.0.0.1"))
		replace(t, g.key, leaf.KeyPEM())
		replace(t, g.cert, leaf.ChainPEM())
		return leaf.Leaf.SerialNumber.String()
	}
	first := g.serialAt(t)
	want := renew()
	require.NotEqual(t, first, want)
	soon(t, "a new certificate, unasked", func() bool { return g.serialAt(t) == want })
	want = renew()
	require.NoError(t, g.cmd.Process.Signal(syscall.SIGHUP))
	soon(t, "a new certificate, on SIGHUP", func() bool { return g.serialAt(t) == want })
	g.is("dns:web.test", old)
	require.Equal(t, "READY", old.GetState().String(), "the old connection")

	replace(t, g.cert, g.ca.Leaf().ChainPEM())
	require.NoError(t, g.cmd.Process.Signal(syscall.SIGHUP))
	soon(t, "what does not fit is in the log", func() bool { return strings.Contains(g.log(), "cannot all be loaded") })
	require.Equal(t, want, g.serialAt(t))

	// Callers of an authority that is taken away are refused, on the connections that they have.
	other := tlstest.NewCA(t)
	replace(t, g.clientCA, other.Root().PEM())
	leaf := g.ca.Leaf(tlstest.Names("127.0.0.1"))
	replace(t, g.key, leaf.KeyPEM())
	replace(t, g.cert, leaf.ChainPEM())
	require.NoError(t, g.cmd.Process.Signal(syscall.SIGHUP))
	soon(t, "an authority is gone", func() bool { _, err := who(t, old); return err != nil && reasonOf(t, err) == "UNAUTHENTICATED" })
	g.is("dns:web.test", g.connect(g.client(g.caller(other, "web.test"))))
}
