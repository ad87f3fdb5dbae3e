package session

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"

	"securesocket/session/proxy"
)

// Proxy is an outbound proxy on the way to the peer. It is immutable.
type Proxy struct {
	Target Target // judged by the Egress as any
	proxy.Config
}

func (p *Proxy) equal(o *Proxy) bool {
	if p == nil || o == nil {
		return p == o
	}
	return p.Target == o.Target && p.Kind == o.Kind && p.Username == o.Username && p.Password.Equal(o.Password.Expose())
}

func (p *Proxy) address() string {
	return net.JoinHostPort(p.Target.Host(), strconv.Itoa(p.Target.Port))
}

// blame says that trouble on the way is on the way to the proxy.
func (p *Proxy) blame(err error) error {
	if _, ok := errors.AsType[*NetworkError](err); ok {
		return &ProxyError{p.address(), err}
	}
	return err
}

func (p *Proxy) check() error {
	if p == nil {
		return nil
	}
	err := p.Validate()
	if ce, ok := errors.AsType[*proxy.ConfigError](err); ok {
		return &FieldError{"proxy." + ce.Field, ce.Why}
	}
	return err
}

// ProxyError reports a proxy that did not make the connection.
type ProxyError struct {
	Proxy string // host and port
	Err   error  // of package proxy, or how its connection ended
}

func (e *ProxyError) Error() string { return fmt.Sprintf("proxy %s: %v", e.Proxy, e.Err) }

func (e *ProxyError) Unwrap() error { return e.Err }

// dialThrough asks the proxy, whose name was judged, for the first of the
// addresses, all of them judged, that it connects to.
func (c *connection) dialThrough(ctx context.Context, p *Proxy, addrs []netip.AddrPort, eff *Settings) (net.Conn, []route, error) {
	via, err := c.s.reg.resolve(ctx, c.s.owner, p.Target, 0)
	if err != nil {
		return nil, nil, p.blame(err)
	}
	var first error
	for _, addr := range addrs {
		conn, err := c.dialAny(ctx, p.Target, via, eff)
		if err != nil {
			return nil, nil, p.blame(err)
		}
		if err = proxy.Ask(ctx, conn, p.Config, addr); err == nil {
			return conn, []route{{p.Target, addrPort(conn.RemoteAddr())}, {c.target, addr}}, nil
		}
		_ = conn.Close()
		if ctx.Err() != nil {
			return nil, nil, context.Cause(ctx)
		}
		if first == nil {
			first = &ProxyError{p.address(), err}
		}
		if refused, ok := errors.AsType[*proxy.RefusedError](err); !ok || refused.Auth {
			break // another address would fare no better
		}
	}
	return nil, nil, first
}
