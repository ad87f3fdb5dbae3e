package metrics

import (
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"securesocket/server/door"
	"securesocket/session"
)

// Config is where a Metrics finds what it is not told of. The functions are called
// at each scrape, must not block, and may be called at once; what a nil one would
// tell is absent.
type Config struct {
	// Reason names an error by the contract's reason without its prefix, as
	// server.ReasonOf. Nil: every failure is OTHER.
	Reason func(error) string
	// Version is the program's. Empty: "dev".
	Version string

	Stats  func() session.Stats
	Door   func() door.Stats
	Policy func() Policy
	// LogLinesDropped is how many lines the log had no room for, ever.
	LogLinesDropped func() uint64
	// Memory is what the process holds and may hold, in bytes.
	Memory func() (used, limit int64)
	// Descriptors is how many of them are open, and may be. With an error they are
	// absent.
	Descriptors func() (open, limit int, err error)
}

// Policy is which egress policy is in force.
type Policy struct {
	Revision string
	Loaded   time.Time // zero: it is not told
}

// Metrics counts. Made by New.
type Metrics struct {
	registry *prometheus.Registry
	reason   func(error) string

	connections connections
	policy      policyCounters
	callers     callerCounters
	refusals    *counters // by limit
	suspected   prometheus.Counter
	panics      prometheus.Counter
	clockSets   prometheus.Counter
	rpcs        rpcCounters
}

// New returns a Metrics that has seen nothing.
func New(cfg Config) *Metrics {
	if cfg.Reason == nil {
		cfg.Reason = func(error) string { return other }
	}
	if cfg.Version == "" {
		cfg.Version = "dev"
	}
	reg := prometheus.NewRegistry()
	m := &Metrics{
		registry:    reg,
		reason:      cfg.Reason,
		connections: newConnections(reg),
		policy:      newPolicyCounters(reg),
		callers:     newCallerCounters(reg),
		refusals: newCounters(reg, "refusals_total",
			"What callers were refused because of a limit.", "limit", limitLabels()),
		suspected: newCounter(reg, "scans_suspected_total",
			"Callers who looked as if they scanned, each time one began to."),
		panics:    newCounter(reg, "panics_total", "Panics that were caught: each is a defect."),
		clockSets: newCounter(reg, "clock_sets_total", "How often the wall clock was found to have been set, or the machine to have slept."),
		rpcs:      newRPCCounters(reg),
	}
	reg.MustRegister(
		newPolled(cfg), buildInfo(cfg.Version),
		// Neither tells what it may not read.
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
	return m
}

// Handler serves a scrape. What one source cannot tell does not keep the others
// from it. It does not compress, and scrapes that come at once share their work.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{
		ErrorHandling: promhttp.ContinueOnError, DisableCompression: true, CoalesceGather: true,
	})
}

// Refused counts what a limit did not let through, by the name of the limit, such
// as "sessions". Of RPCs Handled counts it already.
func (m *Metrics) Refused(limit string) { m.refusals.inc(limitLabel(limit)) }

// Suspected counts a caller who looks as if he scanned.
func (m *Metrics) Suspected() { m.suspected.Inc() }

// ClockSet counts that the wall clock was set.
func (m *Metrics) ClockSet() { m.clockSets.Inc() }

// Panicked counts a panic that was caught.
func (m *Metrics) Panicked() { m.panics.Inc() }
