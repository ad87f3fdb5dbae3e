package server

import (
	"net/netip"

	"securesocket/server/egress"
	"securesocket/session"
)

// Egress lets a policy judge the targets of sessions. Each question is put to the
// policy that is in force at that moment.
func Egress(p *egress.Live) session.Egress { return policy{p} }

// FixedEgress is Egress with a policy that never changes.
func FixedEgress(p *egress.Policy) session.Egress {
	live := new(egress.Live)
	live.Store(p)
	return policy{live}
}

type policy struct{ live *egress.Live }

func targetFor(t session.Target) egress.Target { return egress.Target{Name: t.Name, Addr: t.Addr} }

func (p policy) CheckName(owner string, t session.Target) error {
	return p.live.CheckName(owner, targetFor(t), t.Port)
}

func (p policy) CheckAddr(owner string, t session.Target, addr netip.AddrPort) error {
	return p.live.CheckAddr(owner, targetFor(t), addr)
}

func (p policy) FirstAllowed() bool { return p.live.Load().FirstAllowed() }

func (p policy) Revision() string { return p.live.Load().Revision() }
