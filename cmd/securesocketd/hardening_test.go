package main

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	pb "securesocket/gen/securesocket/v1"
	"securesocket/tlsengine/tlstest"
)

// withCores starts a program that may leave a core file of any size where it runs, and that crashes as loudly as Go can.
func withCores(dir string) func(*exec.Cmd) {
	return func(cmd *exec.Cmd) {
		cmd.Dir = dir
		cmd.Env = append(cmd.Env, "GOTRACEBACK=crash", "SSLKEYLOGFILE="+filepath.Join(dir, "keys"))
		cmd.Args = append([]string{"sh", "-c", `ulimit -c "$(ulimit -H -c)"; exec "$0" "$@"`, cmd.Path}, cmd.Args[1:]...)
		cmd.Path = "/bin/sh"
	}
}

// A service that dies amid its sessions leaves no core file; its last words, all goroutines with their arguments, have
// nothing of a key, a passphrase or a password; and SSLKEYLOGFILE has no effect.
func TestThreat33CrashTellsNothing(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("there are no signals")
	}
	dir := t.TempDir()
	d := start(t, 1, withCores(dir), "--listen", "unix://"+filepath.Join(t.TempDir(), "s.sock"), "--egress-allow", "127.0.0.0/8")
	c := d.client(t)

	_, key, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	ca := tlstest.NewCA(t)
	id := ca.Leaf(tlstest.Key(key), tlstest.ExtKeyUsage(x509.ExtKeyUsageClientAuth))
	der, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(t, err)
	passphrase := rand.Text()
	asked := make(chan int, 1)
	addr := tlstest.Serve(t, &tls.Config{
		Certificates: []tls.Certificate{ca.Leaf(tlstest.Names("127.0.0.1")).Certificate()}, ClientAuth: tls.RequireAnyClientCert,
	}, func(conn *tls.Conn) { asked <- len(conn.ConnectionState().PeerCertificates); tlstest.Echo(conn) })
	host, port, err := net.SplitHostPort(addr)
	require.NoError(t, err)
	s, err := c.CreateSession(t.Context(), &pb.CreateSessionRequest{Settings: &pb.SessionSettings{Tls: &pb.TlsSettings{
		Identities: []*pb.Identity{{Source: &pb.Identity_KeyPair{KeyPair: &pb.KeyPair{
			CertificateChain: id.Chain, PrivateKey: pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), Passphrase: passphrase,
		}}}},
	}}})
	require.NoError(t, err)
	session := s.GetSession().GetSessionId()
	_, err = c.AddCertificate(t.Context(), &pb.AddCertificateRequest{SessionId: session, Certificate: ca.Root().DER(), Trusted: true})
	require.NoError(t, err)
	_, err = c.Connect(t.Context(), &pb.ConnectRequest{SessionId: session, Host: host, Port: atoi32(t, port)})
	require.NoError(t, err)
	require.Positive(t, <-asked, "the key was used")

	if runtime.GOOS == "linux" {
		limits, err := os.ReadFile(fmt.Sprintf("/proc/%d/limits", d.cmd.Process.Pid))
		require.NoError(t, err)
		require.Regexp(t, `(?m)^Max core file size +0 +0 +bytes`, string(limits))
	}
	require.NoError(t, d.cmd.Process.Signal(syscall.SIGABRT))
	d.exit(t)
	status, ok := d.cmd.ProcessState.Sys().(syscall.WaitStatus)
	require.True(t, ok)
	require.True(t, status.Signaled())
	require.False(t, status.CoreDump())
	left, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Empty(t, left, "neither a core file nor a key log")

	said := d.log()
	require.Contains(t, said, "goroutine ", "it did crash")
	for name, secret := range map[string][]byte{"key": key.Seed(), "passphrase": []byte(passphrase), "token": s.GetResumeToken()} {
		part := secret[:18]
		for _, text := range []string{
			string(part), hex.EncodeToString(part), base64.StdEncoding.EncodeToString(part), base64.StdEncoding.EncodeToString(secret[1:16]),
			base64.StdEncoding.EncodeToString(secret[2:17]), strings.Trim(fmt.Sprintf("%#x", part[:4]), "{}"), fmt.Sprintf("%#x, %#x, %#x", secret[0], secret[1], secret[2]),
		} {
			require.NotContains(t, said, text, name)
		}
	}
}

// SSLKEYLOGFILE writes no keys of connections, and GODEBUG brings neither old versions nor 3DES back.
func TestThreat35Environment(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	keys := filepath.Join(dir, "keys")
	d := start(t, 1, func(cmd *exec.Cmd) {
		cmd.Env = append(cmd.Env, "SSLKEYLOGFILE="+keys, "GODEBUG=tls3des=1,tlsrsakex=1,tls10server=1,tlsunsafeekm=1")
	}, "--listen", "unix://"+filepath.Join(t.TempDir(), "s.sock"), "--egress-allow", "127.0.0.0/8")
	c := d.client(t)
	ca := tlstest.NewCA(t)
	id := ca.Leaf(tlstest.RSA(2048))
	connect := func(config *tls.Config) error {
		config.Certificates = []tls.Certificate{id.Certificate()}
		host, port, err := net.SplitHostPort(tlstest.Serve(t, config, tlstest.Echo))
		require.NoError(t, err)
		s, err := c.CreateSession(t.Context(), &pb.CreateSessionRequest{})
		require.NoError(t, err)
		session := s.GetSession().GetSessionId()
		_, err = c.AddCertificate(t.Context(), &pb.AddCertificateRequest{SessionId: session, Certificate: ca.DER(), Trusted: true})
		require.NoError(t, err)
		_, err = c.Connect(t.Context(), &pb.ConnectRequest{SessionId: session, Host: host, Port: atoi32(t, port)})
		_, gone := c.DeleteSession(t.Context(), &pb.DeleteSessionRequest{SessionId: session}) // the end of the service does not wait for it
		require.NoError(t, gone)
		return err
	}
	require.NoError(t, connect(&tls.Config{MinVersion: tls.VersionTLS13}))
	require.NoError(t, connect(&tls.Config{MaxVersion: tls.VersionTLS12, MinVersion: tls.VersionTLS12}))
	for _, old := range []*tls.Config{
		{MinVersion: tls.VersionTLS12, MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{tls.TLS_RSA_WITH_3DES_EDE_CBC_SHA}},
		{MinVersion: tls.VersionTLS12, MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{tls.TLS_RSA_WITH_AES_128_GCM_SHA256}},
		{MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11},
	} {
		require.Equal(t, "PEER_INCOMPATIBLE", reasonOf(t, connect(old)))
	}
	require.NoError(t, d.cmd.Process.Signal(syscall.SIGTERM))
	require.Zero(t, d.exit(t))
	left, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Empty(t, left)
	require.Contains(t, d.log(), "GODEBUG", "which is warned of")
}
