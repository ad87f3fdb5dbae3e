package server_test

import (
	"bufio"
	"bytes"
	"crypto/rand"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	pb "securesocket/gen/securesocket/v1"
	"securesocket/server/servertest"
	"securesocket/session/proxy/proxytest"
	"securesocket/tlsengine/tlstest"
)

// scannedEnv makes the test's binary the service that is scanned, at a socket of that path.
const scannedEnv = "SECURESOCKET_TEST_SCANNED"

// TestServiceToBeScanned is a service in a process of its own, for TestThreat34WhatIsLeftInMemory: it ends with its stdin, and
// collects its garbage for each line that comes there.
func TestServiceToBeScanned(t *testing.T) {
	path := os.Getenv(scannedEnv)
	if path == "" {
		t.Skip("it runs as the other process of TestThreat34WhatIsLeftInMemory")
	}
	svc := servertest.Start(t)
	l, err := net.Listen("unix", path)
	require.NoError(t, err)
	ended := make(chan error, 1)
	go func() { ended <- svc.Server.Serve(l) }()
	fmt.Println("ready")
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		for range 3 { // pools let go of what they have in two
			runtime.GC()
		}
		debug.FreeOSMemory()
		fmt.Println("collected")
	}
	svc.Server.Close()
	require.NoError(t, <-ended)
}

// scanned is a service in another process.
type scanned struct {
	cmd   *exec.Cmd
	stdin io.WriteCloser
	lines *bufio.Scanner
	cc    *grpc.ClientConn
}

func startScanned(t *testing.T) *scanned {
	t.Helper()
	path := filepath.Join(t.TempDir(), "s.sock")
	self, err := os.Executable()
	require.NoError(t, err)
	p := &scanned{cmd: exec.CommandContext(t.Context(), self, "-test.run=^TestServiceToBeScanned$")}
	p.cmd.Env = append(os.Environ(), scannedEnv+"="+path)
	p.stdin, err = p.cmd.StdinPipe()
	require.NoError(t, err)
	stdout, err := p.cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, p.cmd.Start())
	t.Cleanup(func() { _ = p.stdin.Close(); _ = p.cmd.Wait() })
	p.lines = bufio.NewScanner(stdout)
	p.says(t, "ready")
	p.cc, err = grpc.NewClient("unix://"+path, grpc.WithTransportCredentials(insecure.NewCredentials()))
	require.NoError(t, err)
	t.Cleanup(func() { _ = p.cc.Close() })
	return p
}

func (p *scanned) says(t *testing.T, want string) {
	t.Helper()
	require.True(t, p.lines.Scan(), "the process has ended")
	require.Equal(t, want, p.lines.Text())
}

// count collects the garbage and returns how often each of the texts stands in the memory that may be written.
func (p *scanned) count(t *testing.T, texts map[string][]byte) map[string]int {
	t.Helper()
	_, err := io.WriteString(p.stdin, "\n")
	require.NoError(t, err)
	p.says(t, "collected")
	maps, err := os.ReadFile(fmt.Sprintf("/proc/%d/maps", p.cmd.Process.Pid))
	require.NoError(t, err)
	memory, err := os.Open(fmt.Sprintf("/proc/%d/mem", p.cmd.Process.Pid))
	if errors.Is(err, os.ErrPermission) {
		t.Skip("the memory of a child cannot be read here")
	}
	require.NoError(t, err)
	defer memory.Close()
	found := map[string]int{}
	for line := range strings.Lines(string(maps)) {
		var from, to int64
		var mode string
		if _, err := fmt.Sscanf(line, "%x-%x %s", &from, &to, &mode); err != nil || !strings.HasPrefix(mode, "rw") {
			continue
		}
		region := make([]byte, to-from)
		n, _ := memory.ReadAt(region, from) // some end early
		for name, text := range texts {
			found[name] += bytes.Count(region[:n], text)
		}
	}
	return found
}

// What is left of keys and passwords in the memory of the service after their sessions: no key as it came, in PEM or DER.
// What libraries have let go of, as the numbers of a key and what go-pkcs12 has decrypted, stays until the memory is used
// again; and so do strings.
func TestThreat34WhatIsLeftInMemory(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		t.Skip("only Linux shows a process's memory in this way")
	}
	p := startScanned(t)
	c := pb.NewSecureSocketServiceClient(p.cc)
	clients := tlstest.NewCA(t)
	d := serveDoorman(t, tls.VersionTLS13, tls.RequireAndVerifyClientCert, clients)
	hoard := newHoard(t)
	texts := map[string][]byte{}
	for n, k := range hoard.keys {
		id := clientLeaf(clients, tlstest.Key(k.key))
		secret := hoard.secrets[k.name]
		der := pkcs8Of(t, k.key)
		at := bytes.Index(der, secret[:16])
		require.Positive(t, at)
		kind := "DER "
		if n%4 == 3 {
			kind = "PKCS#12 " // its library decrypts it
		}
		texts[kind+k.name] = der[:at+16]
		texts["number "+k.name] = secret[:16]
		body := base64.StdEncoding.EncodeToString(der)
		texts["PEM "+k.name] = []byte(body[at*4/3&^63:][:min(64, len(body)-at*4/3&^63)])

		form := []*pb.KeyPair{
			{CertificateChain: id.Chain, PrivateKey: der},
			{CertificateChain: id.Chain, PrivateKey: pemOf("PRIVATE KEY", der)},
			hoard.pair(t, 2, id, hoard.passphrases[n%len(hoard.passphrases)]),
			hoard.pair(t, 4, id, hoard.passphrases[n%len(hoard.passphrases)]),
		}[n%4]
		settings := having(keyPair(form))
		password := hoard.passwords[n%len(hoard.passwords)]
		host, port := hostPort(t, proxytest.StartHTTP(t, proxytest.User("user"), proxytest.Password(password)).Addr())
		settings.Proxy = &pb.ProxySettings{Kind: pb.ProxySettings_KIND_HTTP_CONNECT, Host: host, Port: port, Username: "user", Password: password}
		texts["password "+password], texts["passphrase "+hoard.passphrases[n%len(hoard.passphrases)]] = []byte(password), []byte(hoard.passphrases[n%len(hoard.passphrases)])
		s := newIdle(t.Context(), t, c, d.ca, settings)
		stillWorks(t.Context(), t, c, s, d.addr)
		d.admits(t, id)
		_, err := c.DeleteSession(t.Context(), &pb.DeleteSessionRequest{SessionId: s.id})
		require.NoError(t, err)
	}
	// Other work, so that what is in buffers of connections is overwritten; and what has to be found.
	label := rand.Text()
	kept := newIdle(t.Context(), t, c, nil, &pb.SessionSettings{Label: label})
	for range 200 {
		_, err := c.GetSession(t.Context(), &pb.GetSessionRequest{SessionId: kept.id})
		require.NoError(t, err)
		_, err = c.AddCertificate(t.Context(), &pb.AddCertificateRequest{SessionId: kept.id, Certificate: make([]byte, 16<<10)})
		require.Error(t, err)
	}
	texts["label "] = []byte(label)

	counts := map[string]int{}
	for name, n := range p.count(t, texts) {
		kind, _, _ := strings.Cut(name, " ")
		counts[kind] += n
	}
	var report []string
	for kind, n := range counts {
		report = append(report, fmt.Sprintf("%s: %d", kind, n))
	}
	slices.Sort(report)
	t.Logf("copies left of %d keys in all, %d passwords and passphrases: %s", len(hoard.keys), 2*wordCanaries, strings.Join(report, ", "))
	most := 0
	if raceEnabled {
		most = 3 // of buffers below gRPC: under the race detector sync.Pool drops some before the next user overwrites them
	}
	require.LessOrEqual(t, counts["PEM"]+counts["DER"], most)
	require.Positive(t, counts["label"], "the test of the test: what a session holds is found")
}
