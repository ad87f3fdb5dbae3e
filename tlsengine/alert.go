package tlsengine

import (
	"errors"
	"net"
	"reflect"
	"strconv"
)

// Alert numbers that classify a handshake (RFC 8446, section 6.2).
const (
	alertUnexpectedMessage     = 10
	alertHandshakeFailure      = 40
	alertProtocolVersion       = 70
	alertInsufficientSecurity  = 71
	alertInternalError         = 80
	alertNoApplicationProtocol = 120
)

// AlertError reports a TLS alert that ended the connection.
type AlertError struct {
	Alert  uint8 // IANA's number
	Remote bool  // the peer sent it; otherwise this side did
	// What the peer had asked for before, which may be what the alert is about. Set on a server's alerts alone.
	ClientCertificate ClientCertificate
}

// ClientCertificate says whether a handshake had to do with one, ours or the peer's.
type ClientCertificate uint8

// What was done about a client certificate.
const (
	NotRequested ClientCertificate = iota // in this handshake; a resumed one does not ask again
	NoneShown                             // the server asked, and the client had none that fitted
	OneShown
)

func (e *AlertError) Error() string {
	from := "local"
	if e.Remote {
		from = "remote"
	}
	return "tlsengine: " + from + " alert " + e.Name() + " (" + strconv.Itoa(int(e.Alert)) + ")"
}

// about notes what an alert of the peer may be about.
func (e *AlertError) about(c ClientCertificate) *AlertError {
	if e.Remote {
		e.ClientCertificate = c
	}
	return e
}

// Name returns IANA's name, such as "handshake_failure", or "alert_N" for a number that has none.
func (e *AlertError) Name() string {
	if name, ok := alertNames[e.Alert]; ok {
		return name
	}
	return "alert_" + strconv.Itoa(int(e.Alert))
}

// alertNames is IANA's TLS Alerts registry, the numbers of old versions included.
var alertNames = map[uint8]string{
	0: "close_notify", 10: "unexpected_message", 20: "bad_record_mac", 21: "decryption_failed", 22: "record_overflow",
	30: "decompression_failure", 40: "handshake_failure", 41: "no_certificate", 42: "bad_certificate",
	43: "unsupported_certificate", 44: "certificate_revoked", 45: "certificate_expired", 46: "certificate_unknown",
	47: "illegal_parameter", 48: "unknown_ca", 49: "access_denied", 50: "decode_error", 51: "decrypt_error",
	52: "too_many_cids_requested", 60: "export_restriction", 70: "protocol_version", 71: "insufficient_security",
	80: "internal_error", 86: "inappropriate_fallback", 90: "user_canceled", 100: "no_renegotiation",
	109: "missing_extension", 110: "unsupported_extension", 111: "certificate_unobtainable", 112: "unrecognized_name",
	113: "bad_certificate_status_response", 114: "bad_certificate_hash_value", 115: "unknown_psk_identity",
	116: "certificate_required", 117: "general_error", 120: "no_application_protocol", 121: "ech_required",
}

// alertFrom recovers the alert from an error of crypto/tls, or returns nil. crypto/tls gives it as an unexported uint8
// type inside a net.OpError; reflection is the only way to its number, and this is the only place that knows.
func alertFrom(err error) *AlertError {
	op, ok := errors.AsType[*net.OpError](err)
	if !ok || op.Err == nil || op.Op != "remote error" && op.Op != "local error" {
		return nil
	}
	v := reflect.ValueOf(op.Err)
	if v.Kind() != reflect.Uint8 {
		return nil
	}
	return &AlertError{Alert: uint8(v.Uint()), Remote: op.Op == "remote error"}
}
