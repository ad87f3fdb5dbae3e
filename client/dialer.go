package client

import (
	"context"
	"net"
	"net/url"
	"time"

	pb "securesocket/gen/securesocket/v1"
)

// timeoutSlack is how much longer than Dialer.Timeout a dial waits for the service's own verdict, which names the phase.
const timeoutSlack = 250 * time.Millisecond

// Dialer says how connections are to be made. Its zero value plus a Client has every default of the service: TLS 1.2 or
// 1.3, the service's trust anchors, the name in the address as server name and name to verify. Its fields must not be
// changed while it is used; a copy of a Dialer is a Dialer of its own.
type Dialer struct {
	// Client is the way to the service. Required.
	Client *Client

	// ServerName is the name that is sent to the peer (SNI). nil: the host of the address, unless it is an IP address.
	// "": none.
	ServerName *string
	// VerifyNames are names of which the peer's certificate must carry one: DNS names, IP addresses or "uri:" and a URI;
	// at most 16. Empty: ServerName if it is set, else the host of the address.
	VerifyNames []string
	// ALPN are application protocols to offer, most wanted first. Empty: none.
	ALPN []string
	// RequireALPN refuses a peer that chooses none of ALPN, with ALPN_MISMATCH.
	RequireALPN bool
	// MinVersion and MaxVersion are numbers of package crypto/tls (tls.VersionTLS12). 0: TLS 1.2, TLS 1.3.
	MinVersion, MaxVersion uint16
	// CipherSuites are IANA names of suites to offer for TLS 1.2; those of TLS 1.3 cannot be chosen. Empty: the service's.
	CipherSuites []string

	// RootCAs are trust anchors in DER, beside those of the service. With Intermediates at most 100. They are sent with
	// every dial.
	RootCAs [][]byte
	// Intermediates are certificates in DER for building a chain, not trusted by themselves.
	Intermediates [][]byte
	// NoSystemRoots trusts RootCAs and nothing else.
	NoSystemRoots bool

	// Identities are what can be shown to a peer that asks for a certificate: the first that fits what it asks for, and none
	// where none does; and what Conn.StartTLSServer shows. At most 8. Empty: none.
	Identities []*Identity

	// StartTLSProtocol is the protocol in which the service asks the peer for TLS before the handshake: one of
	// GetCapabilities' start_tls_protocols, such as "smtp". It is spoken within HandshakeTimeout. The bytes of the Conn begin
	// after the handshake, and Conn.Greeting has what the peer said first. It is for Dial alone. Empty: TLS begins at once.
	StartTLSProtocol string
	// Proxy is on the way from the service to the peer: http://user:password@host:port, for CONNECT, or
	// socks5://user:password@host:port. The service judges it as it does the peer, resolves the peer's name and asks it for
	// the address. No error of this package has its password. nil: what Settings says, and if that is nothing, none.
	Proxy *url.URL

	// Decide is asked when the peer's certificate has problems, instead of refusing it; setting it means the override ASK,
	// unless Settings says STRICT. The handshake waits for it, before anything secret is sent. OnEvent has had the
	// certificate_error by then.
	//
	// It is called on a goroutine of its own, for different connections at once, and may take its time: ctx ends at the
	// service's deadline for the answer, when the dial is given up and when the handshake has ended otherwise; what it
	// returns then is not used, and a dial does not wait for it to return. ctx has the values of the dial's context.
	// If it panics, or ends its goroutine, that is a refusal; the error of the dial wraps a *PanicError.
	//
	// The chain is claimed, not proven: see Question. Each dial asks again, a resumed TLS session included; a Transport
	// asks for each connection, not for each request. nil: whoever has a problem is refused, or, where Settings has ASK,
	// the question is left to the unary call Decide.
	Decide func(ctx context.Context, question *Question) Answer
	// DecisionTimeout is how long the service waits for Decide. 0: the service's 10 s. Timeout goes on meanwhile.
	DecisionTimeout time.Duration

	// Timeout bounds the dial, and no StartTLS after it; the service says in which phase it ran out. 0: the service's 20 s. The context of a dial
	// bounds it as well.
	Timeout time.Duration
	// HandshakeTimeout bounds the TLS handshake within it. 0: the service's 10 s.
	HandshakeTimeout time.Duration
	// IdleTimeout ends a connection on which no byte has moved for so long. 0: the service's 15 min; negative: never.
	IdleTimeout time.Duration

	// Settings is what the fields above are laid over, for what they do not name. It is not changed. nil: the defaults.
	Settings *pb.SessionSettings

	// OnEvent is called with every event of every connection, from its first moment to its end, in the order of the
	// service and one at a time for each connection; different connections call it at once. Nothing is received
	// meanwhile on that connection, so it must not block, and must not call Close, Read or Dial's like for it. An event
	// comes before bytes that are still unread: Event.GetSocketDataOffset says after which it happened. nil: no calls.
	OnEvent func(Event)

	// Resumable has connections survive the streams that carry them: see Resuming in the package's documentation. It costs
	// memory, up to 1 MiB here and 2 MiB in the service, and a short frame for every 64 KiB. false: what Settings says; if
	// that is nothing, a connection ends with its stream.
	Resumable bool
	// OnResume is called after a resumable connection has got another stream, before anything more is received. The rules
	// of OnEvent hold; for one connection they never run at once. nil: no calls.
	OnResume func(Resumed)
	// ManualAck leaves it to Conn.Ack to say which bytes the service need not keep any more; otherwise these are the bytes
	// that Read has returned. It is for a program that is to be killed and to Resume without losing what it has read and
	// not yet dealt with. The peer is made to wait when 1 MiB (Settings.ReceiveBufferBytes) is not acked. It matters for
	// resumable connections alone.
	ManualAck bool
	// Dedicated gives each connection an HTTP/2 connection of its own, closed with it: for bulk, which would delay its
	// neighbours, and for what cannot wait for a neighbour's bulk. false: they share as few as the service takes.
	Dedicated bool
}

// Dial connects to the peer at address, host:port, through the service, and returns when the connection is secure: TLS
// is up and the peer's certificate is trusted for its name, or accepted by Decide. network is "tcp", "tcp4" or "tcp6". ctx bounds the dial and
// has no influence afterwards; its values go with the stream, such as gRPC metadata.
//
// The error is an *Error, with the report of a refused certificate; or, before anything is sent, of package net: a
// net.UnknownNetworkError or *net.AddrError.
func (d *Dialer) Dial(ctx context.Context, network, address string) (*Conn, error) {
	return d.open(ctx, network, address, false)
}

// DialPlain connects as Dial does, and returns when TCP is up: bytes go and come in clear until Conn.StartTLS or
// Conn.StartTLSServer, or for good. The fields about TLS wait for these. Not with StartTLSProtocol.
func (d *Dialer) DialPlain(ctx context.Context, network, address string) (*Conn, error) {
	return d.open(ctx, network, address, true)
}

func (d *Dialer) open(ctx context.Context, network, address string, plain bool) (*Conn, error) {
	if d.Client == nil {
		return nil, invalidField("Dialer.Client", "is nil")
	}
	request, err := d.request(ctx, network, address)
	if err != nil {
		return nil, err
	}
	request.Plain = plain
	ctx, cancel := d.bound(ctx)
	defer cancel()
	return d.dial(ctx, request, d.hooks(address))
}

// hooks are the fields that take part in a connection.
func (d *Dialer) hooks(address string) hooks {
	with := hooks{address: address, onEvent: d.OnEvent, onResume: d.OnResume, decide: d.Decide}
	for _, identity := range d.Identities {
		if identity != nil && identity.key != nil {
			with.keys = append(with.keys, identity.key)
		}
	}
	return with
}

// bound ends ctx soon after Timeout, if there is one.
func (d *Dialer) bound(ctx context.Context) (context.Context, context.CancelFunc) {
	if d.Timeout <= 0 {
		return ctx, func() {}
	}
	return context.WithTimeout(ctx, d.Timeout+timeoutSlack)
}

// DialContext is Dial with the signature that http.Transport and others want for TLS connections.
func (d *Dialer) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := d.Dial(ctx, network, address)
	if err != nil {
		return nil, err
	}
	return conn, nil
}
