//go:build unix

package realserver

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"github.com/stretchr/testify/require"
)

// patience bounds every wait for a server.
const patience = 30 * time.Second

// child is a server's process. Its own children are in its process group.
type child struct {
	f      *folder
	cmd    *exec.Cmd
	output string        // a file
	done   chan struct{} // closed when the process has ended
}

// start runs a program until the test ends. It is asked to end by a signal.
func (f *folder) start(end syscall.Signal, program string, args ...string) *child {
	f.tb.Helper()
	c := &child{f: f, cmd: exec.Command(program, args...), output: filepath.Join(f.path, "output"), done: make(chan struct{})}
	// A file, not a pipe: a pipe would have to be read until the last grandchild is gone.
	output, err := os.Create(c.output)
	require.NoError(f.tb, err)
	defer func() { _ = output.Close() }()
	c.cmd.Dir, c.cmd.Stdout, c.cmd.Stderr = f.path, output, output
	c.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Credential: f.credential}
	require.NoError(f.tb, c.cmd.Start())
	go func() {
		_ = c.cmd.Wait()
		close(c.done)
	}()
	f.tb.Cleanup(func() { c.stop(end) })
	return c
}

func (c *child) stop(end syscall.Signal) {
	_ = c.cmd.Process.Signal(end)
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-c.done:
	case <-timer.C:
	}
	_ = syscall.Kill(-c.cmd.Process.Pid, syscall.SIGKILL) // and who serves somebody still
	<-c.done
	if c.f.tb.Failed() {
		c.f.tb.Logf("%s: %s", c.cmd.Path, c.printed())
	}
}

// printed is what the server has printed so far.
func (c *child) printed() string {
	text, _ := os.ReadFile(c.output)
	return string(text)
}

// until waits for a condition, for as long as the server lives.
func (c *child) until(condition func() bool) {
	c.f.tb.Helper()
	over := time.NewTimer(patience)
	defer over.Stop()
	again := time.NewTicker(5 * time.Millisecond)
	defer again.Stop()
	for !condition() {
		select {
		case <-c.done:
			require.Fail(c.f.tb, "the server has ended", "%s: %s", c.cmd.Path, c.printed())
		case <-over.C:
			require.Fail(c.f.tb, "the server does not answer", "%s: %s", c.cmd.Path, c.printed())
		case <-again.C:
		}
	}
}

// untilItListens waits until the server takes connections.
func (c *child) untilItListens(ports ...*port) {
	c.f.tb.Helper()
	for _, p := range ports {
		c.until(func() bool {
			conn, err := net.DialTimeout("tcp", p.addr(), patience)
			if err == nil {
				_ = conn.Close()
			}
			return err == nil
		})
	}
}
