package metrics

import (
	"errors"
	"strings"

	"github.com/prometheus/client_golang/prometheus"

	"securesocket/server/egress"
)

// explicit labels every rule that the operator wrote: their IDs are his.
const explicit = "explicit"

// policyCounters count what the egress policy did.
type policyCounters struct {
	denials *counters // by rule
	loaded  prometheus.Counter
	failure prometheus.Counter
}

func newPolicyCounters(reg *prometheus.Registry) policyCounters {
	reloads := prometheus.NewCounterVec(prometheus.CounterOpts{
		Namespace: namespace, Name: "policy_reloads_total",
		Help: "How often the egress policy was read again; after a failure the one before stays in force.",
	}, []string{"result"})
	reg.MustRegister(reloads)
	return policyCounters{
		denials: newCounters(reg, "egress_denials_total",
			"Connections that the egress policy did not let through, by rule; explicit is any rule of the operator's.", "rule",
			[]string{
				egress.RuleOwnAddress, egress.RulePort25, egress.RuleNotInAllowList, egress.RuleInvalidAddress,
				egress.RuleSpecialPurpose, explicit,
			}),
		loaded: reloads.WithLabelValues("ok"), failure: reloads.WithLabelValues("failed"),
	}
}

func (p *policyCounters) failed(err error) {
	if denied, ok := errors.AsType[*egress.DeniedError](err); ok {
		p.denials.inc(ruleLabel(denied.Rule))
	}
}

// ruleLabel keeps what the service itself has named.
func ruleLabel(rule string) string {
	class, _, _ := strings.Cut(rule, "/")
	if strings.HasPrefix(rule, "deny[") {
		return explicit
	}
	return class
}

// Reloaded counts an attempt to read the egress policy again; nil: the new one is in
// force.
func (m *Metrics) Reloaded(err error) {
	if err != nil {
		m.policy.failure.Inc()
		return
	}
	m.policy.loaded.Inc()
}
