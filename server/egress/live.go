package egress

import (
	"net/netip"
	"sync/atomic"
)

// Live is a policy that can be replaced while it is asked. The zero value has the
// zero [Policy]. All methods may run at once. Each takes one snapshot and judges by
// that alone: who needs one snapshot for several answers takes it with Load.
type Live struct {
	current atomic.Pointer[Policy]
}

// Load returns the current policy, never nil.
func (l *Live) Load() *Policy {
	if p := l.current.Load(); p != nil {
		return p
	}
	return &Policy{}
}

// Store replaces the policy; nil stands for the zero Policy. What was judged by the
// one before stays as it was.
func (l *Live) Store(p *Policy) { l.current.Store(p) }

// CheckName is [Policy.CheckName] of the current policy.
func (l *Live) CheckName(caller string, t Target, port int) error {
	return l.Load().CheckName(caller, t, port)
}

// CheckAddr is [Policy.CheckAddr] of the current policy.
func (l *Live) CheckAddr(caller string, t Target, ap netip.AddrPort) error {
	return l.Load().CheckAddr(caller, t, ap)
}

// Explain is [Policy.Explain] of the current policy.
func (l *Live) Explain(caller string, t Target, addrs []netip.Addr, port int) Explanation {
	return l.Load().Explain(caller, t, addrs, port)
}
