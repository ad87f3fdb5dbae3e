package client

import (
	"net"
	"net/url"
	"strconv"
)

// AddressError says that an address of a service cannot be used.
type AddressError struct {
	// Address as it was given.
	Address string
	// Problem is what is wrong with it, for people.
	Problem string
}

// Error returns one line.
func (e *AddressError) Error() string {
	return "securesocket: service address " + strconv.Quote(e.Address) + ": " + e.Problem
}

// address is where a service listens.
type address struct {
	network string // "unix" or "tcp"
	name    string // a path, or host:port
	tls     bool   // grpcs
}

// exposed reports whether others on the way could read what is said there. A Unix socket is the machine's own.
func (a address) exposed() bool { return a.network == "tcp" && !a.tls }

// authority is HTTP/2's :authority; a path is none.
func (a address) authority() string {
	if a.network == "unix" {
		return "localhost"
	}
	return a.name
}

// parseAddress reads "unix:///path", "grpcs://host:port" and "grpc://host:port".
func parseAddress(s string) (address, error) {
	bad := func(problem string) (address, error) {
		return address{}, &AddressError{Address: s, Problem: problem}
	}
	u, err := url.Parse(s)
	if err != nil {
		return bad("it is no URL; want unix:///path, grpcs://host:port or grpc://host:port")
	}
	if u.User != nil || u.RawQuery != "" || u.ForceQuery || u.Fragment != "" {
		return bad("it has more than a scheme and a place")
	}
	switch u.Scheme {
	case "unix":
		if u.Host != "" || u.Opaque != "" || len(u.Path) < 2 {
			return bad("want unix:/// and an absolute path")
		}
		return address{network: "unix", name: u.Path}, nil
	case "grpc", "grpcs":
		if u.Path != "" && u.Path != "/" {
			return bad("want no path after the port")
		}
		if _, port, err := net.SplitHostPort(u.Host); err != nil || u.Hostname() == "" {
			return bad("want " + u.Scheme + "://host:port")
		} else if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
			return bad("the port is not in 1..65535")
		}
		return address{network: "tcp", name: u.Host, tls: u.Scheme == "grpcs"}, nil
	}
	return bad("its scheme is none of unix, grpcs and grpc")
}
