package tlsengine_test

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"securesocket/tlsengine"
	"securesocket/tlsengine/tlstest"

	"github.com/stretchr/testify/require"
)

// sClient runs openssl s_client against a server of ours, which gets cfg, and returns what both ends have made of it. It
// says what stdin has, and stays until the server goes.
func sClient(t *testing.T, cfg *tlsengine.Config, handle func(*tlsengine.Conn), stdin string, args ...string) (output string, err error) {
	t.Helper()
	path, lookErr := exec.LookPath("openssl")
	if errors.Is(lookErr, exec.ErrNotFound) && os.Getenv("CI") == "" {
		t.Skip("openssl is not installed")
	}
	require.NoError(t, lookErr)
	l, lookErr := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, lookErr)
	defer l.Close()
	cmd := exec.CommandContext(t.Context(), path, append([]string{"s_client", "-connect", l.Addr().String(), "-ign_eof"}, args...)...)
	var out bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(stdin), &out, &out
	require.NoError(t, cmd.Start())
	exited := make(chan struct{})
	go func() {
		defer close(exited)
		_ = cmd.Wait() // its exit code says little; its words are compared
		_ = l.Close()
	}()
	raw, lookErr := l.Accept()
	if lookErr != nil {
		<-exited
	}
	require.NoError(t, lookErr, "%s", &out)
	defer raw.Close()
	conn, err := tlsengine.Server(t.Context(), raw, cfg, nil)
	if err == nil {
		handle(conn)
		_ = conn.Close()
	}
	_ = raw.Close()
	<-exited
	return out.String(), err
}

func writePEM(t *testing.T, certs ...*x509.Certificate) string {
	t.Helper()
	var all []byte
	for _, cert := range certs {
		all = append(all, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Raw})...)
	}
	file := filepath.Join(t.TempDir(), "certs.pem")
	require.NoError(t, os.WriteFile(file, all, 0o600))
	return file
}

var flagOf = map[uint16]string{tls.VersionTLS12: "-tls1_2", tls.VersionTLS13: "-tls1_3"}

// OpenSSL's algorithms decide which key is shown, and it verifies what it is shown, agrees on the exporter, and reads and
// writes.
func TestOpenSSLClient(t *testing.T) {
	t.Parallel()
	ca := tlstest.NewCA(t)
	ids := map[string]*tlstest.Identity{
		"rsa_pss_rsae_sha256": ca.Leaf(tlstest.RSA(2048)), "ecdsa_secp256r1_sha256": ca.Leaf(), "ed25519": ca.Leaf(tlstest.Ed25519()),
	}
	root := writePEM(t, ca.Certificate)
	for scheme, id := range ids {
		t.Run(scheme, func(t *testing.T) {
			t.Parallel()
			schemes := scheme
			if scheme != "ecdsa_secp256r1_sha256" {
				schemes += ":ecdsa_secp256r1_sha256" // the authority's
			}
			bothVersions(t, func(t *testing.T, version uint16) {
				cfg := serving(t, ids["ed25519"], ids["rsa_pss_rsae_sha256"], ids["ecdsa_secp256r1_sha256"])
				cfg.ALPN = []string{"pop3", "imap"}
				var got string
				var exported, endPoint []byte
				output, err := sClient(t, cfg, func(conn *tlsengine.Conn) {
					require.Equal(t, "localhost", conn.State().ServerName)
					require.Equal(t, version, conn.State().Version)
					require.Equal(t, "imap", conn.State().ALPN)
					buf := make([]byte, len("good day\n"))
					_, err := io.ReadFull(conn, buf)
					require.NoError(t, err)
					got = string(buf)
					exported, err = conn.ExportKeyingMaterial("EXPORTER-test", nil, 20)
					require.NoError(t, err)
					endPoint, err = conn.ChannelBinding(tlsengine.BindingServerEndPoint)
					require.NoError(t, err)
					_, err = conn.Write([]byte("good night\n"))
					require.NoError(t, err)
				}, "good day\n", flagOf[version], "-sigalgs", schemes, "-servername", "localhost", "-CAfile", root,
					"-verify_return_error", "-verify_hostname", "localhost", "-alpn", "imap", "-keymatexport", "EXPORTER-test", "-keymatexportlen", "20")
				require.NoError(t, err, output)
				require.Equal(t, "good day\n", got)
				require.Contains(t, output, "good night\n")
				require.Contains(t, output, "Verify return code: 0 (ok)")
				require.Contains(t, output, "ALPN protocol: imap")
				material := regexp.MustCompile(`Keying material: ([0-9A-F]+)`).FindStringSubmatch(output)
				if version == tls.VersionTLS12 { // under TLS 1.3 no context is an empty one, and older OpenSSL prints the same
					require.NotNil(t, material, output)
				}
				if material != nil {
					require.Equal(t, strings.ToUpper(hex.EncodeToString(exported)), material[1])
				}
				block, _ := pem.Decode([]byte(output[strings.Index(output, "-----BEGIN CERTIFICATE"):]))
				require.Equal(t, id.Leaf.Raw, block.Bytes)
				require.Len(t, endPoint, 32)
			})
		})
	}
}

func TestOpenSSLShowsItsCertificate(t *testing.T) {
	t.Parallel()
	ca := tlstest.NewCA(t)
	good, untrusted := ca.Intermediate().Leaf(forClients), tlstest.NewCA(t).Leaf(forClients)
	for name, row := range map[string]struct {
		id    *tlstest.Identity
		level tlsengine.ClientAuth
		want  string // problems; empty: it is taken
		said  string // by OpenSSL, of the alert
		old   string // under TLS 1.2, where that differs
	}{
		"good":                  {good, tlsengine.ClientAuthRequireAndVerify, "", "", ""},
		"untrusted":             {untrusted, tlsengine.ClientAuthRequireAndVerify, "UNABLE_TO_GET_LOCAL_ISSUER_CERTIFICATE@0 UNABLE_TO_VERIFY_FIRST_CERTIFICATE@0", "bad certificate", ""},
		"untrusted, for report": {untrusted, tlsengine.ClientAuthRequire, "", "", ""},
		"none":                  {nil, tlsengine.ClientAuthVerifyIfGiven, "", "", ""},
		"none, required":        {nil, tlsengine.ClientAuthRequire, "NO_PEER_CERTIFICATE@-1", "certificate required", "handshake failure"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bothVersions(t, func(t *testing.T, version uint16) {
				cfg := serving(t, ca.Leaf())
				cfg.ClientAuth, cfg.Trust = row.level, anchors(ca.Certificate)
				args := []string{flagOf[version], "-servername", "localhost"}
				if row.id != nil {
					cert, key := row.id.WriteFiles(t.TempDir())
					args = append(args, "-cert", cert, "-key", key, "-cert_chain", cert)
				}
				var report *tlsengine.Report
				output, err := sClient(t, cfg, func(conn *tlsengine.Conn) {
					report = conn.Report()
					_, err := conn.Write([]byte("welcome\n"))
					require.NoError(t, err)
				}, "", args...)
				if row.want != "" {
					require.Equal(t, row.want, problems(requireRefused(t, err)))
					said := row.said
					if version == tls.VersionTLS12 && row.old != "" {
						said = row.old
					}
					require.Contains(t, strings.ToLower(output), "alert "+said)
					return
				}
				require.NoError(t, err, output)
				require.Contains(t, output, "welcome\n")
				if row.id != nil {
					require.True(t, report.PeerChain[0].Equal(row.id.Leaf))
					require.Equal(t, row.id == good, report.Status == tlsengine.StatusTrusted)
				}
				require.Contains(t, output, "Acceptable client certificate CA names")
			})
		})
	}
}
