package server

import (
	pb "securesocket/gen/securesocket/v1"
	"securesocket/session"
	"securesocket/session/proxy"
	"securesocket/tlsengine/secret"
)

// proxyOf reads a proxy; nil: there is none.
func proxyOf(m *pb.ProxySettings) (*session.Proxy, error) {
	if m == nil {
		return nil, nil //nolint:nilnil // none is what was asked for
	}
	target, err := targetOf(m.GetHost(), m.GetPort())
	if err != nil {
		return nil, &session.FieldError{Field: "proxy", Why: bounded(err.Error())}
	}
	return &session.Proxy{Target: target, Config: proxy.Config{
		Kind: proxy.Kind(m.GetKind()), Username: m.GetUsername(), Password: secret.FromString(m.GetPassword()),
	}}, nil
}

// keepPassword gives a proxy that was shown without its password, and came back so,
// the password that it has.
func keepPassword(have, next *session.Proxy) {
	if have != nil && next != nil && next.Password.Len() == 0 {
		same := *have
		if same.Password = (secret.Bytes{}); same == *next {
			next.Password = have.Password
		}
	}
}

// toProxy leaves the password out.
func toProxy(p *session.Proxy) *pb.ProxySettings {
	if p == nil {
		return nil
	}
	return &pb.ProxySettings{
		Kind: pb.ProxySettings_Kind(p.Kind), Host: p.Target.Host(), Port: toInt32(p.Target.Port), Username: p.Username,
	}
}
