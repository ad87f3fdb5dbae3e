package client

import (
	"context"
	"net"
	"slices"
	"strconv"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	pb "securesocket/gen/securesocket/v1"
)

// request is what the service is asked for.
func (d *Dialer) request(ctx context.Context, network, address string) (*pb.Open, error) {
	host, port, err := splitAddress(ctx, address)
	if err != nil {
		return nil, err
	}
	settings, err := d.settings("Dialer")
	if err == nil {
		err = setFamily(settings, network)
	}
	if err != nil {
		return nil, err
	}
	return &pb.Open{
		Settings: settings, Host: host, Port: port, Certificates: d.certificates(), StartTlsProtocol: d.StartTLSProtocol,
	}, nil
}

// splitAddress is the host and the port of an address as package net has it.
func splitAddress(ctx context.Context, address string) (string, int32, error) {
	host, service, err := net.SplitHostPort(address)
	if err != nil {
		return "", 0, err
	}
	port, err := strconv.ParseInt(service, 10, 32)
	if err != nil { // a name; numbers out of range are for the service to refuse
		known, err := net.DefaultResolver.LookupPort(ctx, "tcp", service)
		if err != nil {
			return "", 0, &net.AddrError{Err: "unknown port", Addr: address}
		}
		port = int64(known)
	}
	return host, int32(port), nil
}

// certificates are RootCAs and Intermediates.
func (d *Dialer) certificates() []*pb.ExtraCertificate {
	var all []*pb.ExtraCertificate
	for _, der := range d.RootCAs {
		all = append(all, &pb.ExtraCertificate{Certificate: der, Trusted: true})
	}
	for _, der := range d.Intermediates {
		all = append(all, &pb.ExtraCertificate{Certificate: der})
	}
	return all
}

// settings lays the fields over a copy of Settings. A field that has its zero value leaves what is there. owner is whose
// fields they are, for errors.
func (d *Dialer) settings(owner string) (*pb.SessionSettings, error) {
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
	if len(d.Identities) > 0 {
		s.Tls.Identities = nil
	}
	for _, identity := range d.Identities {
		if identity == nil {
			return nil, invalidField(owner+".Identities", "has a nil")
		}
		s.Tls.Identities = append(s.Tls.Identities, identity.wire)
	}
	if d.Decide != nil && s.Tls.Override == pb.OverrideMode_OVERRIDE_MODE_UNSPECIFIED {
		s.Tls.Override = pb.OverrideMode_OVERRIDE_MODE_ASK
	}
	if d.DecisionTimeout > 0 {
		s.Tls.DecisionTimeout = durationpb.New(d.DecisionTimeout)
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
	// Said in any case: the caller's defaults must not have a session wait for acks from a Conn that sends none.
	s.Resumable = new(d.Resumable || s.GetResumable())
	var err error
	if d.Proxy != nil {
		if s.Proxy, err = proxySettings(d.Proxy); err != nil {
			return nil, err
		}
	}
	if s.Tls.MinVersion, err = wireVersion(owner+".MinVersion", d.MinVersion, s.Tls.MinVersion); err != nil {
		return nil, err
	}
	if s.Tls.MaxVersion, err = wireVersion(owner+".MaxVersion", d.MaxVersion, s.Tls.MaxVersion); err != nil {
		return nil, err
	}
	return s, nil
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
