package identity

import (
	"crypto/tls"
	"strconv"
)

// SignKind says why there is no signature. The zero value is not used.
type SignKind uint8

const (
	// Declined says that the SignFunc failed; Err is its error.
	Declined SignKind = iota + 1
	// Wrong says that what came back is not a signature of the leaf's key over what was asked.
	Wrong
	// Unavailable says that there is nobody to ask.
	Unavailable
	// Interrupted says that the handshake's context ended first; Err is its cause.
	Interrupted
)

var signKindNames = [...]string{"unspecified", "the holder of the key did not sign", "the signature does not verify",
	"nobody is there to sign", "interrupted while waiting for the signature"}

func (k SignKind) String() string {
	if int(k) < len(signKindNames) {
		return signKindNames[k]
	}
	return "SignKind(" + strconv.Itoa(int(k)) + ")"
}

// SignError reports a handshake without the signature of a key that is elsewhere. The peer has been sent the alert
// internal_error; by a server under TLS 1.2 and below, handshake_failure.
type SignError struct {
	Kind SignKind
	Err  error // nil unless Declined or Interrupted
}

func (e *SignError) Error() string {
	s := "identity: " + e.Kind.String()
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

// Unwrap returns Err.
func (e *SignError) Unwrap() error { return e.Err }

// Failure returns why cert, which is from [Select] or [SelectServer], did not sign in its handshake; nil: it did, or was not
// asked. In TLS 1.3 crypto/tls turns the error of a signature into text, so this is the only way to it. To be called after
// the handshake.
func Failure(cert *tls.Certificate) *SignError {
	if cert == nil {
		return nil
	}
	if k, ok := cert.PrivateKey.(*callerKey); ok {
		return k.failure.Load()
	}
	return nil
}
