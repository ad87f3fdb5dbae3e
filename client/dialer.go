package client

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"slices"
	"strconv"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

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

	// Timeout bounds the dial; the service says in which phase it ran out. 0: the service's 20 s. The context of a dial
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
}

// Dial connects to the peer at address, host:port, through the service, and returns when the connection is secure: TLS
// is up and the peer's certificate is trusted for its name. network is "tcp", "tcp4" or "tcp6". ctx bounds the dial and
// has no influence afterwards; its values go with the stream, such as gRPC metadata.
//
// The error is an *Error, with the report of a refused certificate; or, before anything is sent, of package net: a
// net.UnknownNetworkError or *net.AddrError.
func (d *Dialer) Dial(ctx context.Context, network, address string) (*Conn, error) {
	if d.Client == nil {
		return nil, invalidField("Dialer.Client", "is nil")
	}
	request, err := d.request(ctx, network, address)
	if err != nil {
		return nil, err
	}
	if d.Timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, d.Timeout+timeoutSlack)
		defer cancel()
	}
	return d.Client.open(ctx, request, d.OnEvent)
}

// DialContext is Dial with the signature that http.Transport and others want for TLS connections.
func (d *Dialer) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := d.Dial(ctx, network, address)
	if err != nil {
		return nil, err
	}
	return conn, nil
}

// request is what the service is asked for.
func (d *Dialer) request(ctx context.Context, network, address string) (*pb.Open, error) {
	host, service, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	port, err := strconv.ParseInt(service, 10, 32)
	if err != nil { // a name; numbers out of range are for the service to refuse
		known, err := net.DefaultResolver.LookupPort(ctx, "tcp", service)
		if err != nil {
			return nil, &net.AddrError{Err: "unknown port", Addr: address}
		}
		port = int64(known)
	}
	settings, err := d.settings(network)
	if err != nil {
		return nil, err
	}
	open := &pb.Open{Settings: settings, Host: host, Port: int32(port)}
	for _, der := range d.RootCAs {
		open.Certificates = append(open.Certificates, &pb.ExtraCertificate{Certificate: der, Trusted: true})
	}
	for _, der := range d.Intermediates {
		open.Certificates = append(open.Certificates, &pb.ExtraCertificate{Certificate: der})
	}
	return open, nil
}

// settings lays the fields over a copy of Settings. A field that has its zero value leaves what is there.
func (d *Dialer) settings(network string) (*pb.SessionSettings, error) {
	s := &pb.SessionSettings{}
	if d.Settings != nil {
		s = proto.CloneOf(d.Settings)
	}
	if s.Tls == nil {
		s.Tls = &pb.TlsSettings{}
	}
	if d.ServerName != nil {
		s.Tls.ServerName = new(*d.ServerName)
	}
	if len(d.VerifyNames) > 0 {
		s.Tls.VerifyNames = slices.Clone(d.VerifyNames)
	}
	if len(d.ALPN) > 0 {
		s.Tls.AlpnProtocols = slices.Clone(d.ALPN)
	}
	if d.RequireALPN {
		s.Tls.RequireAlpn = new(true)
	}
	if len(d.CipherSuites) > 0 {
		s.Tls.CipherSuites = slices.Clone(d.CipherSuites)
	}
	if d.NoSystemRoots {
		if s.Tls.Trust == nil {
			s.Tls.Trust = &pb.TrustSettings{}
		}
		s.Tls.Trust.Base = pb.TrustSettings_BASE_NONE
	}
	if d.HandshakeTimeout > 0 {
		s.Tls.HandshakeTimeout = durationpb.New(d.HandshakeTimeout)
	}
	if d.Timeout > 0 {
		s.ConnectTimeout = durationpb.New(d.Timeout)
	}
	if d.IdleTimeout != 0 {
		s.IdleTimeout = durationpb.New(max(d.IdleTimeout, 0))
	}
	var err error
	if s.Tls.MinVersion, err = wireVersion("MinVersion", d.MinVersion, s.Tls.MinVersion); err != nil {
		return nil, err
	}
	if s.Tls.MaxVersion, err = wireVersion("MaxVersion", d.MaxVersion, s.Tls.MaxVersion); err != nil {
		return nil, err
	}
	return s, setFamily(s, network)
}

// setFamily maps the network to the family of addresses that is dialled.
func setFamily(s *pb.SessionSettings, network string) error {
	var family pb.AddressFamily
	switch network {
	case "tcp":
		return nil
	case "tcp4":
		family = pb.AddressFamily_ADDRESS_FAMILY_IPV4
	case "tcp6":
		family = pb.AddressFamily_ADDRESS_FAMILY_IPV6
	default:
		return net.UnknownNetworkError(network)
	}
	if s.Tcp == nil {
		s.Tcp = &pb.TcpSettings{}
	}
	s.Tcp.AddressFamily = family
	return nil
}

// versions pairs the numbers of package crypto/tls with those of the contract. The service refuses what is too old.
var versions = []struct {
	number uint16
	wire   pb.ProtocolVersion
}{
	{0x0300, pb.ProtocolVersion_PROTOCOL_VERSION_SSL3}, // tls.VersionSSL30 is deprecated, the number is not
	{tls.VersionTLS10, pb.ProtocolVersion_PROTOCOL_VERSION_TLS1_0},
	{tls.VersionTLS11, pb.ProtocolVersion_PROTOCOL_VERSION_TLS1_1},
	{tls.VersionTLS12, pb.ProtocolVersion_PROTOCOL_VERSION_TLS1_2},
	{tls.VersionTLS13, pb.ProtocolVersion_PROTOCOL_VERSION_TLS1_3},
}

// wireVersion is the contract's version for number, or base where that is 0.
func wireVersion(field string, number uint16, base pb.ProtocolVersion) (pb.ProtocolVersion, error) {
	if number == 0 {
		return base, nil
	}
	for _, v := range versions {
		if v.number == number {
			return v.wire, nil
		}
	}
	return 0, invalidField("Dialer."+field, fmt.Sprintf("0x%04x is no version of TLS", number))
}

// tlsVersion is the number of package crypto/tls; 0 for what it does not have.
func tlsVersion(wire pb.ProtocolVersion) uint16 {
	for _, v := range versions {
		if v.wire == wire {
			return v.number
		}
	}
	return 0
}
