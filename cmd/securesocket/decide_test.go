package main

import (
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"securesocket/client"
	pb "securesocket/gen/securesocket/v1"
	"securesocket/tlsengine/tlstest"
)

// runAt runs the program with a user who types answer at the terminal; nil: there is no terminal.
func runAt(t *testing.T, terminal func() (io.ReadCloser, error), args ...string) result {
	t.Helper()
	var stdout, stderr bytes.Buffer
	p := &program{stdin: strings.NewReader("hello"), stdout: &stdout, stderr: &lockedWriter{w: &stderr}, terminal: terminal}
	code := p.run(t.Context(), append(args, local...))
	return result{code, stdout.String(), stderr.String()}
}

func typed(answer string) func() (io.ReadCloser, error) {
	return func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(answer)), nil }
}

func noTerminal() (io.ReadCloser, error) { return nil, errors.New("no such device") }

func TestOnProblem(t *testing.T) {
	t.Parallel()
	p := startPeer(t, tlstest.Echo, tlstest.Expired(), tlstest.Names("other.example"))
	for _, c := range []struct {
		name, mode string
		terminal   func() (io.ReadCloser, error)
		code       int
		reason     string // in the complaint
	}{
		{"refuse", "refuse", typed("y\n"), exitCertificate, "(CERTIFICATE_PRINCIPAL_MISMATCH)"},
		{"accept", "accept", noTerminal, exitDone, ""},
		{"yes", "ask", typed("y\n"), exitDone, ""},
		{"Yes", "ask", typed(" Yes \r\n"), exitDone, ""},
		{"no", "ask", typed("n\n"), exitCertificate, "(DECISION_REFUSED)"},
		{"nothing", "ask", typed("\n"), exitCertificate, "(DECISION_REFUSED)"},
		{"end of file", "ask", typed(""), exitCertificate, "(DECISION_REFUSED)"},
		{"yes without an end", "ask", typed("yes" + strings.Repeat(" ", 2*maxAnswer)), exitCertificate, "(DECISION_REFUSED)"},
		{"nobody", "ask", noTerminal, exitCertificate, "(CERTIFICATE_PRINCIPAL_MISMATCH)"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := runAt(t, c.terminal, "connect", p.address, "--cafile", p.cafile, "--on-problem", c.mode)
			require.Equal(t, c.code, r.code, r.stderr)
			require.Contains(t, r.stderr, c.reason)
			if c.reason == "(DECISION_REFUSED)" {
				// What the peer could mend is not what ended this.
				refused := &client.Error{Reason: pb.ErrorReason_ERROR_REASON_DECISION_REFUSED}
				require.Contains(t, r.stderr, "  side: caller\n  remedy: "+refused.Remedy()+"\n")
			}
			if c.code == exitDone {
				require.Equal(t, "hello", r.stdout)
			} else {
				require.Empty(t, r.stdout)
			}
			if c.mode == "accept" || c.name == "yes" {
				require.Contains(t, r.stderr, "HOST_NAME_MISMATCH (depth 0, leaf): ")
				require.Contains(t, r.stderr, "CERTIFICATE_EXPIRED (depth 0, leaf): ")
			}
			require.Equal(t, c.name == "nobody", strings.Contains(r.stderr, "no terminal"))
		})
	}
}

// A peer without a problem is nothing to ask about.
func TestOnProblemWithoutOne(t *testing.T) {
	t.Parallel()
	p := startPeer(t, tlstest.Echo)
	for _, mode := range []string{"ask", "accept"} {
		r := runAt(t, typed("n\n"), "connect", p.address, "--cafile", p.cafile, "--on-problem", mode)
		require.Equal(t, exitDone, r.code, r.stderr)
		require.Empty(t, r.stderr)
	}
	r := runAt(t, noTerminal, "connect", p.address, "--on-problem", "maybe")
	require.Equal(t, exitUsage, r.code)
}

// What the peer calls itself is part of the question, and no more than text.
func TestQuestionIsEscaped(t *testing.T) {
	t.Parallel()
	p := startPeer(t, func(conn *tls.Conn) { _ = conn.Close() }, tlstest.CommonName("a\x1b[2J\r\nAccept? y"))
	for _, mode := range []string{"ask", "accept"} {
		r := runAt(t, typed("y\n"), "connect", p.address, "--on-problem", mode)
		require.NotContains(t, r.stderr, "\x1b")
		require.NotContains(t, r.stderr, "\nAccept? y")
		require.Contains(t, r.stderr, `1b[2J`) // it is told, as text
	}
}
