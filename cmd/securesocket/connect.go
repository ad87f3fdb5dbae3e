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
	var noHalfClose, resumable, plain bool
	var startTLS startTLSFlag
	cmd := &cobra.Command{
		Use:   "connect HOST:PORT",
		Short: "Pipe stdin and stdout through a session",
		Long: `connect makes a session with the peer at HOST:PORT and pipes stdin to it and what it sends to stdout.
The end of stdin is a half-close: the peer is told, and may go on sending. connect ends when the peer ends:
with 0 after its close_notify, with 7 if its end came without one and what was received may be incomplete.
Some servers, of HTTP above all, take a half-close for the end and drop the connection; --no-half-close keeps the
direction to the peer open until the peer ends.
With --starttls the service asks for TLS in the peer's own protocol, and stdin and stdout begin where TLS does; -v tells
what the peer said before that. With --plain there is no TLS at all: nobody knows who the peer is or who reads along, and
connect ends with 0 at the peer's end of TCP (FIN), of which nobody can tell whether it was everything.
With --resumable the way to the service may break for up to a minute: the session goes on where it was. It ends with the
service itself: if that was started again, connect says how far the bytes had come and ends with 4.`,
		Args: onePeer,
	}
	flags.register(cmd)
	cmd.Flags().BoolVarP(&verbose, "verbose", "v", false, "tell every event on stderr, with the time since the start")
	cmd.Flags().StringVar(&onProblem, "on-problem", "refuse", "`WHAT` a certificate with a problem leads to: refuse, ask (on the terminal) or accept (exactly what is found, with a warning)")
	cmd.Flags().BoolVar(&noHalfClose, "no-half-close", false, "keep the direction to the peer open when stdin ends, until the peer ends")
	cmd.Flags().BoolVar(&resumable, "resumable", false, "go on after the way to the service was broken, without a loss")
	cmd.Flags().BoolVar(&plain, "plain", false, "leave TLS out: bytes move in clear")
	startTLS.register(cmd.Flags())
	cmd.RunE = p.withService(func(cmd *cobra.Command, args []string, c *client.Client) error {
		t, err := parseTarget(args[0])
		if err != nil {
			return err
		}
		if err := startTLS.check(cmd.Flags()); err != nil {
			return err
		}
		p.startTLS = startTLS.protocol != ""
		if plain {
			if given := givenFlags(flags.all); given != "" {
				return usagef("--plain leaves TLS out, and with it what this is about: %s", given)
			}
			if startTLS.protocol != "" || cmd.Flags().Changed("on-problem") {
				return usagef("--plain leaves TLS out, and with it what --starttls and --on-problem are about")
			}
		}
		settings, anchors, err := flags.settings(cmd)
		if err != nil {
			return err
		}
		dialer := &client.Dialer{Client: c, Settings: settings, RootCAs: anchors, Timeout: flags.timeout, Resumable: resumable,
			StartTLSProtocol: startTLS.protocol}
		if err := p.onProblem(onProblem, dialer); err != nil {
			return err
		}
		if verbose {
			began := time.Now()
			dialer.OnEvent = tellEvents(p.stderr, began)
			dialer.OnResume = tellResumed(p.stderr, began)
		}
		dial := dialer.Dial
		if plain {
			dial = dialer.DialPlain
		}
		conn, err := dial(cmd.Context(), "tcp", t.String())
		if err != nil {
			return err
		}
		p.halfClose = !noHalfClose
		return p.pipe(cmd.Context(), conn, false)
	})
	return cmd
}

// pipe moves bytes both ways until the peer ends in order and, if it is to be answered, stdin has ended as well; or until
// something fails or ctx is done. It closes conn.
func (p *program) pipe(ctx context.Context, conn *client.Conn, answer bool) error {
	// Both depth 1, so that a goroutine that ends late finds room.
	sent, received := make(chan error, 1), make(chan error, 1)
	go func() { sent <- sendAll(conn, p.stdin, p.halfClose) }()
	go func() { received <- receiveAll(p.stdout, conn) }()
	unsent := false
	finish := func(err error) error {
		if closed := conn.Close(); err == nil && (closed != nil || unsent) {
			p.warn("the peer ended before it had taken all of stdin")
		}
		return err
	}
	for {
		select {
		case err := <-sent:
			sent = nil // its end is no end for the other direction
			if _, broken := errors.AsType[*inputError](err); broken {
				// To close_notify would tell the peer that this was all.
				conn.Abort()
				return err
			}
			if unsent = err != nil; received == nil {
				return finish(nil)
			}
		case err := <-received:
			if err == nil && answer && sent != nil {
				received = nil
				continue
			}
			// The reader of stdout or the peer has ended; what the peer is still to get is delivered.
			return finish(err)
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

// receiveAll copies what the peer sends to out, until its close_notify, or in plain mode its FIN.
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
		case err == io.EOF: //nolint:errorlint // only io.EOF itself is the peer's orderly end
			return nil
		case err != nil:
			return err
		}
	}
}
