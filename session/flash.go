package session

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"

	"securesocket/session/flashpolicy"
	"securesocket/tlsengine"
)

// flashPolicy has the operator's Flash check made, if it is on: of addrs, which were judged for the target's own port, and
// are judged again for the port of the file as its socket connects. The error is a PolicyError, or the context's cause.
func (c *connection) flashPolicy(ctx context.Context, addrs []netip.AddrPort) error {
	check := c.s.reg.cfg.Flash
	if check == nil {
		return nil
	}
	dial := func(ctx context.Context, port int) (net.Conn, error) {
		var at []netip.AddrPort
		var refused error
		for _, a := range addrs {
			ap := netip.AddrPortFrom(a.Addr(), uint16(port)) //nolint:gosec // 1..65535 by flashpolicy
			if err := c.s.reg.cfg.Egress.CheckAddr(c.s.owner, c.target, ap); err != nil {
				refused = &PolicyError{err} // behind a proxy no socket of ours asks
				continue
			}
			at = append(at, ap)
		}
		if len(at) == 0 {
			return nil, refused
		}
		conn, _, err := c.dial(ctx, at, c.settings)
		return conn, err
	}
	var secureDial flashpolicy.Dial
	if !c.args.Plain && c.args.StartTLS == "" {
		secureDial = func(ctx context.Context, port int) (net.Conn, error) {
			raw, err := dial(ctx, port)
			if err != nil {
				return nil, err
			}
			trust, err := c.trust(c.settings.TrustBase)
			if err != nil {
				_ = raw.Close()
				return nil, err
			}
			// The session's names and anchors, and nothing that asks the caller, signs, resumes or counts as a verdict.
			conn, err := tlsengine.Client(ctx, raw, &tlsengine.Config{
				ServerName:  c.settings.serverName(c.target.Host()),
				VerifyNames: c.settings.verifyNames(c.target.Host()),
				MinVersion:  c.settings.MinVersion,
				MaxVersion:  c.settings.MaxVersion,
				Trust:       trust,
				Turn:        func(ctx context.Context) (func(), error) { return c.s.reg.turns.take(ctx, c.s.owner) },
				Now:         c.s.reg.cfg.Now,
			})
			if err != nil {
				_ = raw.Close()
				return nil, err
			}
			return overTLS{raw, conn}, nil
		}
	}
	err := check.Check(ctx, c.target.Host(), c.target.Port, dial, secureDial)
	switch _, denied := errors.AsType[*flashpolicy.DeniedError](err); {
	case err == nil:
		return nil
	case denied:
		return &PolicyError{err}
	case ctx.Err() != nil:
		return context.Cause(ctx)
	}
	return fmt.Errorf("flash policy: %w", err)
}

// overTLS is a TLS connection with the deadlines of the one below.
type overTLS struct {
	net.Conn // for its deadlines and addresses

	tls *tlsengine.Conn
}

func (o overTLS) Read(p []byte) (int, error)  { return o.tls.Read(p) }
func (o overTLS) Write(p []byte) (int, error) { return o.tls.Write(p) }
func (o overTLS) Close() error                { return o.tls.Abort() }
