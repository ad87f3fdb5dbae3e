package client

import (
	"context"
	"crypto/rand"
	"time"

	pb "securesocket/gen/securesocket/v1"
)

// ListenConfig says how a Listener accepts connections. Its zero value has every default of the service, and lacks the
// Identities that anything but Plain needs. It is read by Client.Listen alone and may be changed afterwards.
type ListenConfig struct {
	// Identities are what is shown to peers: of those that fit the server name that a peer asks for and its algorithms the
	// first, else the first that fits the algorithms. At most 8. Required unless Plain; with it, for Conn.StartTLSServer.
	// The key of a caller-held one signs on this side, in the handshake of each connection.
	Identities []*Identity
	// Plain accepts connections without TLS, for Conn.StartTLSServer, or for good. false: each connection begins with a TLS
	// handshake, and Accept returns those whose handshake has succeeded.
	Plain bool
	// ALPN are application protocols to choose from, most wanted first. Empty: none.
	ALPN []string
	// RequireALPN refuses a peer with none of ALPN, with ALPN_MISMATCH.
	RequireALPN bool
	// MinVersion and MaxVersion are numbers of package crypto/tls (tls.VersionTLS12). 0: TLS 1.2, TLS 1.3.
	MinVersion, MaxVersion uint16

	// ClientAuth says whether a peer has to show a certificate, and whether that has to be trusted. 0: what Settings says,
	// and if that is nothing, none is asked for.
	ClientAuth pb.ClientAuth
	// ClientCAs are trust anchors in DER for the certificates of peers, instead of those of the service. At most 100. Empty:
	// those of the service, which are for servers as well.
	ClientCAs [][]byte
	// Decide is as Dialer.Decide: it is asked when a peer's certificate has problems, instead of refusing it. The ctx has
	// the values of that of Client.Listen.
	Decide func(ctx context.Context, question *Question) Answer
	// DecisionTimeout is how long the service waits for Decide. 0: the service's 10 s.
	DecisionTimeout time.Duration

	// HandshakeTimeout bounds the TLS handshake. 0: the service's 10 s.
	HandshakeTimeout time.Duration
	// IdleTimeout ends a connection on which no byte has moved for so long. 0: the service's 15 min; negative: never.
	IdleTimeout time.Duration
	// Settings is what the fields above are laid over, for what they do not name. It is not changed. nil: the defaults.
	Settings *pb.SessionSettings

	// OnEvent is as Dialer.OnEvent, for every connection that is accepted, from its first event on.
	OnEvent func(Event)
	// Resumable is as Dialer.Resumable: accepted connections survive the streams that carry them.
	Resumable bool
	// Backlog is how many connections may wait for Accept, in the service and here: 1 to 1,024. 0: the service's 128.
	Backlog int
}

// defaultBacklog is the service's own.
const defaultBacklog = 128

// dialer is the Dialer that makes the accepted connections.
func (cfg *ListenConfig) dialer(c *Client) *Dialer {
	return &Dialer{
		Client: c, Identities: cfg.Identities, ALPN: cfg.ALPN, RequireALPN: cfg.RequireALPN,
		MinVersion: cfg.MinVersion, MaxVersion: cfg.MaxVersion,
		RootCAs: cfg.ClientCAs, NoSystemRoots: len(cfg.ClientCAs) > 0,
		Decide: cfg.Decide, DecisionTimeout: cfg.DecisionTimeout,
		HandshakeTimeout: cfg.HandshakeTimeout, IdleTimeout: cfg.IdleTimeout, Settings: cfg.Settings,
		OnEvent: cfg.OnEvent, Resumable: cfg.Resumable,
	}
}

// Listen has the service listen at address, host:port, where its operator allows that; without his word, at loopback
// addresses alone. As with net.Listen port 0 is one that is free, and an empty host all addresses of the service's machine;
// but a host is an IP address, or "localhost" for 127.0.0.1. A nil cfg is a zero one. ctx bounds the call and has no influence
// afterwards; its values go with all calls of the Listener and with the streams of its connections.
//
// The error is an *Error, such as LISTEN_DENIED or ADDRESS_IN_USE; or, before anything is sent, a *net.AddrError.
func (c *Client) Listen(ctx context.Context, address string, cfg *ListenConfig) (*Listener, error) {
	if cfg == nil {
		cfg = &ListenConfig{}
	}
	host, port, err := splitAddress(ctx, address)
	if err != nil {
		return nil, err
	}
	switch host { // what package net takes, and no name server knows
	case "":
		host = "::"
	case "localhost":
		host = "127.0.0.1"
	}
	d := cfg.dialer(c)
	settings, err := d.settings("ListenConfig")
	if err != nil {
		return nil, err
	}
	if cfg.ClientAuth != pb.ClientAuth_CLIENT_AUTH_UNSPECIFIED {
		settings.Tls.ClientAuth = cfg.ClientAuth
	}
	answer, err := call(ctx, pb.NewListenerServiceClient(c.unary).Listen, &pb.ListenRequest{
		Address: host, Port: port, StartTlsOnAccept: !cfg.Plain, Settings: settings, Certificates: d.certificates(),
		Backlog: int32(cfg.Backlog), RequestId: rand.Text(),
	})
	if err != nil {
		return nil, err
	}
	return newListener(ctx, d, cfg, settings.GetResumable(), answer.GetListener()), nil
}
