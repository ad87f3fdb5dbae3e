package egress

import (
	"fmt"
	"net"
	"net/netip"
)

// ownAddrs answers whether an address leads back to the service.
type ownAddrs struct {
	exact map[netip.AddrPort]bool
	// local holds the ports that are the service's on every address of this
	// host: those of listeners on an unspecified address, and those on a loopback
	// address, which redirection and route_localnet can put on any interface.
	local map[uint16]bool
	// ports holds every port of the service, for 0.0.0.0 and ::, which connect
	// to this host without naming an address.
	ports      map[uint16]bool
	interfaces map[netip.Addr]bool
}

// newOwnAddrs asks interfaceAddrs only when an answer depends on it.
func newOwnAddrs(own []netip.AddrPort, interfaceAddrs func() ([]net.Addr, error)) (ownAddrs, error) {
	o := ownAddrs{
		exact:      map[netip.AddrPort]bool{},
		local:      map[uint16]bool{},
		ports:      map[uint16]bool{},
		interfaces: map[netip.Addr]bool{},
	}
	for _, ap := range own {
		if !ap.Addr().IsValid() || ap.Port() == 0 {
			return ownAddrs{}, entryOf(ap.String()).Fail("an own address needs an address and a port", nil)
		}
		addr := plain(ap.Addr())
		o.ports[ap.Port()] = true
		if addr.IsUnspecified() || addr.IsLoopback() {
			o.local[ap.Port()] = true
		} else {
			o.exact[netip.AddrPortFrom(addr, ap.Port())] = true
		}
	}
	if len(o.local) == 0 {
		return o, nil
	}
	addrs, err := interfaceAddrs()
	if err != nil {
		return ownAddrs{}, fmt.Errorf("egress: local interface addresses: %w", err)
	}
	for _, a := range addrs {
		var ip net.IP
		switch a := a.(type) {
		case *net.IPNet:
			ip = a.IP
		case *net.IPAddr:
			ip = a.IP
		}
		if addr, ok := netip.AddrFromSlice(ip); ok {
			o.interfaces[plain(addr)] = true
		}
	}
	return o, nil
}

// contains reports whether addr, which is plain, leads back to the service.
func (o ownAddrs) contains(addr netip.Addr, port uint16) bool {
	switch {
	case addr.IsUnspecified():
		return o.ports[port]
	case addr.IsLoopback(), o.interfaces[addr]:
		if o.local[port] {
			return true
		}
	}
	return o.exact[netip.AddrPortFrom(addr, port)]
}

// plain takes away what does not change where an address leads: the IPv6
// spelling of an IPv4 address, and the zone.
func plain(addr netip.Addr) netip.Addr { return addr.Unmap().WithZone("") }
