package gallery

import (
	"slices"
	"strings"

	"securesocket/tlsengine"
	"securesocket/tlsengine/revocation"
)

// Host is one server of the gallery: how to ask for it, and what a client that trusts the gallery's root, and nobody else,
// has to say about it.
type Host struct {
	Name  string // to be sent as SNI, an A-label below gallery.test
	About string // for people: what is wrong, or what is right all the same
	Group Group

	// What the client brings beside SNI and root. Zero values stand for the defaults of tlsengine.Config.
	VerifyName  string          // that the certificate must carry; never empty
	ALPN        []string        // to be offered
	RequireALPN bool            // to be asked for
	Revocation  revocation.Mode // to be judged with: Soft or Hard

	// What the client finds. Status is Unknown where the handshake fails before a verdict; where it fails after one it is
	// Unknown too, because nobody has proved the chain to be his.
	Status   tlsengine.Status
	Basis    tlsengine.Basis
	Problems []Expect // in the order of the report; empty unless the chain is refused
	// Reason is the contract's name of the failure, without its prefix, such as "NOT_TLS". Empty: the client sends a
	// request, gets an answer, and the peer ends with close_notify.
	Reason string
	// Cause is the contract's name of how the secure connection ended, without its prefix, such as "PEER_CLOSE_NOTIFY".
	// Empty: there was none.
	Cause string
	// Events are the contract's names of what happens once TCP is up, in order, without changes of state and mode: of
	// EventSecureConnected and its like.
	Events []string
	// Silent: the host never answers, and only the client's own clock ends the handshake.
	Silent bool
}

// Expect is one expected problem.
type Expect struct {
	Code  tlsengine.ProblemCode
	Depth int // in the judged path, 0 = leaf; -1 = the chain as a whole
}

// The events, by the contract's names.
const (
	EventSecureConnected  = "secure_connected"
	EventCertificateError = "certificate_error"
	EventIOError          = "io_error"
	EventRemoteClosed     = "remote_closed"
	EventClosed           = "closed"
)

// Group is a part of the list.
type Group string

// The groups, in the order of the list.
const (
	GroupGood       Group = "Good"
	GroupLeaf       Group = "Flaws of the certificate"
	GroupChain      Group = "Flaws of the chain"
	GroupRevocation Group = "Revocation"
	GroupHandshake  Group = "Flaws of the handshake"
	GroupEnding     Group = "Flaws of the ending"
)

// Secure tells whether the handshake succeeds for the client.
func (h Host) Secure() bool { return slices.Contains(h.Events, EventSecureConnected) }

// Expected is what the client finds, in one line: "trusted", "expired: CERTIFICATE_EXPIRED@0", "NOT_TLS".
func (h Host) Expected() string {
	var problems []string
	for _, p := range h.Problems {
		problems = append(problems, p.String())
	}
	switch {
	case len(problems) > 0:
		return h.Status.String() + ": " + strings.Join(problems, " ")
	case h.Reason == "":
		return h.Status.String()
	case h.Secure():
		return h.Status.String() + ", then " + h.Reason
	}
	return h.Reason
}

// clone leaves nothing shared with the gallery.
func (h Host) clone() Host {
	h.ALPN, h.Problems, h.Events = slices.Clone(h.ALPN), slices.Clone(h.Problems), slices.Clone(h.Events)
	return h
}
