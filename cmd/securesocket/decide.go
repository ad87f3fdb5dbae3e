package main

import (
	"bufio"
	"context"
	"io"
	"os"
	"strings"
	"time"

	"securesocket/client"
	"securesocket/cmd/securesocket/internal/terminal"
	"securesocket/cmd/securesocket/internal/wording"
	pb "securesocket/gen/securesocket/v1"
)

const (
	// askTimeout is how long a person has to read the problems and answer.
	askTimeout = 2 * time.Minute
	// askConnectTimeout leaves the rest of a connect its usual time beside that.
	askConnectTimeout = askTimeout + 20*time.Second
)

// openTerminal opens the terminal that the user sits at, whatever stdin and stdout are.
func openTerminal() (io.ReadCloser, error) { return os.Open("/dev/tty") }

// onProblem sets dialer, which is STRICT, up for what --on-problem says: refuse, ask or accept.
func (p *program) onProblem(mode string, dialer *client.Dialer) error {
	switch mode {
	case "refuse":
		return nil
	case "ask":
		tty, err := p.terminal()
		if err != nil {
			// The service's own verdict says more than that nobody was there to ask.
			p.warn("there is no terminal to ask on: a certificate with a problem is refused")
			return nil
		}
		_ = tty.Close() // opened again if there is something to ask
		dialer.Decide = p.ask
		dialer.DecisionTimeout = askTimeout
		if dialer.Timeout == 0 {
			dialer.Timeout = askConnectTimeout
		}
	case "accept":
		dialer.Decide = p.accept
	default:
		return usagef("--on-problem: %q is none of refuse, ask, accept", mode)
	}
	dialer.Settings.Tls.Override = pb.OverrideMode_OVERRIDE_MODE_ASK
	return nil
}

// accept accepts exactly what the report has, and says so.
func (p *program) accept(_ context.Context, q *client.Question) client.Answer {
	for _, problem := range q.Report.GetProblems() {
		p.warn("accepted %s", problemLine(problem))
	}
	return client.AcceptExactly(q.Report.GetProblems()...)
}

// ask shows the problems and reads the answer of whoever sits at the terminal. Anything but a yes refuses.
func (p *program) ask(ctx context.Context, q *client.Question) client.Answer {
	tty, err := p.terminal()
	if err != nil {
		return client.Refuse()
	}
	// Nobody needs an answer once ctx is done; the read of a terminal ends when it is closed.
	stop := context.AfterFunc(ctx, func() { _ = tty.Close() })
	defer func() {
		if stop() {
			_ = tty.Close()
		}
	}()
	var out terminal.Text
	out.Line("The certificate of %s is refused: %s", q.Address, wording.Status(q.Report.GetStatus()))
	for _, problem := range q.Report.GetProblems() {
		out.Line("  %s", problemLine(problem))
		out.Line("    %s", problem.GetHint())
	}
	if chain := q.Report.GetPeerChain(); len(chain) > 0 {
		out.Line("  it calls itself %s, sha256 %x", chain[0].GetSubject().GetText(), chain[0].GetSha256())
	}
	out.WriteString("Accept exactly these problems, for this connection alone? [y/N] ")
	_, _ = p.stderr.Write(out.Bytes())
	line, err := bufio.NewReader(io.LimitReader(tty, maxAnswer)).ReadString('\n')
	if err != nil {
		p.warn("no answer: refused")
		return client.Refuse()
	}
	switch strings.ToLower(strings.TrimSpace(line)) {
	case "y", "yes":
		return client.AcceptExactly(q.Report.GetProblems()...)
	}
	return client.Refuse()
}

// maxAnswer bounds what is read for a yes, in bytes.
const maxAnswer = 1024

// problemLine is a problem in one line, with the place of its certificate.
func problemLine(problem *pb.CertificateProblem) string {
	return wording.Problem(problem.GetCode()) + " (" + wording.Depth(problem.GetDepth()) + "): " + problem.GetMessage()
}

// warn writes a line to stderr.
func (p *program) warn(format string, args ...any) {
	var out terminal.Text
	out.Line("securesocket: warning: "+format, args...)
	_, _ = p.stderr.Write(out.Bytes()) // there is nowhere else to say it
}
