package hardening

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestApply(t *testing.T) {
	t.Parallel()
	p := start(t, roleHard, 0)
	require.Equal(t, "0", p.facts["dumpable"])
	require.Equal(t, "0 0", p.facts["core"])
	require.Equal(t, "0 0", p.facts["descriptors"], "by size and one by one, Apply takes none")
	limits, err := os.ReadFile(fmt.Sprintf("/proc/%d/limits", p.cmd.Process.Pid))
	require.NoError(t, err)
	require.Regexp(t, `(?m)^Max core file size +0 +0 +bytes`, string(limits))
	p.stop(t)

	p = start(t, roleBare, 0)
	require.Equal(t, "1", p.facts["dumpable"], "it is Apply that does it")
	p.stop(t)
}

// abort ends a process by SIGABRT and returns the core files that it has left.
func abort(t *testing.T, p process) []string {
	t.Helper()
	require.NoError(t, p.cmd.Process.Signal(syscall.SIGABRT))
	require.Error(t, p.cmd.Wait())
	status, ok := p.cmd.ProcessState.Sys().(syscall.WaitStatus)
	require.True(t, ok)
	require.True(t, status.Signaled(), "GOTRACEBACK=crash ends it by the signal itself")
	require.Equal(t, syscall.SIGABRT, status.Signal())
	require.Equal(t, strings.HasPrefix(p.facts["dumpable"], "0"), !status.CoreDump())
	files, err := filepath.Glob(filepath.Join(p.cmd.Dir, "*"))
	require.NoError(t, err)
	return files
}

func TestThreat33NoCore(t *testing.T) {
	t.Parallel()
	require.Empty(t, abort(t, start(t, roleHard, 0)))
}

// The test of the test: without Apply there is a core file, where the system writes such files at all.
func TestCoreWithoutApply(t *testing.T) {
	t.Parallel()
	pattern, err := os.ReadFile("/proc/sys/kernel/core_pattern")
	require.NoError(t, err)
	p := start(t, roleBare, 0)
	if strings.ContainsAny(string(pattern), "|/") || strings.HasPrefix(p.facts["core"], "0 ") {
		p.stop(t)
		t.Skipf("core files go elsewhere (%q), or are forbidden here (%s)", pattern, p.facts["core"])
	}
	require.NotEmpty(t, abort(t, p))
}

// Another process of the same user, without privileges, cannot read the memory. Everything in the directory of a process
// that is not dumpable is root's.
func TestThreat33SameUserCannotLookInside(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("only root can start processes of another user")
	}
	p := start(t, roleHard, unprivileged)
	require.Equal(t, "0 0", p.facts["descriptors"], "they are counted without privileges too")
	for _, file := range []string{"mem", "environ", "maps"} {
		reader := start(t, roleReader, unprivileged, fmt.Sprintf("/proc/%d/%s", p.cmd.Process.Pid, file))
		require.NoError(t, reader.cmd.Wait())
		require.Equal(t, "true", reader.facts["permission"], file)
		require.Equal(t, "false", reader.facts["opened"], file)
	}
	info, err := os.Stat(fmt.Sprintf("/proc/%d/environ", p.cmd.Process.Pid))
	require.NoError(t, err)
	stat, ok := info.Sys().(*syscall.Stat_t)
	require.True(t, ok)
	require.Zero(t, stat.Uid)
	p.stop(t)

	p = start(t, roleBare, unprivileged)
	reader := start(t, roleReader, unprivileged, fmt.Sprintf("/proc/%d/environ", p.cmd.Process.Pid))
	require.NoError(t, reader.cmd.Wait())
	require.Equal(t, "true", reader.facts["opened"], "it is Apply that does it")
	p.stop(t)
}
