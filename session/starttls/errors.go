package starttls

import "errors"

// ErrUnknownProtocol is wrapped by Open's error for a name that is not one of Protocols.
var ErrUnknownProtocol = errors.New("starttls: unknown protocol")

// RefusedError says that the peer speaks the protocol and does not offer TLS, or refuses it.
type RefusedError struct {
	Protocol string
	// Reply has the peer's own words: one line of printable UTF-8, at most 256 bytes. Whoever sits on the wire may have
	// chosen them. Empty: the peer merely did not offer TLS.
	Reply string
}

func (e *RefusedError) Error() string {
	if e.Reply == "" {
		return "starttls: " + e.Protocol + ": the peer does not offer TLS"
	}
	return "starttls: " + e.Protocol + ": the peer refuses: " + e.Reply
}

// ReplyError says that the peer does not speak the protocol, or says more than is listened to.
type ReplyError struct {
	Protocol string
	Why      string // what is wrong, in words of this package
	Reply    string // what is wrong with it, as in RefusedError; empty where nothing can be shown
}

func (e *ReplyError) Error() string {
	text := "starttls: " + e.Protocol + ": " + e.Why
	if e.Reply != "" {
		text += ": " + e.Reply
	}
	return text
}

// InjectionError says that bytes lie behind the last plain reply, before the handshake: nobody can tell who wrote them
// (RFC 3207, section 6; CVE-2011-0411).
type InjectionError struct {
	Protocol string // empty: of a protocol that the caller speaks
}

func (e *InjectionError) Error() string {
	if e.Protocol == "" {
		return "starttls: the peer's plain bytes go on where the handshake begins"
	}
	return "starttls: " + e.Protocol + ": the peer's plain bytes go on where the handshake begins"
}

// refused and malformed leave the protocol to Open.
func refused(words string) error { return &RefusedError{Reply: printable(words)} }

func malformed(why, words string) error { return &ReplyError{Why: why, Reply: printable(words)} }
