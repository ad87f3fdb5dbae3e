package client

import (
	"net/url"
	"strconv"

	pb "securesocket/gen/securesocket/v1"
)

// proxyKinds are the schemes that there are, and the ports that are meant where none is named.
var proxyKinds = map[string]struct {
	kind pb.ProxySettings_Kind
	port int32
}{
	"http":   {pb.ProxySettings_KIND_HTTP_CONNECT, 80},
	"socks5": {pb.ProxySettings_KIND_SOCKS5, 1080},
}

// proxySettings is a Dialer.Proxy as the contract has it. Its errors do not repeat what it says: it may have a password.
func proxySettings(u *url.URL) (*pb.ProxySettings, error) {
	const field = "Dialer.Proxy"
	known, ok := proxyKinds[u.Scheme]
	switch {
	case !ok:
		return nil, invalidField(field, "has a scheme that is neither http nor socks5")
	case u.Hostname() == "":
		return nil, invalidField(field, "names no host")
	case u.Path != "" && u.Path != "/", u.RawQuery != "", u.ForceQuery, u.Fragment != "":
		return nil, invalidField(field, "has more than a scheme, a user and a place")
	}
	port := known.port
	if u.Port() != "" {
		n, err := strconv.ParseInt(u.Port(), 10, 32)
		if err != nil { // numbers out of range are for the service to refuse
			return nil, invalidField(field, "has a port that is no number")
		}
		port = int32(n)
	}
	password, _ := u.User.Password()
	return &pb.ProxySettings{
		Kind: known.kind, Host: u.Hostname(), Port: port, Username: u.User.Username(), Password: password,
	}, nil
}
