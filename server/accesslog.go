package server

import (
	"errors"
	"log/slog"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"securesocket/server/egress"
	"securesocket/session"
	"securesocket/session/flashpolicy"
	"securesocket/tlsengine"
)

// AccessLog returns what writes one line about every connection that has ended:
// for whom, where to, what was found, how much, how long, and why it ended. Texts
// that callers and peers choose are ASCII, at most 256 bytes, and escaped.
func AccessLog(log *slog.Logger) func(session.End) {
	return func(e session.End) { log.Info("connection closed", accessLine(e)...) }
}

func accessLine(e session.End) []any {
	attrs := []any{
		"session", e.Session, "owner", bounded(e.Owner), "generation", e.Generation,
		"host", e.Target.Host(), "port", e.Target.Port, "cause", e.Cause.String(),
		"received", e.Received, "sent", e.Sent, "duration", e.Took.Round(time.Microsecond),
	}
	add := func(pairs ...any) { attrs = append(attrs, pairs...) }
	if e.Accepted {
		add("accepted", true)
	}
	if e.Remote.IsValid() {
		add("remote", e.Remote.String(), "local", e.Local.String())
	}
	if e.Proxied {
		add("proxied", true)
	}
	if e.Status != 0 && e.Status != tlsengine.StatusUnknown {
		add("certificate", e.Status.String())
	}
	if e.Overruled != "" { // what an auditor looks for
		add("accepted_problems", e.Overruled)
	}
	if t := e.TLS; t != nil {
		add("tls", short(toVersion(t.Version)))
		if suite, ok := tlsengine.SuiteByID(t.CipherSuite); ok {
			add("cipher", suite.Name)
		}
		if t.ALPN != "" {
			add("alpn", bounded(t.ALPN))
		}
		if t.Resumed {
			add("resumed", true)
		}
	}
	for _, span := range []struct {
		name string
		session.Span
	}{{"dns", e.Timeline.DNS}, {"tcp", e.Timeline.TCP}, {"handshake", e.Timeline.Handshake}} {
		if span.Reached {
			add(span.name, span.Duration.Round(time.Microsecond))
		}
	}
	denied, isDenied := errors.AsType[*egress.DeniedError](e.Failure)
	if revision := e.PolicyRevision; isDenied {
		add("policy", denied.Revision) // of the policy that decided
	} else if revision != "" {
		add("policy", revision)
	}
	if e.Label != "" {
		add("label", bounded(e.Label))
	}
	if e.Failure != nil {
		add("reason", ReasonOf(e.Failure), "error", legible(e.Failure.Error()))
		if isDenied {
			add("rule", denied.Rule)
			if denied.Source != "" {
				add("rule_source", denied.Source)
			}
		}
		if denied, ok := errors.AsType[*flashpolicy.DeniedError](e.Failure); ok {
			add("rule", denied.Rule)
		}
		if internal, ok := errors.AsType[*session.InternalError](e.Failure); ok {
			add("id", internal.ID)
		}
	}
	return attrs
}

// legible keeps the text of an error short and in printable ASCII. Errors have escaped
// what they quote, so that quotation marks and backslashes stay as they are.
func legible(text string) string {
	const limit = 256
	var b strings.Builder
	for text != "" && b.Len() <= limit {
		r, size := utf8.DecodeRuneInString(text)
		if ' ' <= r && r <= '~' {
			b.WriteString(text[:size])
		} else {
			escaped := strconv.QuoteToASCII(text[:size])
			b.WriteString(escaped[1 : len(escaped)-1])
		}
		text = text[size:]
	}
	if b.Len() > limit {
		return b.String()[:limit-3] + "..."
	}
	return b.String()
}

// ReasonOf is the ErrorReason that callers are told of an error, without its
// prefix: one of a closed set. Empty: there is no error.
func ReasonOf(err error) string {
	if err == nil {
		return ""
	}
	return short(describe(err).reason)
}
