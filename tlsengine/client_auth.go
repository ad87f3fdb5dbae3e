package tlsengine

import "strconv"

// ClientAuth says what a server wants of its client's certificate. Its numbers are the contract's; the zero value is
// ClientAuthNone.
//
// A certificate that crypto/tls cannot read ends the handshake at every level that asks.
type ClientAuth int32

const (
	// ClientAuthNone asks for none.
	ClientAuthNone ClientAuth = iota + 1
	// ClientAuthRequest asks. What is shown is judged and reported, and never refused.
	ClientAuthRequest
	// ClientAuthRequire is ClientAuthRequest that refuses a client that shows none.
	ClientAuthRequire
	// ClientAuthVerifyIfGiven asks. What is shown must be trusted, or accepted by Config.Decide.
	ClientAuthVerifyIfGiven
	// ClientAuthRequireAndVerify is ClientAuthVerifyIfGiven that refuses a client that shows none.
	ClientAuthRequireAndVerify
)

var clientAuthNames = [...]string{"none", "none", "request", "require", "verify if given", "require and verify"}

func (a ClientAuth) String() string {
	if a >= 0 && int(a) < len(clientAuthNames) {
		return clientAuthNames[a]
	}
	return "ClientAuth(" + strconv.Itoa(int(a)) + ")"
}

func (a ClientAuth) asks() bool { return a >= ClientAuthRequest }

func (a ClientAuth) requires() bool { return a == ClientAuthRequire || a == ClientAuthRequireAndVerify }

// takesAny reports whether the judgement is for information only.
func (a ClientAuth) takesAny() bool { return a == ClientAuthRequest || a == ClientAuthRequire }
