package main

import (
	"fmt"
	"os"
	"os/exec"
	"slices"
	"sync"
	"syscall"
	"time"
)

const (
	// killAfter is how long a process has between SIGTERM and SIGKILL.
	killAfter = 2 * time.Second
	// lookAgain is how often those that a command has left are looked after.
	lookAgain = 20 * time.Millisecond
)

// child is a command that the shell runs, with all processes that it starts: a process group of its own, which the
// terminal's signals do not reach.
type child struct {
	cmd                   *exec.Cmd
	stdin, stdout, stderr *os.File // the ends that are not the command's

	mu       sync.Mutex
	deadline time.Time // when those that are still there are killed; zero: nobody has asked for their end
	reaped   bool      // the command's number may be that of another process
}

// startChild runs command, with variables beside those of this process.
func startChild(command string, variables []string) (*child, error) {
	c := &child{cmd: exec.Command("sh", "-c", command)}
	c.cmd.Env = slices.Concat(os.Environ(), variables)
	c.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	// Pipes of our own: those of package exec are closed before all is read, or wait for whoever holds the other end.
	var theirs, ours []*os.File
	for range 3 {
		r, w, err := os.Pipe()
		if err != nil {
			closeFiles(theirs, ours)
			return nil, err
		}
		if len(ours) == 0 { // stdin
			r, w = w, r
		}
		ours, theirs = append(ours, r), append(theirs, w)
	}
	c.stdin, c.stdout, c.stderr = ours[0], ours[1], ours[2]
	c.cmd.Stdin, c.cmd.Stdout, c.cmd.Stderr = theirs[0], theirs[1], theirs[2]
	err := c.cmd.Start()
	closeFiles(theirs)
	if err != nil {
		closeFiles(ours)
		return nil, err
	}
	return c, nil
}

func closeFiles(lists ...[]*os.File) {
	for _, list := range lists {
		for _, file := range list {
			_ = file.Close()
		}
	}
}

// stop ends the command: by SIGTERM and, if that is not enough, by SIGKILL. It does not wait. It may be called at any
// time, and again.
func (c *child) stop() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.reaped || !c.deadline.IsZero() {
		return
	}
	c.deadline = time.Now().Add(killAfter)
	_ = c.signal(syscall.SIGTERM)
	time.AfterFunc(killAfter, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		if !c.reaped {
			_ = c.signal(syscall.SIGKILL)
		}
	})
}

// wait waits for the end of the command, and ends what it has left running. The error says that it has not ended with 0.
func (c *child) wait() error {
	err := c.cmd.Wait()
	c.mu.Lock()
	c.reaped = true
	deadline := c.deadline
	c.mu.Unlock()
	if deadline.IsZero() {
		deadline = time.Now().Add(killAfter)
	}
	c.endRest(deadline)
	if err != nil {
		return fmt.Errorf("the command: %w", err) // as in "exit status 1"
	}
	return nil
}

// endRest ends the processes of the group that are still there. While there is one, the group's number is nobody else's.
func (c *child) endRest(deadline time.Time) {
	if c.signal(syscall.SIGTERM) != nil {
		return
	}
	for ; time.Now().Before(deadline); time.Sleep(lookAgain) {
		if c.signal(syscall.Signal(0)) != nil {
			return
		}
	}
	_ = c.signal(syscall.SIGKILL)
}

// signal tells the whole group; the error says that there is nobody.
func (c *child) signal(s syscall.Signal) error { return syscall.Kill(-c.cmd.Process.Pid, s) }
