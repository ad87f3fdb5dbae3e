package server

import (
	"context"
	"errors"
	"net/netip"
	"slices"

	pb "securesocket/gen/securesocket/v1"
	"securesocket/server/egress"
	"securesocket/session"
)

// Of an explanation, which is as long as there are rules and addresses.
const (
	maxExplained   = 16 // addresses: as many as are dialled
	maxPolicySteps = 10_000
)

// ExplainPolicy says what the policy makes of a target. It dials nothing.
func (s *diagnosticService) ExplainPolicy(ctx context.Context, req *pb.ExplainPolicyRequest) (*pb.ExplainPolicyResponse, error) {
	target, err := targetOf(req.GetHost(), req.GetPort())
	if err != nil {
		return nil, err
	}
	who := callerOf(ctx)
	principal := who.principal
	if p := req.GetPrincipal(); p != "" && p != principal {
		if !who.administrator {
			return nil, &session.NotAllowedError{What: "principal", Why: "only administrators ask about others"}
		}
		principal = p
		s.audit.note(ctx, "explain policy", "about", bounded(p), "host", target.Host(), "port", target.Port)
	}
	rules := new(egress.Policy)
	if s.policy != nil {
		rules = s.policy.Load().Silent() // one snapshot for all of it
	}
	asked := targetFor(target)
	var addrs []netip.Addr
	var unresolved error
	if asked.Name != "" {
		if unresolved = rules.CheckName(principal, asked, target.Port); unresolved == nil {
			addrs, unresolved = s.registry.Addresses(ctx, who.principal, target)
		} else {
			unresolved = &session.PolicyError{Err: unresolved}
		}
	}
	if ctx.Err() != nil {
		return nil, session.ErrCancelled
	}
	if _, limited := errors.AsType[*session.LimitError](unresolved); limited {
		return nil, unresolved
	}
	// Those that decide come first: a connect judges all, and not all are explained.
	slices.SortStableFunc(addrs, func(a, b netip.Addr) int {
		return rank(rules, principal, asked, a, target.Port) - rank(rules, principal, asked, b, target.Port)
	})
	addrs = addrs[:min(len(addrs), maxExplained)]
	e := rules.Explain(principal, asked, addrs, target.Port)
	resp := &pb.ExplainPolicyResponse{
		Allowed: e.Allowed || rules.FirstAllowed() && len(e.Usable) > 0, RuleId: e.Decisive, Revision: rules.Revision(), Unresolved: toFailure(unresolved),
	}
	for _, step := range e.Steps[:min(len(e.Steps), maxPolicySteps)] {
		m := &pb.PolicyStep{RuleId: step.Rule, Subject: step.Subject, Matched: step.Matched, Allowed: step.Allowed, Text: step.Text, Source: step.Source}
		if !who.administrator {
			if m.Source != "" {
				m.Source, m.Text = "", "a rule of the operator's"
			}
			if asked.Name != "" { // its addresses tell about the operator's network
				m.Subject = req.GetHost()
			}
		}
		resp.Steps = append(resp.Steps, m)
	}
	return resp, nil
}

// rank is 0 for an address that decides about its name, otherwise 1.
func rank(rules *egress.Policy, principal string, t egress.Target, a netip.Addr, port int) int {
	allowed := rules.CheckAddr(principal, t, netip.AddrPortFrom(a, uint16(port))) == nil //nolint:gosec // 1..65535 by targetOf
	if allowed == rules.FirstAllowed() {
		return 0
	}
	return 1
}
