package session

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"syscall"

	"securesocket/tlsengine/revocation"
)

// errFetchDenied is what a report says of the policy's refusal. The policy's own
// error would tell which address of the operator's network a name leads to.
var errFetchDenied = errors.New("the operator's egress policy refuses it")

// dialFetch connects to a server of CRLs or OCSP. The URL comes from a
// certificate, so the policy judges it as if a caller had asked for it: the
// name, each of its addresses, and the socket. What is new is so for the owner: by
// what others have made the service fetch he is neither helped nor held up.
func (r *Registry) dialFetch(ctx context.Context, _, addr string) (net.Conn, error) {
	conn, err := r.dialJudged(ctx, addr)
	if _, denied := errors.AsType[*PolicyError](err); denied {
		return nil, errFetchDenied
	}
	return conn, err
}

func (r *Registry) dialJudged(ctx context.Context, addr string) (net.Conn, error) {
	host, portText, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, err
	}
	port, err := strconv.ParseUint(portText, 10, 16)
	if err != nil {
		return nil, err
	}
	target := Target{Port: int(port)}
	if ip, err := netip.ParseAddr(host); err == nil {
		target.Addr = ip.WithZone("").Unmap()
	} else {
		target.Name = strings.ToLower(strings.TrimSuffix(host, "."))
	}
	if err := r.checkName(Service, target); err != nil {
		return nil, err
	}
	if err := r.limits.fetches.Allow(revocation.OwnerOf(ctx), target.Host(), target.Port); err != nil {
		return nil, limitError(err)
	}
	addrs, err := r.resolve(ctx, Service, target, 0)
	if err == nil {
		addrs, err = r.cfg.Sources.reachable(addrs)
	}
	if err != nil {
		return nil, err
	}
	dialer := net.Dialer{
		KeepAlive: -1,
		ControlContext: func(_ context.Context, _, address string, _ syscall.RawConn) error {
			return r.checkSocket(Service, target, address)
		},
	}
	for _, a := range addrs {
		var conn net.Conn
		if conn, err = r.connect(ctx, dialer, a); err == nil {
			return conn, nil
		}
	}
	return nil, err
}
