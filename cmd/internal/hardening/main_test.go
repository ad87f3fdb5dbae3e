//go:build linux

package hardening

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// roleEnv makes the test's binary another program, for what holds for a whole process.
const roleEnv = "HARDENING_TEST_ROLE"

const (
	roleHard   = "hard"   // applies, reports, waits
	roleBare   = "bare"   // the same without Apply
	roleReader = "reader" // opens the file that it is given
)

// unprivileged is a user that owns nothing.
const unprivileged = 65534

func TestMain(m *testing.M) {
	switch role := os.Getenv(roleEnv); role {
	case "":
		os.Exit(m.Run())
	case roleReader:
		_, err := os.Open(os.Args[1])
		fmt.Println("permission", os.IsPermission(err))
		fmt.Println("opened", err == nil)
	default:
		if err := wait(role); err != nil {
			fmt.Println("error", err)
			os.Exit(1)
		}
	}
	os.Exit(0)
}

// wait reports what holds in this process, and ends with its stdin.
func wait(role string) error {
	d, err := OpenDescriptors()
	if err != nil {
		return err
	}
	before, err := d.Count()
	if err != nil {
		return err
	}
	for range 2 { // again changes nothing
		if role == roleBare {
			break
		}
		if err := Apply(); err != nil {
			return err
		}
	}
	dumpable, err := unix.PrctlRetInt(unix.PR_GET_DUMPABLE, 0, 0, 0, 0)
	if err != nil {
		return err
	}
	var core unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_CORE, &core); err != nil {
		return err
	}
	after, err := d.Count()
	if err != nil {
		return err
	}
	listed, err := d.entriesLocked()
	if err != nil {
		return err
	}
	fmt.Println("dumpable", dumpable)
	fmt.Println("core", core.Cur, core.Max)
	fmt.Println("descriptors", after-before, listed-before)
	fmt.Println("ready")
	_, err = io.Copy(io.Discard, os.Stdin)
	return err
}

// process is a helper that is running.
type process struct {
	cmd   *exec.Cmd
	facts map[string]string
	end   io.Closer
}

// start runs the binary in a role until it is ready, in a folder of its own, where it may leave a core file of any size.
func start(t *testing.T, role string, uid uint32, args ...string) process {
	t.Helper()
	// Neither the test's own folder nor the binary is for other users.
	dir, err := os.MkdirTemp("", "hardening")
	require.NoError(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	self, err := os.Executable()
	require.NoError(t, err)
	if uid != 0 {
		content, err := os.ReadFile(self)
		require.NoError(t, err)
		self = filepath.Join(dir, "self")
		require.NoError(t, os.WriteFile(self, content, 0o755)) //nolint:gosec // for whoever runs it
		require.NoError(t, os.Chmod(dir, 0o755))               //nolint:gosec // likewise
	}
	// The shell lifts the soft limit to the hard one, which a test cannot lift.
	cmd := exec.CommandContext(t.Context(), "/bin/sh", append([]string{"-c", `ulimit -c "$(ulimit -H -c)"; exec "$0" "$@"`, self}, args...)...)
	cmd.Dir = dir
	cmd.Env = []string{roleEnv + "=" + role, "GOTRACEBACK=crash", "PATH=" + os.Getenv("PATH")}
	if uid != 0 {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: uid}}
	}
	stdin, err := cmd.StdinPipe()
	require.NoError(t, err)
	stdout, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	p := process{cmd: cmd, facts: map[string]string{}, end: stdin}
	for lines := bufio.NewScanner(stdout); lines.Scan() && lines.Text() != "ready"; {
		name, value, _ := strings.Cut(lines.Text(), " ")
		p.facts[name] = value
	}
	require.Empty(t, p.facts["error"])
	return p
}

func (p process) stop(t *testing.T) {
	t.Helper()
	require.NoError(t, p.end.Close())
	require.NoError(t, p.cmd.Wait())
}
