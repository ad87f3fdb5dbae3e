package session

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"strings"
	"syscall"
	"time"
)

const (
	maxAddresses = 16                     // of one name; more are not tried
	dialStagger  = 250 * time.Millisecond // RFC 8305, connection attempt delay
)

// dialNameServer connects Go's resolver, which would wait out its own five seconds on
// a socket of a lookup that everybody has given up, where nobody counts it.
func dialNameServer(ctx context.Context, network, address string) (net.Conn, error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, network, address)
	if err == nil {
		context.AfterFunc(ctx, func() { _ = conn.Close() }) // ctx ends with the exchange too
	}
	return conn, err
}

// lookup resolves the target, for the timeline too.
func (c *connection) lookup(ctx context.Context, fam Family) ([]netip.AddrPort, error) {
	if c.target.Name != "" {
		c.mark(spanDNS, true)
		defer c.mark(spanDNS, false)
	}
	return c.s.reg.resolve(ctx, c.s.owner, c.target, fam)
}

// checkName asks the policy before DNS. The error is a PolicyError.
func (r *Registry) checkName(owner string, t Target) error {
	if err := r.cfg.Egress.CheckName(owner, t); err != nil {
		return &PolicyError{err}
	}
	return nil
}

// resolve finds the target's addresses within the DNS clock and has every one
// judged by the policy. One that is refused refuses the name, so that a name
// cannot be used to look for an address that gets through, unless the operator
// has it otherwise.
func (r *Registry) resolve(ctx context.Context, owner string, target Target, fam Family) ([]netip.AddrPort, error) {
	addrs, err := r.addresses(ctx, target, fam)
	if err != nil {
		return nil, err
	}
	for {
		revision := r.cfg.Egress.Revision()
		out, err := r.judged(owner, target, addrs)
		if r.cfg.Egress.Revision() == revision { // all of it was one policy's
			return out, err
		}
	}
}

// judged is those of the addresses that may be dialled, or why none may.
func (r *Registry) judged(owner string, target Target, addrs []netip.Addr) (out []netip.AddrPort, refused error) {
	for _, a := range addrs {
		ap := netip.AddrPortFrom(a, uint16(target.Port)) //nolint:gosec // 1..65535 by Target
		if err := r.cfg.Egress.CheckAddr(owner, target, ap); err != nil {
			if !r.cfg.Egress.FirstAllowed() {
				return nil, &PolicyError{err}
			}
			refused = &PolicyError{err}
		} else if len(out) < maxAddresses {
			out = append(out, ap)
		}
	}
	if len(out) == 0 {
		return nil, refused
	}
	return out, nil
}

// Addresses finds what a name leads to, without asking the policy and without
// dialling. It is one of the owner's destinations: the error may be a LimitError.
func (r *Registry) Addresses(ctx context.Context, owner string, target Target) ([]netip.Addr, error) {
	if err := r.newDestination(owner, target, nil); err != nil {
		return nil, err
	}
	return r.addresses(ctx, target, 0)
}

// addresses finds what a target leads to, within the DNS clock: never nothing.
func (r *Registry) addresses(ctx context.Context, target Target, fam Family) ([]netip.Addr, error) {
	cfg := &r.cfg
	addrs := []netip.Addr{target.Addr}
	if target.Name != "" {
		ctx, cancel := context.WithTimeoutCause(ctx, cfg.DNSTimeout, &TimeoutError{PhaseDNS, cfg.DNSTimeout, "the DNS clock"})
		defer cancel()
		var err error
		name := target.Name
		if strings.Contains(name, ".") {
			// Fully qualified: a search list would lead to another name than the
			// one that was judged. Without a dot it is a name of this machine's,
			// as in /etc/hosts, which knows none with a final dot.
			name += "."
		}
		addrs, err = cfg.Resolver.LookupNetIP(ctx, family("ip", fam), name)
		if err != nil {
			return nil, lookupError(ctx, target.Name, err)
		}
	}
	var out []netip.Addr
	for _, a := range addrs {
		if a = a.Unmap(); (fam != FamilyIPv4 || a.Is4()) && (fam != FamilyIPv6 || a.Is6()) {
			out = append(out, a)
		}
	}
	if len(out) == 0 {
		return nil, &NetworkError{NetworkHostNotFound, PhaseDNS, target.Host(), errors.New("no address of the wanted family")}
	}
	return out, nil
}

func family(network string, f Family) string {
	switch f {
	case FamilyIPv4:
		return network + "4"
	case FamilyIPv6:
		return network + "6"
	}
	return network
}

func lookupError(ctx context.Context, name string, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	kind := NetworkDNSFailure
	var de *net.DNSError
	if errors.As(err, &de) && de.IsNotFound {
		kind = NetworkHostNotFound
	}
	return &NetworkError{kind, PhaseDNS, name, err}
}

// dial connects to the target, of which these are the addresses, on its own or
// through a proxy.
func (c *connection) dial(ctx context.Context, addrs []netip.AddrPort, eff *Settings) (net.Conn, []route, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, *eff.TCPTimeout, &TimeoutError{PhaseTCP, *eff.TCPTimeout, "tcp.tcp_timeout"})
	defer cancel()
	if eff.Proxy != nil {
		return c.dialThrough(ctx, eff.Proxy, addrs, eff)
	}
	conn, err := c.dialAny(ctx, c.target, addrs, eff)
	if err != nil {
		return nil, nil, err
	}
	return conn, []route{{c.target, addrPort(conn.RemoteAddr())}}, nil
}

// dialAny connects to the first address of target that answers: they are tried in
// order, the next one as soon as the one before has failed or 250 ms have passed.
func (c *connection) dialAny(ctx context.Context, target Target, addrs []netip.AddrPort, eff *Settings) (net.Conn, error) {
	addrs, err := c.s.reg.cfg.Sources.reachable(addrs)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	dialer := net.Dialer{
		KeepAlive:       -1, // off, unless the configuration below is on
		KeepAliveConfig: keepAlive(*eff.KeepAlive),
		ControlContext: func(_ context.Context, _, address string, raw syscall.RawConn) error {
			if err := c.s.reg.checkSocket(c.s.owner, target, address); err != nil {
				return err
			}
			return setUserTimeout(raw, *eff.UserTimeout)
		},
	}
	limits := &c.s.reg.limits
	try := func(addr netip.AddrPort, more bool) (net.Conn, error) {
		if target.Name != "" { // or a name that leads elsewhere each time would be a way to scan
			if err := limits.destinations.Allow(c.s.owner, addr.Addr().String(), int(addr.Port())); err != nil {
				return nil, limitError(err)
			}
		}
		if d := limits.descriptors; more && d != nil { // the permit has one
			if err := d.Acquire(c.s.owner, 1); err != nil {
				return nil, limitError(err)
			}
			defer d.Release(c.s.owner, 1)
		}
		conn, err := c.s.reg.connect(ctx, dialer, addr)
		if err != nil {
			err = dialError(ctx, addr, err)
		}
		return conn, err
	}
	if len(addrs) == 1 {
		return try(addrs[0], false)
	}
	type result struct {
		conn net.Conn
		err  error
	}
	results := make(chan result) // from every dial, to the loop or the drain below
	next := time.NewTimer(0)
	defer next.Stop()
	started, returned := 0, 0
	var first error
	defer func() {
		cancel()
		for range started - returned {
			if r := <-results; r.conn != nil {
				_ = r.conn.Close()
			}
		}
	}()
	for {
		select {
		case <-next.C:
			if started == len(addrs) {
				continue
			}
			addr, more := addrs[started], started > returned
			started++
			next.Reset(dialStagger)
			go func() {
				conn, err := try(addr, more)
				results <- result{conn, err}
			}()
		case r := <-results:
			returned++
			if r.err == nil {
				return r.conn, nil
			}
			if first == nil {
				first = r.err
			}
			if returned == len(addrs) {
				return nil, first
			}
			if returned == started {
				next.Reset(0)
			}
		}
	}
}

// checkSocket judges the address that a socket is about to connect to.
func (r *Registry) checkSocket(owner string, target Target, address string) error {
	ap, err := netip.ParseAddrPort(address)
	if err != nil {
		return err
	}
	if err := r.cfg.Egress.CheckAddr(owner, target, netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())); err != nil {
		return &PolicyError{err}
	}
	return nil
}

func dialError(ctx context.Context, addr netip.AddrPort, err error) error {
	var pe *PolicyError
	if errors.As(err, &pe) {
		return pe
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		<-ctx.Done() // the dialer's deadline is ctx's own, and may ring before it
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return &NetworkError{networkKind(err), PhaseTCP, addr.String(), err}
}

// networkKind tells the errors of connecting and of a live socket apart.
func networkKind(err error) NetworkKind {
	_, source := errors.AsType[*SourceError](err)
	switch {
	case source: // the operator's machine lacks it
		return NetworkLocalResources
	case errors.Is(err, syscall.ECONNREFUSED):
		return NetworkRefused
	case errors.Is(err, syscall.ENETUNREACH), errors.Is(err, syscall.EACCES), errors.Is(err, syscall.EPERM), errors.Is(err, syscall.EINVAL):
		return NetworkUnreachable
	case errors.Is(err, syscall.EHOSTUNREACH):
		return NetworkHostUnreachable
	case errors.Is(err, syscall.EMFILE), errors.Is(err, syscall.ENFILE), errors.Is(err, syscall.EADDRNOTAVAIL),
		errors.Is(err, syscall.ENOBUFS), errors.Is(err, syscall.ENOMEM):
		return NetworkLocalResources
	case errors.Is(err, syscall.ETIMEDOUT), errors.Is(err, os.ErrDeadlineExceeded):
		return NetworkTimeout
	case errors.Is(err, syscall.ECONNRESET):
		return NetworkReset
	}
	return NetworkUnreachable
}

func keepAlive(d time.Duration) net.KeepAliveConfig {
	return net.KeepAliveConfig{Enable: d > 0, Idle: d, Interval: d}
}
