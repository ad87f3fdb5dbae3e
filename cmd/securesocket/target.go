package main

import (
	"cmp"
	"net"
	"strconv"
	"strings"
)

// target is a HOST:PORT.
type target struct {
	host string // as it was given, without brackets; the service judges it
	port int32  // 1..65535
}

func (t target) String() string { return net.JoinHostPort(t.host, strconv.Itoa(int(t.port))) }

// parseTarget reads HOST:PORT or [IPv6]:PORT.
func parseTarget(s string) (target, error) {
	if scheme, rest, ok := strings.Cut(s, "://"); ok {
		place, _, _ := strings.Cut(rest, "/")
		return target{}, usagef("%q is a URL: leave out %s:// and what follows the host, and give HOST:PORT, as %s", s, scheme, exampleOf(place))
	}
	host, port, err := net.SplitHostPort(s)
	if err != nil {
		return target{}, usagef("%q is not HOST:PORT; an IPv6 address goes in brackets, as in [::1]:443", s)
	}
	if strings.HasPrefix(s, "[") && !strings.Contains(host, ":") {
		return target{}, usagef("%q has brackets around something that is no IPv6 address", s)
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil || n == 0 {
		return target{}, usagef("the port %q in %q is not a number from 1 to 65535", port, s)
	}
	return target{host, int32(n)}, nil
}

// exampleOf is HOST:PORT for the host of a URL.
func exampleOf(place string) string {
	if _, _, err := net.SplitHostPort(place); err == nil {
		return place
	}
	return cmp.Or(place, "example.org") + ":443"
}
