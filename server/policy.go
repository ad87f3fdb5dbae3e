package server

import (
	"net/netip"

	"securesocket/server/egress"
	"securesocket/session"
)

// Egress lets a policy judge the targets of sessions.
func Egress(p *egress.Policy) session.Egress { return policy{p} }

type policy struct{ p *egress.Policy }

func (p policy) CheckName(t session.Target) error {
	return p.p.CheckName(egress.Target{Name: t.Name, Addr: t.Addr}, t.Port)
}

func (p policy) CheckAddr(t session.Target, addr netip.AddrPort) error {
	return p.p.CheckAddr(egress.Target{Name: t.Name, Addr: t.Addr}, addr)
}
