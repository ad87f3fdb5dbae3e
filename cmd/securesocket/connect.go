package main

import (
	"context"
	"errors"
	"io"
	"time"

	"github.com/spf13/cobra"

	"securesocket/client"
)

const (
	// chunkBytes is how much is moved at once.
	chunkBytes = 64 << 10
	// abortWait is how long an interrupted connect waits for a write to stdout that may be stuck.
	abortWait = 500 * time.Millisecond
)

func (p *program) connectCommand() *cobra.Command {
	var flags tlsFlags
	var verbose bool
	var onProblem string
	var noHalfClose, resumable bool
	cmd := &cobra.Command{
		Use:   "connect HOST:PORT",
		Short: "Pipe stdin and stdout through a session",
		Long: `connect makes a session with the peer at HOST:PORT and pipes stdin to it and what it sends to stdout.
The end of stdin is a half-close: the peer is told, and may go on sending. connect ends when the peer ends:
with 0 after its close_notify, with 7 if its end came without one and what was received may be incomplete.
Some servers, of HTTP above all, take a half-close for the end and drop the connection; --no-half-close keeps the
direction to the peer open until the peer ends.
With --resumable the way to the service may break for up to a minute: the session goes on where it was.`,
		Args: onePeer,
	}
	flags.register(cmd)
	cmd.Flags().BoolVarP(&verbose, "verbose", "v", false, "tell every event on stderr, with the time since the start")
	cmd.Flags().StringVar(&onProblem, "on-problem", "refuse", "`WHAT` a certificate with a problem leads to: refuse, ask (on the terminal) or accept (exactly what is found, with a warning)")
	cmd.Flags().BoolVar(&noHalfClose, "no-half-close", false, "keep the direction to the peer open when stdin ends, until the peer ends")
	cmd.Flags().BoolVar(&resumable, "resumable", false, "go on after the way to the service was broken, without a loss")
	cmd.RunE = p.withService(func(cmd *cobra.Command, args []string, c *client.Client) error {
		t, err := parseTarget(args[0])
		if err != nil {
			return err
		}
		settings, anchors, err := flags.settings(cmd)
		if err != nil {
			return err
		}
		dialer := &client.Dialer{Client: c, Settings: settings, RootCAs: anchors, Timeout: flags.timeout, Resumable: resumable}
		if err := p.onProblem(onProblem, dialer); err != nil {
			return err
		}
		if verbose {
			began := time.Now()
			dialer.OnEvent = tellEvents(p.stderr, began)
			dialer.OnResume = tellResumed(p.stderr, began)
		}
		conn, err := dialer.Dial(cmd.Context(), "tcp", t.String())
		if err != nil {
			return err
		}
		p.halfClose = !noHalfClose
		return p.pipe(cmd.Context(), conn)
	})
	return cmd
}

// pipe moves bytes both ways until the peer ends, something fails or ctx is done. It closes conn.
func (p *program) pipe(ctx context.Context, conn *client.Conn) error {
	// Both depth 1, so that a goroutine that ends late finds room.
	sent, received := make(chan error, 1), make(chan error, 1)
	go func() { sent <- sendAll(conn, p.stdin, p.halfClose) }()
	go func() { received <- receiveAll(p.stdout, conn) }()
	unsent := false
	for {
		select {
		case err := <-sent:
			sent = nil // its end is no end for the other direction
			if _, broken := errors.AsType[*inputError](err); broken {
				// To close_notify would tell the peer that this was all.
				conn.Abort()
				return err
			}
			unsent = err != nil
		case err := <-received:
			// The reader of stdout or the peer has ended; what the peer is still to get is delivered.
			if closed := conn.Close(); err == nil && (closed != nil || unsent) {
				p.warn("the peer ended before it had taken all of stdin")
			}
			return err
		case <-ctx.Done():
			conn.Abort()
			stuck := time.NewTimer(abortWait)
			defer stuck.Stop()
			select {
			case <-received: //nolint:errcheck // it ended because it was told to
			case <-stuck.C:
			}
			return errInterrupted
		}
	}
}

// inputError says that stdin cannot be read.
type inputError struct{ err error }

func (e *inputError) Error() string { return "stdin: " + e.err.Error() }
func (e *inputError) Unwrap() error { return e.err }

// sendAll copies in to the peer and half-closes at its end, if it is to. Why the writing half has failed, the reading half
// says too.
func sendAll(conn *client.Conn, in io.Reader, halfClose bool) error {
	chunk := make([]byte, chunkBytes)
	for {
		n, err := in.Read(chunk)
		if n > 0 {
			if _, err := conn.Write(chunk[:n]); err != nil {
				return err
			}
		}
		switch {
		case err == io.EOF && halfClose:
			return conn.CloseWrite()
		case err == io.EOF:
			return nil
		case err != nil:
			return &inputError{err}
		}
	}
}

// receiveAll copies what the peer sends to out, until its close_notify.
func receiveAll(out io.Writer, conn *client.Conn) error {
	chunk := make([]byte, chunkBytes)
	for {
		n, err := conn.Read(chunk)
		if n > 0 {
			if _, err := out.Write(chunk[:n]); err != nil {
				return &outputError{err}
			}
		}
		switch {
		case err == io.EOF: //nolint:errorlint // only io.EOF itself is the peer's close_notify
			return nil
		case err != nil:
			return err
		}
	}
}
