package main

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"

	"google.golang.org/grpc/codes"

	"securesocket/client"
	"securesocket/cmd/securesocket/internal/terminal"
	"securesocket/cmd/securesocket/internal/wording"
	pb "securesocket/gen/securesocket/v1"
)

// usageError is a mistake on the command line, files that it names included.
type usageError struct{ err error }

func (e *usageError) Error() string { return e.err.Error() }
func (e *usageError) Unwrap() error { return e.err }

func usagef(format string, args ...any) error { return &usageError{fmt.Errorf(format, args...)} }

// complain says on stderr why a command has failed: what, which side can mend it, and how.
func (p *program) complain(command string, err error) {
	if e, ok := errors.AsType[*outputError](err); err == nil || ok && e.quiet() {
		return
	}
	if errors.Is(err, errDenied) {
		return // stdout has said it
	}
	var out terminal.Text
	if _, ok := errors.AsType[*usageError](err); ok {
		out.Line("securesocket: usage: %v", err)
		out.Line("  remedy: see %s --help", command)
	} else if e, ok := errors.AsType[*client.Error](err); ok {
		p.describe(&out, e)
	} else {
		out.Line("securesocket: %v", err)
	}
	_, _ = p.stderr.Write(out.Bytes()) // there is nowhere else to complain
}

// describe words what the service, or the way to it, says.
func (p *program) describe(out *terminal.Text, e *client.Error) {
	if unreachable(e) && !p.service.embedded {
		out.Line("securesocket: the service at %s cannot be reached: %s", p.service.address(), dialProblem(e.Message))
		out.Line("  side: %s", e.Side())
		out.Line("  remedy: %s", p.service.reach(e.Message))
		return
	}
	what, label := e.Message, e.Code.String()
	if e.Reason != pb.ErrorReason_ERROR_REASON_UNSPECIFIED {
		label = wording.Reason(e.Reason)
	}
	if problem := decidingProblem(e); problem != nil {
		what = problem.GetMessage() // in its own words; the failure quotes them
	}
	// What the other side said, if the message does not quote it.
	if reply := e.Metadata["reply"]; reply != "" && !strings.Contains(what, reply) {
		what += ": " + reply
	}
	// Some messages begin with the phase already.
	if phase := wording.Word(e.Phase.String(), "PHASE_") + ": "; e.Phase != pb.Phase_PHASE_UNSPECIFIED && !strings.HasPrefix(what, phase) {
		what = phase + what
	}
	out.Line("securesocket: %s (%s)", what, label)
	if accepted := e.Metadata["accepted_bytes"]; accepted != "" {
		out.Line("  bytes: %s taken by the service, of which %s had gone to the peer for certain; %s received", accepted, e.Metadata["written_bytes"], e.Metadata["received_bytes"])
	}
	out.Line("  side: %s", e.Side())
	out.Line("  remedy: %s", p.remedy(e))
}

// remedy is the most specific advice there is.
func (p *program) remedy(e *client.Error) string {
	switch e.Reason {
	case pb.ErrorReason_ERROR_REASON_EGRESS_DENIED:
		if p.service.embedded {
			return "allow the target with --egress-allow, as this service is your own"
		}
	case pb.ErrorReason_ERROR_REASON_UNAUTHENTICATED:
		if e.Metadata["service"] == "" && !p.service.embedded {
			return p.service.access.unauthenticated(p.service.address())
		}
	case pb.ErrorReason_ERROR_REASON_LISTEN_DENIED:
		if p.service.embedded {
			return "allow the address with --listen-allow, as this service is your own"
		}
	case pb.ErrorReason_ERROR_REASON_SESSION_NOT_FOUND:
		if e.Phase == pb.Phase_PHASE_DATA {
			return "run the command again: sessions end with the service"
		}
		return "look at the list of sessions: this one was closed, has expired, is another caller's, or was of a service that was started again"
	case pb.ErrorReason_ERROR_REASON_NOT_ALLOWED:
		switch e.Metadata["what"] {
		case "calling":
			return "have the operator let this caller in (callers.allow), or call as somebody else: by another token, certificate or user"
		case "all_callers", "principal", "the service's certificates":
			return "have the operator name this caller among the administrators (callers.administrators), or ask about your own alone"
		}
	case pb.ErrorReason_ERROR_REASON_UNSPECIFIED:
		if e.Phase == pb.Phase_PHASE_DATA && e.Code == codes.Unavailable {
			return "run the command again; with --resumable it goes on after a break of the way, if the service itself goes on"
		}
	case pb.ErrorReason_ERROR_REASON_LIMIT:
		if e.Metadata["what"] == "connections_per_caller" {
			return "end other securesocket commands, each of which has an HTTP/2 connection, or have the operator raise limits.connections_per_caller"
		}
	case pb.ErrorReason_ERROR_REASON_ADDRESS_IN_USE:
		return "end what listens there, or take another port; port 0 is any that is free"
	case pb.ErrorReason_ERROR_REASON_ADDRESS_UNAVAILABLE:
		return "name an address of the service's own machine, and a port above 1023 unless the service may use those below"
	case pb.ErrorReason_ERROR_REASON_NOT_TLS:
		if !p.startTLS && e.Metadata["hint"] == "" {
			return "use the port on which the peer speaks TLS from the first byte or, if its protocol has a STARTTLS, try --starttls PROTOCOL"
		}
	case pb.ErrorReason_ERROR_REASON_DECISION_REFUSED, pb.ErrorReason_ERROR_REASON_DECISION_TIMEOUT:
		// The hint is about the certificate, and for its side; what ended this was the decision.
		return e.Remedy()
	case pb.ErrorReason_ERROR_REASON_PEER_TRUNCATED:
		if p.halfClose && e.Phase != pb.Phase_PHASE_HANDSHAKE {
			return "treat what was received as incomplete; if the peer takes the end of stdin for the end of all, try --no-half-close"
		}
	case pb.ErrorReason_ERROR_REASON_PEER_ALERT:
		if e.Metadata["client_certificate"] == "none" {
			return "if that is why, show one with --client-cert and --client-key or with --identity; the peer's own log says more"
		}
	}
	if remedy := p.service.access.remedies()[e.Metadata["service"]]; remedy != "" {
		return remedy
	}
	if hint := e.Metadata["hint"]; hint != "" {
		return hint
	}
	return e.Remedy()
}

// decidingProblem is the problem in the report that the failure names; nil if there is none.
func decidingProblem(e *client.Error) *pb.CertificateProblem {
	for _, problem := range e.Report.GetProblems() {
		if wording.Problem(problem.GetCode()) == e.Metadata["problem"] {
			return problem
		}
	}
	return nil
}

// lockedWriter lets events and complaints share stderr, line by line.
type lockedWriter struct {
	mu sync.Mutex
	w  io.Writer
}

func (l *lockedWriter) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(p)
}
