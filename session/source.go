package session

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"syscall"
)

// Sources are the addresses of this machine that everything comes from which is dialled under the egress policy: to
// targets and their Flash policy files, to proxies, and to servers of CRLs and OCSP. It is immutable. With the zero value
// the kernel chooses. Where one of the two is set, a family without an address is not dialled at all, since a firewall
// around the other would not see it.
type Sources struct{ IPv4, IPv6 netip.Addr }

// SourceError reports that the operator's source addresses do not let an address be dialled. It is the operator's to mend.
type SourceError struct {
	Addr netip.Addr // cannot be used; invalid: there is none for the target's family
	IPv6 bool       // the target's family
	Err  error      // why Addr cannot be used
}

func (e *SourceError) Error() string {
	if e.Addr.IsValid() {
		why := "the system refuses it"
		if errno, ok := errors.AsType[syscall.Errno](e.Err); ok {
			why = errno.Error()
		}
		return fmt.Sprintf("the operator's source address %s: %s: give it to the service's machine, or change egress.source_addresses", e.Addr, why)
	}
	family := "IPv4"
	if e.IPv6 {
		family = "IPv6"
	}
	return fmt.Sprintf("the operator has no source address for %s: add one to egress.source_addresses, or choose the other address family", family)
}

func (e *SourceError) Unwrap() error { return e.Err }

// to is where a connection to an address comes from; an invalid one leaves it to the kernel. The error is a SourceError.
func (s Sources) to(target netip.Addr) (netip.Addr, error) {
	from := s.IPv4
	if target.Is6() {
		from = s.IPv6
	}
	if !from.IsValid() && s != (Sources{}) {
		return from, &SourceError{IPv6: target.Is6()}
	}
	return from, nil
}

// reachable is those of the addresses, of which there is at least one, that there is a source for. The error is a
// NetworkError.
func (s Sources) reachable(addrs []netip.AddrPort) (out []netip.AddrPort, err error) {
	if s == (Sources{}) {
		return addrs, nil
	}
	var first error
	for _, a := range addrs {
		if _, err := s.to(a.Addr()); err == nil {
			out = append(out, a)
		} else if first == nil {
			first = &NetworkError{NetworkUnreachable, PhaseTCP, a.String(), err}
		}
	}
	if len(out) == 0 {
		return nil, first
	}
	return out, nil
}

// connect connects with a prepared dialer, whose ControlContext judges the socket, from the operator's source address.
func (r *Registry) connect(ctx context.Context, d net.Dialer, addr netip.AddrPort) (net.Conn, error) {
	from, err := r.cfg.Sources.to(addr.Addr())
	if err != nil {
		return nil, err
	}
	if !from.IsValid() {
		return r.cfg.Dial(ctx, &d, addr.String())
	}
	judge := d.ControlContext
	d.ControlContext = func(ctx context.Context, network, address string, raw syscall.RawConn) error {
		portLater(raw)
		return judge(ctx, network, address, raw)
	}
	d.LocalAddr = net.TCPAddrFromAddrPort(netip.AddrPortFrom(from, 0))
	conn, err := r.cfg.Dial(ctx, &d, addr.String())
	if call, ok := errors.AsType[*os.SyscallError](err); ok && call.Syscall == "bind" {
		return nil, &SourceError{Addr: from, IPv6: from.Is6(), Err: err}
	}
	return conn, err
}
