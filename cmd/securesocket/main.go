package main

import (
	"context"
	"errors"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"securesocket/client"
)

// version is set by the linker.
var version = "dev"

func main() {
	// Otherwise the runtime would end the process at the first write to a stdout that nobody reads, before the session
	// is closed. Not ignored: what listen runs would inherit that.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // the second signal finds no handler
	os.Exit(run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// program is what every command works with.
type program struct {
	stdin  io.Reader
	stdout io.Writer
	stderr io.Writer
	// terminal opens the terminal that the user sits at, to ask on.
	terminal func() (io.ReadCloser, error)

	service serviceFlags
	// started is set when a command has begun: errors before that are about the command line.
	started bool
	// halfClose is set when a command tells the peer the end of stdin: a peer's truncation may be its answer to that.
	halfClose bool
	// startTLS is set when a command has asked the peer for TLS in its own protocol.
	startTLS bool
}

// run is the whole program. It ends when the command has ended or ctx is done, and returns the exit code.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	p := &program{stdin: stdin, stdout: stdout, stderr: &lockedWriter{w: stderr}, terminal: openTerminal}
	return p.run(ctx, args)
}

// run runs the command that args name, once.
func (p *program) run(ctx context.Context, args []string) int {
	root := p.root()
	root.SetArgs(args)
	cmd, err := root.ExecuteContextC(ctx)
	if err != nil && !p.started {
		err = &usageError{err}
	}
	if err != nil && ctx.Err() != nil {
		err = errInterrupted // whatever it looked like from inside
	}
	p.complain(cmd.CommandPath(), err)
	return exitCode(err)
}

func (p *program) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "securesocket",
		Short: "Secure sockets that a service makes, validates and holds",
		Long: `securesocket is the command line of the secure socket service.
To see what it does, with no service and no network:  securesocket demo
To see what is wrong with a peer:  securesocket diagnose HOST:PORT

Exit codes: 0 done, 1 other, 2 usage, 3 refused by policy, 4 network,
5 handshake, 6 certificate, 7 truncated, 8 denied (policy explain),
130 interrupted.`,
		Version:       version,
		SilenceUsage:  true,
		SilenceErrors: true,
		RunE: func(*cobra.Command, []string) error {
			return usagef("a command is missing")
		},
	}
	root.SetIn(p.stdin)
	root.SetOut(p.stdout)
	root.SetErr(p.stderr)
	root.CompletionOptions.HiddenDefaultCmd = true
	p.service.register(root)
	root.AddCommand(p.connectCommand(), p.listenCommand(), p.statusCommand(), p.diagnoseCommand(), p.validateCommand(), p.trustCommand(),
		p.sessionsCommand(), p.policyCommand(), p.capabilitiesCommand(), p.demoCommand())
	root.AddCommand(p.benchCommands()...)
	return root
}

// withService runs a command with a client of the service that the flags name.
func (p *program) withService(do func(*cobra.Command, []string, *client.Client) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		p.started = true
		// One HTTP/2 connection does for one session; a caller has so many.
		c, done, err := p.service.open(client.WithSharedConnection())
		if err != nil {
			return err
		}
		defer done()
		return do(cmd, args, c)
	}
}

// noArguments is cobra.NoArgs, which calls every argument an unknown command.
func noArguments(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		if cmd.HasSubCommands() {
			return usagef("there is no command %q here: want %s, or flags alone", args[0], cmd.Commands()[0].Name())
		}
		return usagef("want no argument beside the flags, not %q", args[0])
	}
	return nil
}

// onePeer wants HOST:PORT and nothing else.
func onePeer(_ *cobra.Command, args []string) error {
	if len(args) != 1 {
		return usagef("want one HOST:PORT, not %d arguments", len(args))
	}
	return nil
}

// print writes a command's output at once, when it is complete.
func (p *program) print(text []byte) error {
	if len(text) == 0 {
		return nil
	}
	if _, err := p.stdout.Write(text); err != nil {
		return &outputError{err}
	}
	return nil
}

// outputError says that stdout cannot be written.
type outputError struct{ err error }

func (e *outputError) Error() string { return "stdout: " + e.err.Error() }
func (e *outputError) Unwrap() error { return e.err }

// quiet reports whether the reader of stdout has merely gone away, as head(1) does.
func (e *outputError) quiet() bool {
	return errors.Is(e.err, syscall.EPIPE) || errors.Is(e.err, io.ErrClosedPipe)
}

// errInterrupted is the end by a signal.
var errInterrupted = errors.New("interrupted")
