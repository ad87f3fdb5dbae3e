package main

import (
	"net/url"
	"os"
	"strconv"

	"github.com/spf13/pflag"

	pb "securesocket/gen/securesocket/v1"
)

// proxyPasswordVariable has the proxy's password, for those who want it out of the command line, which every process of
// the machine can read.
const proxyPasswordVariable = "SECURESOCKET_PROXY_PASSWORD"

// proxyFlag names a proxy on the way from the service to the peer.
type proxyFlag struct{ text string }

func (f *proxyFlag) register(flags *pflag.FlagSet) {
	flags.StringVar(&f.text, "proxy", "", "reach the peer through the proxy at `URL`, http://[USER[:PASSWORD]@]HOST:PORT (CONNECT) or socks5://...; the password rather in $"+proxyPasswordVariable)
}

// settings are nil where there is no proxy. Errors show nothing of the URL: it may have a password.
func (f *proxyFlag) settings() (*pb.ProxySettings, error) {
	if f.text == "" {
		return nil, nil
	}
	malformed := usagef("--proxy: want http://[USER[:PASSWORD]@]HOST:PORT or socks5://[USER[:PASSWORD]@]HOST:PORT, with what is no letter, digit or any of -._~ in USER and PASSWORD as %%XX")
	u, err := url.Parse(f.text)
	if err != nil || u.Opaque != "" || u.Path != "" && u.Path != "/" || u.RawQuery != "" || u.ForceQuery || u.Fragment != "" {
		return nil, malformed
	}
	proxy := &pb.ProxySettings{Host: u.Hostname()}
	switch u.Scheme {
	case "http":
		proxy.Kind = pb.ProxySettings_KIND_HTTP_CONNECT
	case "socks5":
		proxy.Kind = pb.ProxySettings_KIND_SOCKS5
	case "https":
		return nil, usagef("--proxy: https:// is not supported: the way to the proxy is not encrypted; what goes through it is")
	case "socks5h":
		return nil, usagef("--proxy: socks5h:// is not supported: the service resolves names itself; use socks5://")
	default:
		return nil, malformed
	}
	port, err := strconv.ParseUint(u.Port(), 10, 16)
	if err != nil || port == 0 || proxy.GetHost() == "" {
		return nil, malformed
	}
	proxy.Port = int32(port)
	if u.User != nil {
		password, ok := u.User.Password()
		if !ok {
			password = os.Getenv(proxyPasswordVariable)
		}
		proxy.Username, proxy.Password = u.User.Username(), password
	}
	return proxy, nil
}
