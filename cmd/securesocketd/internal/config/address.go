package config

import (
	"net"
	"net/netip"
	"path/filepath"
	"strconv"
	"strings"
)

// The schemes of the service's addresses.
const (
	unixScheme  = "unix://"
	plainScheme = "grpc://"
	tlsScheme   = "grpcs://"
)

// maxSocketPath is the longest path of a Unix socket, on Linux (unix(7)).
const maxSocketPath = 107

// checkListen judges one address of listen.
func checkListen(c *Config, address string) *mistake {
	if strings.Count(address, "://") > 1 {
		return mistakef(OutOfRange, "%q is more than one address: make each an entry of its own, with a flag of its own", address)
	}
	if path, ok := strings.CutPrefix(address, unixScheme); ok {
		return checkSocket(path)
	}
	hostPort, encrypted := strings.CutPrefix(address, tlsScheme)
	plain := false
	if !encrypted {
		hostPort, plain = strings.CutPrefix(address, plainScheme)
	}
	switch {
	case !plain && !encrypted:
		return mistakef(OutOfRange, "%q is none of unix:///PATH, grpcs://HOST:PORT and grpc://HOST:PORT", address)
	case plain && !c.Insecure:
		return mistakef(Conflict, "%s is not encrypted and does not know its callers; give --insecure (insecure: true) if that is what you want, or listen on unix:///PATH or grpcs://HOST:PORT", address)
	case encrypted && (c.TLS.Cert == "" || c.TLS.Key == ""):
		return mistakef(Conflict, "%s needs the certificate and the key that it shows: give --tls-cert and --tls-key (tls: {cert: FILE, key: FILE})", address)
	}
	_, port, err := net.SplitHostPort(hostPort)
	if err != nil {
		return mistakef(OutOfRange, "%q: %v", address, err)
	}
	if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		return mistakef(OutOfRange, "%q: %q is not a port from 0 to 65535", address, port)
	}
	return nil
}

func checkSocket(path string) *mistake {
	if !filepath.IsAbs(path) {
		return mistakef(OutOfRange, "unix://%s: the path has to be absolute, as in unix:///run/s.sock", path)
	}
	if len(path) > maxSocketPath {
		return mistakef(OutOfRange, "unix://%s: the path has %d bytes; a socket's has at most %d", path, len(path), maxSocketPath)
	}
	return nil
}

// checkSource judges an address that connections are to come from, beside those before, by whether they are IPv6. Whether
// the machine has it is found at the start.
func checkSource(address string, families map[bool]string) *mistake {
	a, err := netip.ParseAddr(address)
	switch other, taken := families[a.Is6()]; {
	case err != nil || a.IsUnspecified() || a.IsMulticast():
		return mistakef(OutOfRange, "%q is no IP address of a machine: write one, as 192.0.2.10", address)
	case a.Is4In6():
		return mistakef(OutOfRange, "%s is an IPv4 address in IPv6: write %s", address, a.Unmap())
	case a.Zone() != "":
		return mistakef(OutOfRange, "%s has a zone, and reaches one link alone: write an address without one", address)
	case taken:
		return mistakef(Conflict, "%s and %s are of one family: keep one of them", other, address)
	}
	families[a.Is6()] = address
	return nil
}

// checkAdmin judges the address for operators: what it shows, and whom it asks, is nothing for a network. A name is
// refused, since what it means is decided elsewhere.
func checkAdmin(address string) *mistake {
	if path, ok := strings.CutPrefix(address, unixScheme); ok {
		return checkSocket(path)
	}
	ap, err := netip.ParseAddrPort(address)
	if err != nil {
		return mistakef(OutOfRange, "%q is neither unix:///PATH nor IP:PORT, as 127.0.0.1:9090", address)
	}
	if !ap.Addr().Unmap().IsLoopback() {
		return mistakef(OutOfRange, "%s is not a loopback address, and it does not ask who calls: use 127.0.0.1, [::1] or unix:///PATH", ap.Addr())
	}
	return nil
}
