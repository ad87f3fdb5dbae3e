package server

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"syscall"
	"time"

	"google.golang.org/protobuf/reflect/protoreflect"

	pb "securesocket/gen/securesocket/v1"
	"securesocket/server/callers"
	"securesocket/server/door"
	"securesocket/server/egress"
	"securesocket/server/listening"
	"securesocket/session"
	"securesocket/session/flashpolicy"
	"securesocket/session/proxy"
	"securesocket/session/starttls"
	"securesocket/tlsengine"
	"securesocket/tlsengine/identity"
	"securesocket/tlsengine/truststore"
)

// describe is the one table from the errors of the rooms below to the reasons
// of the wire. Every variable part of a message is in the metadata too. What
// it does not know is INTERNAL, without the cause, which belongs to the logs.
func describe(err error) description {
	tables := []func(error) (description, bool){describeRequest, describeService, describePeer}
	for e := err; e != nil; e = errors.Unwrap(e) {
		for _, table := range tables {
			if d, ok := table(e); ok {
				return d
			}
		}
	}
	return of(pb.ErrorReason_ERROR_REASON_INTERNAL, "a defect of the service; its logs have more")
}

func of(reason pb.ErrorReason, message string, pairs ...string) description {
	return description{reason: reason, message: message, metadata: meta(pairs...)}
}

func meta(pairs ...string) map[string]string {
	m := make(map[string]string, len(pairs)/2)
	for i := 0; i+1 < len(pairs); i += 2 {
		m[pairs[i]] = pairs[i+1]
	}
	return m
}

func num(n int64) string { return strconv.FormatInt(n, 10) }

// describeRequest knows what the caller did wrong.
func describeRequest(err error) (description, bool) {
	switch e := err.(type) { //nolint:errorlint // describe unwraps
	case *session.FieldError:
		return of(pb.ErrorReason_ERROR_REASON_INVALID_FIELD, e.Error(), "field", e.Field), true
	case *maskError:
		return of(pb.ErrorReason_ERROR_REASON_INVALID_FIELD, e.Error(), "field", "update_mask"), true
	case *session.UnsupportedError:
		return of(pb.ErrorReason_ERROR_REASON_UNSUPPORTED, e.Error(), "field", e.Field), true
	case *session.ProtocolError:
		return of(pb.ErrorReason_ERROR_REASON_UNSUPPORTED_PROTOCOL, e.Error(), "field", e.Field, "version", e.Version), true
	case *session.CipherError:
		return of(pb.ErrorReason_ERROR_REASON_UNSUPPORTED_CIPHER, e.Error(), "field", e.Field, "suite", bounded(e.Suite)), true
	case *session.CertificateInputError:
		return of(pb.ErrorReason_ERROR_REASON_INVALID_CERTIFICATE, e.Error()), true
	case *truststore.BundleError:
		return of(pb.ErrorReason_ERROR_REASON_INVALID_CERTIFICATE, strings.TrimPrefix(e.Error(), "truststore: "), "index", num(int64(e.Index))), true
	case *identityError:
		reason := pb.ErrorReason_ERROR_REASON_INVALID_CERTIFICATE
		if e.err.Key {
			reason = pb.ErrorReason_ERROR_REASON_INVALID_PRIVATE_KEY
		}
		return of(reason, e.Error(), "field", e.path+"."+e.err.Field), true
	case *portError:
		return of(pb.ErrorReason_ERROR_REASON_PORT_OUT_OF_RANGE, e.Error(), "field", "port", "port", num(int64(e.port))), true
	case *egress.SyntaxError:
		if errors.Is(e, egress.ErrEmptyHost) {
			return of(pb.ErrorReason_ERROR_REASON_HOST_REQUIRED, "a host is required: a name or an IP address", "field", "host"), true
		}
		return of(pb.ErrorReason_ERROR_REASON_HOST_SYNTAX, e.Error(), "field", "host", "remedy", e.Remedy), true
	case *session.StateError:
		return of(pb.ErrorReason_ERROR_REASON_SESSION_STATE, e.Error(), "operation", e.Op, "have", e.Have, "want", e.Want), true
	case *session.ClosedError:
		return of(pb.ErrorReason_ERROR_REASON_SESSION_STATE, e.Error(), "close_cause", short(pb.CloseCause(e.Cause))), true
	case *session.ExpiredError:
		return of(pb.ErrorReason_ERROR_REASON_SESSION_EXPIRED, e.Error(), "generation", num(e.Generation),
			"accepted_bytes", num(e.Accepted), "written_bytes", num(e.Written), "received_bytes", num(e.Received)), true
	case *session.GapError:
		return of(pb.ErrorReason_ERROR_REASON_OFFSET_MISMATCH, e.Error(), "what", e.What, "have", num(e.Have), "got", num(e.Got)), true
	case *session.WindowError:
		return of(pb.ErrorReason_ERROR_REASON_OFFSET_MISMATCH, e.Error(), "what", "send_limit", "have", num(e.Limit), "got", num(e.Got)), true
	case *session.OffsetError:
		return of(pb.ErrorReason_ERROR_REASON_OFFSET_MISMATCH, e.Error(), "what", e.What, "have", num(e.Have), "got", num(e.Got)), true
	case *session.SupersededError:
		return of(pb.ErrorReason_ERROR_REASON_SUPERSEDED, e.Error(), "attach_seq", num(e.LastSeq)), true
	case *session.TokenError:
		return of(pb.ErrorReason_ERROR_REASON_RESUME_TOKEN, e.Error()), true
	case *session.RequestIDError:
		return of(pb.ErrorReason_ERROR_REASON_REQUEST_ID_REUSED, e.Error(), "request_id", bounded(e.ID)), true
	case *grammarError:
		return of(pb.ErrorReason_ERROR_REASON_STREAM_GRAMMAR, e.Error(), "frame_number", num(e.frame)), true
	case *unauthenticatedError:
		d := of(pb.ErrorReason_ERROR_REASON_UNAUTHENTICATED, e.Error())
		if why := e.why(); why != "" {
			d.metadata["why"] = why
		}
		if _, ok := errors.AsType[*callers.IssuerError](e.err); ok { // not the caller's fault
			d.retry = time.Second
		}
		return d, true
	case *door.LimitError:
		d := of(pb.ErrorReason_ERROR_REASON_LIMIT, e.Error(), "what", string(e.What))
		if d.retry = e.Retry; e.Limit > 0 {
			d.metadata["limit"] = num(int64(e.Limit))
		}
		return d, true
	}
	switch {
	case errors.Is(err, session.ErrAcceptSuperseded):
		return of(pb.ErrorReason_ERROR_REASON_SUPERSEDED, session.ErrAcceptSuperseded.Error()), true
	case errors.Is(err, session.ErrListenerNotFound):
		return of(pb.ErrorReason_ERROR_REASON_LISTENER_NOT_FOUND, "no such listener"), true
	case errors.Is(err, session.ErrNotFound):
		return of(pb.ErrorReason_ERROR_REASON_SESSION_NOT_FOUND, "no such session"), true
	case errors.Is(err, session.ErrCancelled), errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return of(pb.ErrorReason_ERROR_REASON_CANCELLED, session.ErrCancelled.Error()), true
	}
	return description{}, false
}

// describeService knows what the operator and the service do not allow.
func describeService(err error) (description, bool) {
	switch e := err.(type) { //nolint:errorlint // describe unwraps
	case *session.InternalError:
		return of(pb.ErrorReason_ERROR_REASON_INTERNAL, e.Error(), "id", e.ID), true
	case *session.LimitError:
		d := of(pb.ErrorReason_ERROR_REASON_LIMIT, e.Error(), "what", e.What)
		if d.retry = e.Retry; e.Limit > 0 {
			d.metadata["limit"] = num(int64(e.Limit))
		}
		return d, true
	case *session.ResourceError:
		d := of(pb.ErrorReason_ERROR_REASON_LOCAL_RESOURCES, e.Error(), "what", e.What)
		d.retry = time.Second
		if e.What == "disk" { // an operator has to come
			d.retry = time.Minute
		}
		return d, true
	case *session.NotAllowedError:
		return of(pb.ErrorReason_ERROR_REASON_NOT_ALLOWED, e.Error(), "what", e.What), true
	case *session.DrainingError:
		d := of(pb.ErrorReason_ERROR_REASON_DRAINING, e.Error())
		d.retry = drainRetry
		return d, true
	case *session.PolicyError:
		// Not the address that a name led to: it would tell about the
		// operator's network.
		d := of(pb.ErrorReason_ERROR_REASON_EGRESS_DENIED, "the operator's egress policy refuses the target", "phase", session.PhasePolicy.String())
		if de, ok := errors.AsType[*egress.DeniedError](e); ok {
			d.metadata["rule"] = de.Rule
			d.message += ": " + de.Rule
			if de.Why != "" {
				d.metadata["why"] = de.Why
				d.message += " (" + de.Why + ")"
			}
			if de.Revision != "" {
				d.metadata["policy_revision"] = de.Revision
			}
		}
		if fe, ok := errors.AsType[*flashpolicy.DeniedError](e); ok {
			d = of(pb.ErrorReason_ERROR_REASON_EGRESS_DENIED, "the target's Flash socket policy files do not allow the connection: "+fe.Why,
				"phase", session.PhasePolicy.String(), "rule", fe.Rule, "why", fe.Why)
		}
		return d, true
	case *session.ListenPolicyError:
		d := of(pb.ErrorReason_ERROR_REASON_LISTEN_DENIED, bounded(e.Error()), "address", e.Addr.String())
		if de, ok := errors.AsType[*listening.DeniedError](e); ok {
			d.metadata["rule"], d.metadata["remedy"] = de.Rule, de.Remedy
		}
		return d, true
	case *session.ListenError:
		reason := pb.ErrorReason_ERROR_REASON_ADDRESS_UNAVAILABLE
		switch {
		case errors.Is(e, syscall.EADDRINUSE):
			reason = pb.ErrorReason_ERROR_REASON_ADDRESS_IN_USE
		case errors.Is(e, syscall.EMFILE), errors.Is(e, syscall.ENFILE), errors.Is(e, syscall.ENOBUFS), errors.Is(e, syscall.ENOMEM):
			reason = pb.ErrorReason_ERROR_REASON_LOCAL_RESOURCES
		}
		return of(reason, bounded(e.Error()), "address", e.Addr.String()), true
	}
	return description{}, false
}

// describePeer knows what the network and the peer did.
func describePeer(err error) (description, bool) {
	switch e := err.(type) { //nolint:errorlint // describe unwraps
	case *session.TimeoutError:
		reason := pb.ErrorReason_ERROR_REASON_CONNECT_TIMEOUT
		if e.Clock == session.HandshakeClock {
			reason = pb.ErrorReason_ERROR_REASON_HANDSHAKE_TIMEOUT
		}
		return of(reason, e.Error(), "phase", e.Phase.String(), "clock", e.Clock, "limit", e.Limit.String()), true
	case *session.NetworkError:
		return of(networkReasons[e.Kind], bounded(e.Error()), "phase", e.Phase.String(), "address", e.Addr), true
	case *session.ProxyError:
		return describeProxy(e), true
	case *starttls.RefusedError:
		return of(pb.ErrorReason_ERROR_REASON_START_TLS_REFUSED, e.Error(), "phase", session.PhaseHandshake.String(), "protocol", e.Protocol, "reply", e.Reply), true
	case *starttls.ReplyError:
		return of(pb.ErrorReason_ERROR_REASON_PEER_MISBEHAVED, e.Error(), "phase", session.PhaseHandshake.String(), "protocol", e.Protocol, "reply", e.Reply), true
	case *session.InjectionError:
		return of(pb.ErrorReason_ERROR_REASON_START_TLS_INJECTION, e.Error(), "phase", session.PhaseHandshake.String()), true
	case *tlsengine.CertificateError:
		return describeCertificate(e), true
	case *session.DecisionError:
		reason := pb.ErrorReason_ERROR_REASON_DECISION_REFUSED
		if e.Timeout {
			reason = pb.ErrorReason_ERROR_REASON_DECISION_TIMEOUT
		}
		d := description{reason: reason, message: e.Error(), metadata: judgement(e.Report)}
		if e.Timeout {
			d.metadata["limit"] = e.Limit.String()
		}
		return d, true
	case *session.SignatureTimeoutError:
		return of(pb.ErrorReason_ERROR_REASON_SIGNATURE_FAILED, e.Error(), "phase", session.PhaseHandshake.String(), "kind", "no signature in time", "limit", e.Limit.String()), true
	case *identity.SignError:
		return of(pb.ErrorReason_ERROR_REASON_SIGNATURE_FAILED, bounded(e.Error()), "phase", session.PhaseHandshake.String(), "kind", e.Kind.String()), true
	case *tlsengine.FloodError:
		return of(pb.ErrorReason_ERROR_REASON_PEER_MISBEHAVED, e.Error(), "phase", session.PhaseData.String()), true
	case *tlsengine.AlertError:
		if !e.Remote {
			return of(pb.ErrorReason_ERROR_REASON_PEER_MISBEHAVED, "the peer broke the protocol and was sent the alert "+e.Name(), alertMeta(e)...), true
		}
		d := of(pb.ErrorReason_ERROR_REASON_PEER_ALERT, "the peer ended with the alert "+e.Name(), alertMeta(e)...)
		switch e.ClientCertificate {
		case tlsengine.NoneShown:
			d.message += "; it had asked for a client certificate, and none was shown"
			d.metadata["client_certificate"] = "none"
		case tlsengine.OneShown:
			d.message += "; it had been shown a client certificate"
			d.metadata["client_certificate"] = "shown"
		}
		return d, true
	case *tlsengine.HandshakeError:
		return describeHandshake(e)
	case *tlsengine.TransportError:
		return describeEnd(e)
	case *tlsengine.ConfigError:
		return of(pb.ErrorReason_ERROR_REASON_INVALID_FIELD, "tls: "+bounded(e.Error()), "field", "tls"), true
	}
	return description{}, false
}

var networkReasons = map[session.NetworkKind]pb.ErrorReason{
	session.NetworkHostNotFound:    pb.ErrorReason_ERROR_REASON_HOST_NOT_FOUND,
	session.NetworkDNSFailure:      pb.ErrorReason_ERROR_REASON_DNS_FAILURE,
	session.NetworkRefused:         pb.ErrorReason_ERROR_REASON_CONNECTION_REFUSED,
	session.NetworkUnreachable:     pb.ErrorReason_ERROR_REASON_NETWORK_UNREACHABLE,
	session.NetworkHostUnreachable: pb.ErrorReason_ERROR_REASON_HOST_UNREACHABLE,
	session.NetworkTimeout:         pb.ErrorReason_ERROR_REASON_NETWORK_TIMEOUT,
	session.NetworkReset:           pb.ErrorReason_ERROR_REASON_PEER_RESET,
	session.NetworkLocalResources:  pb.ErrorReason_ERROR_REASON_LOCAL_RESOURCES,
}

var statusReasons = map[tlsengine.Status]pb.ErrorReason{
	tlsengine.StatusExpired:           pb.ErrorReason_ERROR_REASON_CERTIFICATE_EXPIRED,
	tlsengine.StatusNotYetValid:       pb.ErrorReason_ERROR_REASON_CERTIFICATE_NOT_YET_VALID,
	tlsengine.StatusPrincipalMismatch: pb.ErrorReason_ERROR_REASON_CERTIFICATE_PRINCIPAL_MISMATCH,
	tlsengine.StatusInvalidChain:      pb.ErrorReason_ERROR_REASON_CERTIFICATE_INVALID_CHAIN,
	tlsengine.StatusUntrustedSigners:  pb.ErrorReason_ERROR_REASON_CERTIFICATE_UNTRUSTED_SIGNERS,
	tlsengine.StatusRevoked:           pb.ErrorReason_ERROR_REASON_CERTIFICATE_REVOKED,
	tlsengine.StatusInvalid:           pb.ErrorReason_ERROR_REASON_CERTIFICATE_INVALID,
	tlsengine.StatusUnknown:           pb.ErrorReason_ERROR_REASON_CERTIFICATE_UNDETERMINED,
}

func describeCertificate(e *tlsengine.CertificateError) description {
	d := description{
		reason:   certificateReason(e.Report),
		message:  "the peer's certificate is refused: " + e.Report.Status.String(),
		metadata: judgement(e.Report),
	}
	if p, ok := e.Report.Deciding(); ok {
		d.message = clip(p.Message) // the engine has escaped it
	}
	return d
}

func certificateReason(r *tlsengine.Report) pb.ErrorReason {
	if p, ok := r.Deciding(); ok {
		switch p.Code {
		case tlsengine.RevocationUnknown:
			return pb.ErrorReason_ERROR_REASON_REVOCATION_UNAVAILABLE
		case tlsengine.NoPeerCertificate:
			return pb.ErrorReason_ERROR_REASON_CERTIFICATE_REQUIRED
		}
	}
	return statusReasons[r.Status]
}

// judgement is what the metadata say of a refused chain.
func judgement(r *tlsengine.Report) map[string]string {
	m := meta("phase", session.PhaseCertificate.String(), "status", short(pb.CertificateStatus(r.Status)))
	if p, ok := r.Deciding(); ok {
		m["problem"] = p.Code.String()
		m["depth"] = num(int64(p.Depth))
		m["hint"] = clip(p.Hint)
	}
	return m
}

func describeHandshake(e *tlsengine.HandshakeError) (description, bool) {
	reasons := map[tlsengine.HandshakeKind]pb.ErrorReason{
		tlsengine.NotTLS:       pb.ErrorReason_ERROR_REASON_NOT_TLS,
		tlsengine.Misbehaved:   pb.ErrorReason_ERROR_REASON_PEER_MISBEHAVED,
		tlsengine.Incompatible: pb.ErrorReason_ERROR_REASON_PEER_INCOMPATIBLE,
		tlsengine.ALPNMismatch: pb.ErrorReason_ERROR_REASON_ALPN_MISMATCH,
	}
	reason, ok := reasons[e.Kind]
	if !ok {
		return description{}, false
	}
	d := of(reason, e.Kind.String()+": "+bounded(e.Err.Error()), "phase", session.PhaseHandshake.String())
	if e.Alert != nil {
		d.metadata["alert"] = num(int64(e.Alert.Alert))
		d.metadata["alert_name"] = e.Alert.Name()
	}
	return d, true
}

func describeEnd(e *tlsengine.TransportError) (description, bool) {
	reasons := map[tlsengine.End]pb.ErrorReason{
		tlsengine.EndCloseNotify:     pb.ErrorReason_ERROR_REASON_PEER_TRUNCATED, // before the handshake was over
		tlsengine.EndTruncated:       pb.ErrorReason_ERROR_REASON_PEER_TRUNCATED,
		tlsengine.EndTruncatedRecord: pb.ErrorReason_ERROR_REASON_PEER_TRUNCATED,
		tlsengine.EndReset:           pb.ErrorReason_ERROR_REASON_PEER_RESET,
		tlsengine.EndTimeout:         pb.ErrorReason_ERROR_REASON_NETWORK_TIMEOUT,
		tlsengine.EndUnreachable:     pb.ErrorReason_ERROR_REASON_HOST_UNREACHABLE,
		tlsengine.EndOther:           pb.ErrorReason_ERROR_REASON_PEER_MISBEHAVED,
	}
	reason, ok := reasons[e.End]
	if !ok {
		return description{}, false
	}
	phase := session.PhaseData
	if e.Op == "handshake" || e.Op == "start_tls" {
		phase = session.PhaseHandshake
	}
	return of(reason, "the peer's side of the connection: "+e.End.String(), "phase", phase.String(), "end", e.End.String()), true
}

// describeProxy says what the proxy said, and not what it was told.
func describeProxy(e *session.ProxyError) description {
	d := of(pb.ErrorReason_ERROR_REASON_PROXY_REFUSED, bounded(e.Error()), "phase", session.PhaseTCP.String(), "proxy", e.Proxy)
	if re, ok := errors.AsType[*proxy.RefusedError](e); ok {
		d.metadata["reply"] = re.Reply
	}
	return d
}

func alertMeta(e *tlsengine.AlertError) []string {
	return []string{"alert", num(int64(e.Alert)), "alert_name", e.Name()}
}

// bounded keeps texts that may quote others short and printable.
func bounded(s string) string {
	const limit = 256
	q := strconv.QuoteToASCII(s)
	q = q[1 : len(q)-1]
	if len(q) > limit {
		q = q[:limit-3] + "..."
	}
	return q
}

// clip keeps a status small: some clients take 8 KiB of trailers in all. The
// report has the whole text.
func clip(s string) string {
	const limit = 1024
	if len(s) > limit {
		return s[:limit] + "..."
	}
	return s
}

// short is the name of an enum's value without the enum's name.
func short(v interface {
	protoreflect.Enum
	String() string
}) string {
	first := string(v.Descriptor().Values().Get(0).Name()) // X_UNSPECIFIED
	return strings.TrimPrefix(v.String(), strings.TrimSuffix(first, "UNSPECIFIED"))
}
