package server_test

import (
	"bufio"
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	pb "securesocket/gen/securesocket/v1"
	"securesocket/server/servertest"
	"securesocket/tlsengine/tlstest"
)

// program finds a program that a test talks to, or skips the test; where CI is
// set it has to be there.
func program(tb testing.TB, names ...string) string {
	tb.Helper()
	for _, name := range names {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	if os.Getenv("CI") != "" {
		require.Fail(tb, names[0]+" is not installed")
	}
	tb.Skip(names[0] + " is not installed")
	return ""
}

// run starts a child process that is ended with the test, and its own children
// with it.
func run(tb testing.TB, cmd *exec.Cmd) {
	tb.Helper()
	require.NoError(tb, cmd.Start())
	tb.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		timer := time.AfterFunc(patience, func() { _ = cmd.Process.Kill() })
		_ = cmd.Wait()
		timer.Stop()
	})
}

// printed is what a process has printed so far.
type printed struct {
	mu      sync.Mutex
	text    []byte
	changed chan struct{} // depth 1: to until
}

func (p *printed) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.text = append(p.text, b...)
	select {
	case p.changed <- struct{}{}:
	default:
	}
	return len(b), nil
}

// until waits for what f finds in the text.
func (p *printed) until(tb testing.TB, f func(text []byte) []byte) []byte {
	tb.Helper()
	over := patienceOf(tb)
	for {
		p.mu.Lock()
		found := f(p.text)
		p.mu.Unlock()
		if found != nil {
			return found
		}
		select {
		case <-p.changed:
		case <-over:
			require.Fail(tb, "not printed", "%q", p.text[:min(len(p.text), 2000)])
		}
	}
}

var acceptLine = regexp.MustCompile(`ACCEPT (\S+:\d+)`)

// serveOpenSSL runs openssl s_server in a directory; version 0 is whatever it likes best.
func serveOpenSSL(tb testing.TB, version uint16, dir string, args ...string) (string, *tlstest.CA, *printed) {
	tb.Helper()
	path := program(tb, "openssl")
	ca := tlstest.NewCA(tb)
	cert, key := ca.Leaf().WriteFiles(tb.TempDir())
	args = append([]string{"s_server", "-accept", "127.0.0.1:0", "-cert", cert, "-key", key}, args...)
	if version != 0 {
		args = append(args, map[uint16]string{tls.VersionTLS12: "-tls1_2", tls.VersionTLS13: "-tls1_3"}[version])
	}
	cmd := exec.Command(path, args...)
	cmd.Dir = dir
	out := &printed{changed: make(chan struct{}, 1)}
	cmd.Stdout, cmd.Stderr = out, out
	stdin, err := cmd.StdinPipe() // stays open: its end would end the server
	require.NoError(tb, err)
	tb.Cleanup(func() { _ = stdin.Close() })
	run(tb, cmd)
	addr := out.until(tb, func(text []byte) []byte {
		if m := acceptLine.FindSubmatch(text); m != nil {
			return m[1]
		}
		return nil
	})
	return string(addr), ca, out
}

// bytesOf reads what a caller receives, until the peer's end.
type bytesOf struct{ k *caller }

func (r bytesOf) Read(p []byte) (int, error) {
	for len(r.k.data) == 0 {
		if n := len(r.k.events); n > 0 && (r.k.events[n-1].GetRemoteClosed() != nil || r.k.events[n-1].GetClosed() != nil) {
			return 0, io.EOF
		}
		if err := r.k.next(); err != nil {
			return 0, err
		}
	}
	n := copy(p, r.k.data)
	r.k.data = r.k.data[n:]
	r.k.attached.SocketDataOffset += int64(n)
	return n, nil
}

func (k *caller) response() *http.Response {
	k.tb.Helper()
	resp, err := http.ReadResponse(bufio.NewReader(bytesOf{k}), nil)
	require.NoError(k.tb, err)
	k.tb.Cleanup(func() { _ = resp.Body.Close() })
	return resp
}

// randomFile makes a file and returns its digest.
func randomFile(tb testing.TB, path string, size int) [sha256.Size]byte {
	tb.Helper()
	b := make([]byte, size)
	_, _ = rand.Read(b)
	require.NoError(tb, os.WriteFile(path, b, 0o600))
	return sha256.Sum256(b)
}

func digestOf(tb testing.TB, r io.Reader) (sum [sha256.Size]byte) {
	tb.Helper()
	h := sha256.New()
	_, err := io.Copy(h, r)
	require.NoError(tb, err)
	h.Sum(sum[:0])
	return sum
}

func TestOpenSSLReverses(t *testing.T) {
	t.Parallel()
	bothVersions(t, func(t *testing.T, version uint16) {
		addr, ca, _ := serveOpenSSL(t, version, "", "-rev")
		k := open(t, servertest.Start(t).Client(t), addr, ca)
		require.EqualValues(t, version-tls.VersionTLS10, k.secure().GetTls().GetVersion()-pb.ProtocolVersion_PROTOCOL_VERSION_TLS1_0)
		k.write([]byte("first\n"))
		k.until(func() bool { return string(k.data) == "tsrif\n" })
		// The last line and the half-close come at once; the answer still comes.
		k.write([]byte("last\n"))
		k.finish()
		closed := k.closed()
		require.Equal(t, "tsrif\ntsal\n", string(k.data))
		require.Equal(t, pb.CloseCause_CLOSE_CAUSE_LOCAL, closed.GetCause())
		require.Equal(t, pb.CloseCause_CLOSE_CAUSE_PEER_CLOSE_NOTIFY, closed.GetReadCause())
	})
}

func TestOpenSSLAnswersHTTP(t *testing.T) {
	t.Parallel()
	bothVersions(t, func(t *testing.T, version uint16) {
		addr, ca, _ := serveOpenSSL(t, version, "", "-www")
		k := open(t, servertest.Start(t).Client(t), addr, ca)
		k.write([]byte("GET / HTTP/1.0\r\n\r\n"))
		resp := k.response()
		require.Equal(t, http.StatusOK, resp.StatusCode)
		body, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		require.True(t, bytes.HasSuffix(bytes.TrimSpace(bytes.ToUpper(body)), []byte("</HTML>")), "to the end")
		require.Equal(t, pb.CloseCause_CLOSE_CAUSE_PEER_CLOSE_NOTIFY, k.event("remote_closed").GetRemoteClosed().GetCause())
	})
}

func TestOpenSSLSendsAFileAfterTheHalfClose(t *testing.T) {
	t.Parallel()
	bothVersions(t, func(t *testing.T, version uint16) {
		dir := t.TempDir()
		want := randomFile(t, filepath.Join(dir, "file"), 64<<20)
		addr, ca, _ := serveOpenSSL(t, version, dir, "-WWW")
		k := open(t, servertest.Start(t).Client(t), addr, ca)
		k.write([]byte("GET /file HTTP/1.0\r\n\r\n"))
		k.finish()
		require.Equal(t, want, digestOf(t, k.response().Body))
		require.Equal(t, pb.CloseCause_CLOSE_CAUSE_PEER_CLOSE_NOTIFY, k.closed().GetReadCause())
	})
}

func TestOpenSSLReceivesAndSeesTheEnd(t *testing.T) {
	t.Parallel()
	bothVersions(t, func(t *testing.T, version uint16) {
		const size = 64 << 20
		addr, ca, out := serveOpenSSL(t, version, "")
		k := open(t, servertest.Start(t).Client(t), addr, ca)
		k.secure()
		sent := make([]byte, size)
		_, _ = rand.Read(sent)
		k.write([]byte("<the payload>"))
		k.write(sent)
		k.finish()
		// It prints what it receives, and DONE when it sees the end.
		got := out.until(t, func(text []byte) []byte {
			_, after, found := bytes.Cut(text, []byte("<the payload>"))
			if !found || len(after) < size || !bytes.Contains(after[size:], []byte("DONE")) {
				return nil
			}
			return after[:size]
		})
		require.Equal(t, sha256.Sum256(sent), sha256.Sum256(got))
		closed := k.closed()
		require.Equal(t, pb.CloseCause_CLOSE_CAUSE_PEER_CLOSE_NOTIFY, closed.GetReadCause())
		require.EqualValues(t, size+13, closed.GetSentBytes())
	})
}

// A server that wants a certificate says so after version and suite were agreed
// on: in TLS 1.2 within the handshake, in TLS 1.3 after it.
func TestOpenSSLWantsAClientCertificate(t *testing.T) {
	t.Parallel()
	bothVersions(t, func(t *testing.T, version uint16) {
		addr, ca, _ := serveOpenSSL(t, version, "", "-Verify", "1")
		k := open(t, servertest.Start(t).Client(t), addr, ca)
		closed := k.closed()
		require.Equal(t, pb.ErrorReason_ERROR_REASON_PEER_ALERT, closed.GetFailure().GetReason())
		require.Equal(t, pb.CloseCause_CLOSE_CAUSE_PEER_ALERT, closed.GetCause())
		require.Equal(t, version == tls.VersionTLS13, slices.Contains(k.kinds(), "secure_connected"))
	})
}
