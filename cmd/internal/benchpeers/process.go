package benchpeers

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

const (
	// startTimeout bounds how long a process takes until it can be used.
	startTimeout = 10 * time.Second
	// endTimeout is how long a process has to end before it is killed.
	endTimeout = 3 * time.Second
)

// process is one that Run has started.
type process struct {
	name string
	cmd  *exec.Cmd
	in   io.Closer     // its standard input
	log  string        // the file with what it said on stderr
	done chan struct{} // closed when it has ended and was waited for
}

// startProcess starts a program whose output goes to a file in dir, and its stdout to out if that is not nil.
func startProcess(dir, name string, env []string, out io.Writer, command ...string) (*process, error) {
	log := filepath.Join(dir, name+".log")
	file, err := os.Create(log) //nolint:gosec // in a folder of our own
	if err != nil {
		return nil, err
	}
	defer file.Close()
	cmd := exec.Command(command[0], command[1:]...) //nolint:gosec // the user named it, or it is this program
	cmd.Env = append(os.Environ(), env...)
	cmd.Stderr = file
	if cmd.Stdout = file; out != nil {
		cmd.Stdout = out
	}
	// Not to be ended by the terminal's Ctrl-C: Run ends it, in order.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.WaitDelay = endTimeout
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	p := &process{name: name, cmd: cmd, in: in, log: log, done: make(chan struct{})}
	go func() {
		_ = cmd.Wait() // an end that nobody asked for shows as what no longer works
		close(p.done)
	}()
	return p, nil
}

// pid is its id.
func (p *process) pid() int { return p.cmd.Process.Pid }

// stop ends the process and waits for that.
func (p *process) stop() {
	_ = p.in.Close()
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	patience := time.NewTimer(endTimeout)
	defer patience.Stop()
	select {
	case <-p.done:
	case <-patience.C:
		_ = p.cmd.Process.Kill()
		<-p.done
	}
}

// failure says that the process cannot be used, with the last thing it said.
func (p *process) failure(problem string) error {
	content, _ := os.ReadFile(p.log)
	lines := strings.Split(strings.TrimSpace(string(content)), "\n")
	if last := lines[len(lines)-1]; last != "" {
		problem += ": " + last
	}
	return errors.New(p.name + ": " + problem)
}

// await returns when ready does without an error. It gives up when the process ends, or takes too long.
func (p *process) await(ctx context.Context, ready func() error) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	pause := time.NewTicker(20 * time.Millisecond)
	defer pause.Stop()
	for {
		err := ready()
		if err == nil {
			return nil
		}
		select {
		case <-pause.C:
		case <-p.done:
			return p.failure("ended at once")
		case <-ctx.Done():
			return p.failure("is not ready: " + err.Error())
		}
	}
}

// startRole starts this program in one of its roles, and returns what it said when it was ready.
func (b *bench) startRole(ctx context.Context, name string, role ...string) (*process, string, error) {
	reader, writer := io.Pipe()
	p, err := startProcess(b.dir, name, nil, writer, append(append([]string{}, b.config.Self...), role...)...)
	if err != nil {
		return nil, "", err
	}
	said := make(chan string, 1)
	go func() { // ends with the process, whose output then ends
		lines := bufio.NewScanner(reader)
		for lines.Scan() {
			if word, ok := strings.CutPrefix(lines.Text(), readyWord); ok {
				select {
				case said <- word:
				default:
				}
			}
		}
	}()
	go func() {
		<-p.done
		_ = writer.Close()
	}()
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	select {
	case word := <-said:
		return p, word, nil
	case <-p.done:
		return nil, "", p.failure("ended at once")
	case <-ctx.Done():
		p.stop()
		return nil, "", p.failure(fmt.Sprintf("is not ready after %v", startTimeout))
	}
}
