package main

import (
	"bufio"
	"bytes"
	"context"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	pb "securesocket/gen/securesocket/v1"
)

const patience = 20 * time.Second

// binary is the daemon, built once for all tests.
var binary string

func TestMain(m *testing.M) {
	if os.Getenv(asCallerEnv) != "" {
		os.Exit(asCaller())
	}
	dir, err := os.MkdirTemp("", "securesocketd")
	if err != nil {
		panic(err)
	}
	binary = filepath.Join(dir, "securesocketd")
	if out, err := exec.Command("go", "build", "-o", binary, ".").CombinedOutput(); err != nil {
		panic(string(out))
	}
	code := m.Run()
	_ = os.RemoveAll(dir)
	os.Exit(code)
}

// daemon is a running process of the service.
type daemon struct {
	cmd    *exec.Cmd
	ready  []string // addresses
	exited chan error
	mu     sync.Mutex
	logs   bytes.Buffer
}

func (d *daemon) Write(p []byte) (int, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.logs.Write(p)
}

func (d *daemon) log() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.logs.String()
}

// start runs the daemon and waits until it serves n addresses.
func start(tb testing.TB, n int, prepare func(*exec.Cmd), args ...string) *daemon {
	tb.Helper()
	d := &daemon{cmd: exec.Command(binary, args...), exited: make(chan error, 1)}
	d.cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "XDG_RUNTIME_DIR=" + tb.TempDir()}
	d.cmd.Stderr = d
	if prepare != nil {
		prepare(d.cmd)
	}
	out, err := d.cmd.StdoutPipe()
	require.NoError(tb, err)
	require.NoError(tb, d.cmd.Start())
	lines := make(chan string, 8)
	go func() {
		for s := bufio.NewScanner(out); s.Scan(); {
			lines <- s.Text()
		}
		close(lines)
		d.exited <- d.cmd.Wait()
	}()
	tb.Cleanup(func() { _ = d.cmd.Process.Kill(); <-d.exited })
	timeout := time.NewTimer(patience)
	defer timeout.Stop()
	for len(d.ready) < n {
		select {
		case line, ok := <-lines:
			require.True(tb, ok, "ended early: %s", d.log())
			address, ok := strings.CutPrefix(line, "ready ")
			require.True(tb, ok, line)
			d.ready = append(d.ready, address)
		case <-timeout.C:
			tb.Fatal("not ready", d.log())
		}
	}
	return d
}

// exit waits for the end of the process and returns its exit code.
func (d *daemon) exit(tb testing.TB) int {
	tb.Helper()
	select {
	case err := <-d.exited:
		d.exited <- err // for the cleanup
		return d.cmd.ProcessState.ExitCode()
	case <-time.After(patience):
		tb.Fatal("still running", d.log())
		return -1
	}
}

func (d *daemon) client(tb testing.TB) pb.SecureSocketServiceClient {
	tb.Helper()
	return pb.NewSecureSocketServiceClient(dial(tb, d.ready[0]))
}

func dial(tb testing.TB, address string) *grpc.ClientConn {
	tb.Helper()
	cc, err := grpc.NewClient(strings.TrimPrefix(address, "grpc://"), grpc.WithTransportCredentials(insecure.NewCredentials()))
	require.NoError(tb, err)
	tb.Cleanup(func() { _ = cc.Close() })
	return cc
}

// fails runs the daemon and requires that it refuses to start.
func fails(tb testing.TB, code int, args ...string) string {
	tb.Helper()
	ctx, cancel := context.WithTimeout(tb.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, binary, args...)
	cmd.Env = []string{"XDG_RUNTIME_DIR=" + tb.TempDir()}
	out, err := cmd.CombinedOutput()
	require.Error(tb, err, string(out))
	require.Equal(tb, code, cmd.ProcessState.ExitCode(), string(out))
	require.NotContains(tb, string(out), "ready")
	require.NotContains(tb, string(out), "goroutine")
	return string(out)
}

func TestUsageErrorsNameTheFlag(t *testing.T) {
	t.Parallel()
	for flag, args := range map[string][]string{
		"--listen":        {"--listen", "http://x"},
		"--insecure":      {"--listen", "grpc://127.0.0.1:0"},
		"absolute":        {"--listen", "unix://relative/path"},
		"--egress-allow":  {"--egress-allow", "10.0.0.1/8"},
		"--log-format":    {"--log-format", "xml"},
		"--drain-timeout": {"--drain-timeout", "-1s"},
		"65535":           {"--insecure", "--listen", "grpc://127.0.0.1:99999"},
		"at most":         {"--listen", "unix:///" + strings.Repeat("x", 200)},
		"nonsense":        {"nonsense"},
		"config show":     {"config", "nonsense"},
		"token new":       {"token", "nonsense"},
		"URL":             {"--egress-allow", "https://example.org/"},
		"--nonsense":      {"--nonsense"},
	} {
		require.Contains(t, fails(t, exitUsage, args...), flag)
	}
}

func TestServesByDefaultForItsUserAlone(t *testing.T) {
	t.Parallel()
	d := start(t, 1, nil)
	path := strings.TrimPrefix(d.ready[0], "unix://")
	for p, mode := range map[string]os.FileMode{path: 0o600, filepath.Dir(path): 0o700} {
		info, err := os.Stat(p)
		require.NoError(t, err)
		require.Equal(t, mode, info.Mode().Perm(), p)
	}
	resp, err := d.client(t).CreateSession(t.Context(), &pb.CreateSessionRequest{})
	require.NoError(t, err)
	require.Equal(t, "uid:"+itoa(os.Geteuid()), resp.GetSession().GetOwner())

	require.Contains(t, fails(t, exitError, "--listen", d.ready[0]), "another service")
	require.NoError(t, d.cmd.Process.Signal(syscall.SIGTERM))
	require.Zero(t, d.exit(t))
	require.NoFileExists(t, path)
}

func TestFolderOfOthersIsRefused(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	require.NoError(t, os.Mkdir(filepath.Join(dir, "open"), 0o700))
	require.NoError(t, os.Chmod(filepath.Join(dir, "open"), 0o777)) //nolint:gosec // the flaw that is tested
	fails(t, exitError, "--listen", "unix://"+filepath.Join(dir, "open", "s.sock"))

	file := filepath.Join(dir, "file")
	require.NoError(t, os.WriteFile(file, []byte("precious"), 0o600))
	fails(t, exitError, "--listen", "unix://"+file)
	content, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Equal(t, "precious", string(content))
}

func TestFolderBehindALinkIsTheFolder(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	require.NoError(t, os.Mkdir(filepath.Join(dir, "real"), 0o700))
	require.NoError(t, os.Symlink("real", filepath.Join(dir, "link")))
	d := start(t, 1, nil, "--listen", "unix://"+filepath.Join(dir, "link", "s.sock"))
	_, err := d.client(t).GetCapabilities(t.Context(), &pb.GetCapabilitiesRequest{})
	require.NoError(t, err)

	// An open folder above is as bad as an open one.
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "open", "below"), 0o700))
	require.NoError(t, os.Chmod(filepath.Join(dir, "open"), 0o777)) //nolint:gosec // the flaw that is tested
	fails(t, exitError, "--listen", "unix://"+filepath.Join(dir, "open", "below", "s.sock"))
}

func TestKilledServiceLeavesNothingButItsSocket(t *testing.T) {
	t.Parallel()
	address := "unix://" + filepath.Join(t.TempDir(), "s.sock")
	d := start(t, 1, nil, "--listen", address)
	resp, err := d.client(t).CreateSession(t.Context(), &pb.CreateSessionRequest{})
	require.NoError(t, err)
	require.NoError(t, d.cmd.Process.Kill())
	d.exit(t)

	again := start(t, 1, nil, "--listen", address)
	_, err = again.client(t).GetSession(t.Context(), &pb.GetSessionRequest{SessionId: resp.GetSession().GetSessionId()})
	require.Equal(t, "SESSION_NOT_FOUND", reasonOf(t, err))
}

func TestInsecureCallersAreAnonymousAndCannotReachTheService(t *testing.T) {
	t.Parallel()
	d := start(t, 2, nil, "--insecure", "--listen", "grpc://127.0.0.1:0", "--listen", "grpc://[::1]:0", "--egress-allow", "127.0.0.0/8", "--egress-allow", "::1")
	require.Eventually(t, func() bool { return strings.Contains(d.log(), "anonymous") }, patience, time.Millisecond)
	c := d.client(t)
	resp, err := c.CreateSession(t.Context(), &pb.CreateSessionRequest{})
	require.NoError(t, err)
	require.Equal(t, "anonymous", resp.GetSession().GetOwner())
	for _, ready := range d.ready {
		host, port, err := net.SplitHostPort(strings.TrimPrefix(ready, "grpc://"))
		require.NoError(t, err)
		_, err = c.Connect(t.Context(), &pb.ConnectRequest{SessionId: resp.GetSession().GetSessionId(), Host: host, Port: atoi32(t, port)})
		require.Equal(t, "EGRESS_DENIED", reasonOf(t, err), ready)
	}
}
