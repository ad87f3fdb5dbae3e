package client

import (
	"google.golang.org/grpc/codes"

	pb "securesocket/gen/securesocket/v1"
)

// The sides that can mend a failure.
const (
	sideCaller   = "caller"
	sideOperator = "operator"
	sideNetwork  = "network"
	sidePeer     = "peer"
	sideService  = "service"
)

// advice is what a program, or its user, can do about a reason.
type advice struct {
	side      string
	temporary bool // may pass by itself
	remedy    string
}

// advices has a row for every reason of the contract; a test walks the enum.
var advices = map[pb.ErrorReason]advice{
	pb.ErrorReason_ERROR_REASON_UNSPECIFIED: {sideService, false,
		"look at the code and the message; the service may be newer than this client"},

	pb.ErrorReason_ERROR_REASON_INVALID_FIELD: {sideCaller, false,
		"correct the field that the message names, or ask a service that knows it"},
	pb.ErrorReason_ERROR_REASON_INVALID_CERTIFICATE: {sideCaller, false,
		"give what the field wants: one certificate in DER, or a bundle in PEM or DER of at most 2,000"},
	pb.ErrorReason_ERROR_REASON_INVALID_PRIVATE_KEY: {sideCaller, false,
		"give the certificate's own key and, if it is encrypted, its passphrase; RSA keys need 2,048 bits"},
	pb.ErrorReason_ERROR_REASON_PORT_OUT_OF_RANGE: {sideCaller, false,
		"use a port from 1 to 65535"},
	pb.ErrorReason_ERROR_REASON_HOST_REQUIRED: {sideCaller, false,
		"name the host to connect to"},
	pb.ErrorReason_ERROR_REASON_HOST_SYNTAX: {sideCaller, false,
		"give a DNS name or an IP address, without scheme, brackets or path"},
	pb.ErrorReason_ERROR_REASON_UNSUPPORTED_PROTOCOL: {sideCaller, false,
		"ask for TLS 1.2 or 1.3, or have the operator allow the older version"},
	pb.ErrorReason_ERROR_REASON_UNSUPPORTED_CIPHER: {sideCaller, false,
		"choose from the cipher suites that GetCapabilities lists"},
	pb.ErrorReason_ERROR_REASON_SESSION_NOT_FOUND: {sideCaller, false,
		"create a new session; this one was deleted, has expired, is another caller's, or was of a service that was started again"},
	pb.ErrorReason_ERROR_REASON_SESSION_STATE: {sideCaller, false,
		"read the session's state with GetSession and make the call that fits it"},
	pb.ErrorReason_ERROR_REASON_OFFSET_MISMATCH: {sideCaller, false,
		"attach again and go on from the offsets that attached names"},
	pb.ErrorReason_ERROR_REASON_STREAM_GRAMMAR: {sideCaller, false,
		"send frames as AttachRequest describes them; client and service may not fit together"},
	pb.ErrorReason_ERROR_REASON_SUPERSEDED: {sideCaller, false,
		"leave the session to the stream that has taken it, or attach with a larger attach_seq"},
	pb.ErrorReason_ERROR_REASON_RESUME_TOKEN: {sideCaller, false,
		"send the resume_token that the session's creation or first attach gave"},
	pb.ErrorReason_ERROR_REASON_UNAUTHENTICATED: {sideCaller, false,
		"present credentials that the service knows"},
	pb.ErrorReason_ERROR_REASON_NOT_ALLOWED: {sideOperator, false,
		"have the operator allow it to this caller, or leave it out"},
	pb.ErrorReason_ERROR_REASON_LISTENER_NOT_FOUND: {sideCaller, false,
		"listen again; this listener was closed, was without an Accept for too long, is another caller's, or was of a service that was started again"},
	pb.ErrorReason_ERROR_REASON_REQUEST_ID_REUSED: {sideCaller, false,
		"use a new request_id for a request with other arguments"},
	pb.ErrorReason_ERROR_REASON_SESSION_EXPIRED: {sideCaller, false,
		"begin a new session; the metadata says how far the bytes had come"},

	pb.ErrorReason_ERROR_REASON_EGRESS_DENIED: {sideOperator, false,
		"have the operator allow the target; the metadata names the rule that refused it"},
	pb.ErrorReason_ERROR_REASON_LIMIT: {sideOperator, true,
		"close what is no longer needed and " + laterWord + ", or have the operator raise the limit"},
	pb.ErrorReason_ERROR_REASON_DRAINING: {sideService, true,
		laterWord + ", or at another instance"},
	pb.ErrorReason_ERROR_REASON_LISTEN_DENIED: {sideOperator, false,
		"have the operator allow listening at that address and port"},
	pb.ErrorReason_ERROR_REASON_ADDRESS_IN_USE: {sideCaller, true,
		"choose another port, or 0 for one that is free; or end what listens there"},
	pb.ErrorReason_ERROR_REASON_ADDRESS_UNAVAILABLE: {sideCaller, false,
		"listen at an address of the service's machine, and at a port that it may use"},
	pb.ErrorReason_ERROR_REASON_LOCAL_RESOURCES: {sideOperator, true,
		laterWord + ", or at another instance; the service's machine needs more memory, descriptors, local ports or room on its disk"},
	pb.ErrorReason_ERROR_REASON_CANCELLED: {sideCaller, false,
		"nothing: the caller's side gave up or closed the socket"},
	pb.ErrorReason_ERROR_REASON_UNSUPPORTED: {sideCaller, false,
		"leave the setting out; this version of the service does not support it"},

	pb.ErrorReason_ERROR_REASON_HOST_NOT_FOUND: {sideCaller, false,
		"check the name, and that it has an address of the wanted family where the service runs"},
	pb.ErrorReason_ERROR_REASON_DNS_FAILURE: {sideNetwork, true,
		"try again; check the name servers that the service uses"},
	pb.ErrorReason_ERROR_REASON_CONNECTION_REFUSED: {sidePeer, true,
		"check the port, and that the peer's server is running"},
	pb.ErrorReason_ERROR_REASON_NETWORK_UNREACHABLE: {sideNetwork, true,
		"give the service's machine a route to the peer, or choose the other address family"},
	pb.ErrorReason_ERROR_REASON_CONNECT_TIMEOUT: {sideNetwork, true,
		"check firewalls on the way and the peer's load; raise connect_timeout"},
	pb.ErrorReason_ERROR_REASON_HANDSHAKE_TIMEOUT: {sidePeer, true,
		"check that the peer speaks TLS on this port and is not overloaded; raise handshake_timeout"},
	pb.ErrorReason_ERROR_REASON_NOT_TLS: {sidePeer, false,
		"use the port on which the peer speaks TLS from the first byte"},
	pb.ErrorReason_ERROR_REASON_PEER_ALERT: {sidePeer, false,
		"look up the alert in the metadata; the peer's own log says why it was sent"},
	pb.ErrorReason_ERROR_REASON_PEER_MISBEHAVED: {sidePeer, false,
		"have the peer's TLS repaired; a middlebox on the way is the other suspect"},
	pb.ErrorReason_ERROR_REASON_PEER_INCOMPATIBLE: {sidePeer, false,
		"allow a protocol version or a cipher suite that the peer has, or have the peer updated"},
	pb.ErrorReason_ERROR_REASON_PEER_RESET: {sidePeer, true,
		"try again; the peer's log, or that of a firewall on the way, says why"},
	pb.ErrorReason_ERROR_REASON_PEER_TRUNCATED: {sidePeer, true,
		"treat what was received as incomplete and ask again; the peer should send close_notify"},
	pb.ErrorReason_ERROR_REASON_START_TLS_INJECTION: {sidePeer, false,
		"read all that the peer says in clear before StartTls; if that was all, somebody on the way has added to it"},
	pb.ErrorReason_ERROR_REASON_START_TLS_REFUSED: {sidePeer, false,
		"check that the peer offers TLS in this protocol; its words are in the metadata"},
	pb.ErrorReason_ERROR_REASON_HOST_UNREACHABLE: {sideNetwork, true,
		"check that the peer's host is up and the address is right"},
	pb.ErrorReason_ERROR_REASON_NETWORK_TIMEOUT: {sideNetwork, true,
		"connect again; the peer or the way to it has gone silent"},
	pb.ErrorReason_ERROR_REASON_ALPN_MISMATCH: {sidePeer, false,
		"offer an application protocol that the peer speaks"},
	pb.ErrorReason_ERROR_REASON_PROXY_REFUSED: {sideNetwork, true,
		"check the proxy's address, user and rules; its words are in the metadata"},

	pb.ErrorReason_ERROR_REASON_CERTIFICATE_EXPIRED: {sidePeer, false,
		"have the peer's certificate renewed; check the service's clock"},
	pb.ErrorReason_ERROR_REASON_CERTIFICATE_NOT_YET_VALID: {sidePeer, false,
		"check the service's clock; otherwise wait until the certificate is valid"},
	pb.ErrorReason_ERROR_REASON_CERTIFICATE_PRINCIPAL_MISMATCH: {sidePeer, false,
		"connect by a name that the certificate carries, or set the verify names"},
	pb.ErrorReason_ERROR_REASON_CERTIFICATE_INVALID_CHAIN: {sidePeer, false,
		"have the intermediate certificate replaced that the report names"},
	pb.ErrorReason_ERROR_REASON_CERTIFICATE_UNTRUSTED_SIGNERS: {sidePeer, false,
		"have the peer send its intermediates, or add the root that you trust"},
	pb.ErrorReason_ERROR_REASON_CERTIFICATE_REVOKED: {sidePeer, false,
		"do not talk to this peer; have it get a new certificate with a new key"},
	pb.ErrorReason_ERROR_REASON_CERTIFICATE_INVALID: {sidePeer, false,
		"have the peer's certificate replaced; the report's problems say what is wrong with it"},
	pb.ErrorReason_ERROR_REASON_CERTIFICATE_REQUIRED: {sidePeer, false,
		"have the peer show a client certificate, or do not require one"},
	pb.ErrorReason_ERROR_REASON_CERTIFICATE_UNDETERMINED: {sidePeer, false,
		"have the peer send a shorter chain of smaller certificates, or the OCSP staple that its certificate promises"},
	pb.ErrorReason_ERROR_REASON_REVOCATION_UNAVAILABLE: {sideNetwork, true,
		"let the service reach the CRLs and responders that the report names, or check revocation in SOFT mode"},
	pb.ErrorReason_ERROR_REASON_DECISION_REFUSED: {sideCaller, false,
		"accept exactly the problems of the report, if the peer is to be trusted, or have its certificate repaired"},
	pb.ErrorReason_ERROR_REASON_DECISION_TIMEOUT: {sideCaller, false,
		"answer the decision_request within decision_timeout, or raise that and connect_timeout"},
	pb.ErrorReason_ERROR_REASON_SIGNATURE_FAILED: {sideCaller, false,
		"look at the error of the key that this side holds; it has to sign by the scheme asked for, in time"},

	pb.ErrorReason_ERROR_REASON_INTERNAL: {sideService, false,
		"report it to the operator with the id in the metadata"},
}

// unavailable is the row for failures of the way to the service, which have a code and no reason.
var unavailable = advice{sideService, true, "check that the service is running and its address is right"}

// brokenAdvice is the row for a way that broke under a connection which does not come back, and lostAdvice for a session that
// the service has no more.
var (
	brokenAdvice = advice{sideService, true, "connect again; a Dialer with Resumable comes back after a break of the way, if the service itself goes on"}
	lostAdvice   = advice{sideService, true, "connect again: sessions end with the service; the metadata says how far the bytes had come"}
)

// localClose is the row for what this process ended itself.
var localClose = advices[pb.ErrorReason_ERROR_REASON_CANCELLED]

// advice finds the row for e. A reason that is newer than this package has the row of UNSPECIFIED.
func (e *Error) advice() advice {
	if e.remedy != nil {
		return *e.remedy
	}
	if e.Reason == pb.ErrorReason_ERROR_REASON_UNSPECIFIED {
		switch e.Code {
		case codes.Unavailable, codes.DeadlineExceeded:
			return unavailable
		case codes.Canceled:
			return localClose
		}
	}
	if row, ok := e.limitAdvice(); ok {
		return row
	}
	if row, ok := advices[e.Reason]; ok {
		return row
	}
	return advices[pb.ErrorReason_ERROR_REASON_UNSPECIFIED]
}
