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
	if len(d.Identities) > 0 {
		s.Tls.Identities = nil
	}
	for _, identity := range d.Identities {
		if identity == nil {
			return nil, invalidField("Dialer.Identities", "has a nil")
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
