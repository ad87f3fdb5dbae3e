package metrics

import (
	"crypto/tls"

	"github.com/prometheus/client_golang/prometheus"

	pb "securesocket/gen/securesocket/v1"
	"securesocket/session"
	"securesocket/tlsengine"
)

// The buckets of histograms: what a connect takes, what a connection takes, and what
// it moves.
var (
	phaseBuckets    = []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 20}
	durationBuckets = []float64{.1, 1, 10, 60, 300, 1800, 3600, 6 * 3600, 24 * 3600}
	byteBuckets     = []float64{0, 1 << 10, 16 << 10, 256 << 10, 4 << 20, 64 << 20, 1 << 30, 16 << 30}
)

// noTLS labels a connection without TLS; a version has the contract's name.
const noTLS = "NONE"

func tlsVersion(version uint16) string {
	switch version {
	case tls.VersionTLS10:
		return "TLS1_0"
	case tls.VersionTLS11:
		return "TLS1_1"
	case tls.VersionTLS12:
		return "TLS1_2"
	case tls.VersionTLS13:
		return "TLS1_3"
	}
	return other
}

// certificateKey is a verdict: what was found, and what a trusted status rests on.
type certificateKey struct {
	status tlsengine.Status
	basis  tlsengine.Basis
}

// connections counts what became of connections.
type connections struct {
	total        map[bool]map[bool]prometheus.Counter // by accepted, by failed
	failures     *counters                            // by reason
	closes       *counters                            // by cause
	causes       enum
	tls          *counters // by version
	certificates map[certificateKey]prometheus.Counter
	certOther    prometheus.Counter
	phases       []prometheus.Observer
	duration     prometheus.Histogram
	received     prometheus.Observer
	sent         prometheus.Observer
	plain        prometheus.Counter
	overridden   prometheus.Counter
}

// reasons are all reasons of the contract.
func reasons() []string { return enumOf(pb.ErrorReason(0).Descriptor()).all() }

func newConnections(reg *prometheus.Registry) connections {
	c := connections{
		total: make(map[bool]map[bool]prometheus.Counter),
		failures: newCounters(reg, "connection_failures_total",
			"Connections that failed, by their first failure.", "reason", reasons()),
		causes: enumOf(pb.CloseCause(0).Descriptor()),
		tls: newCounters(reg, "tls_connections_total",
			"Connections that have ended, by the version of TLS that was spoken.", "version",
			[]string{noTLS, "TLS1_0", "TLS1_1", "TLS1_2", "TLS1_3"}),
		phases: newObservers(reg, "connect_phase_seconds",
			"How long the phases of connecting took, whether they succeeded or not. The handshake includes validation and decisions.",
			"phase", phaseBuckets, "dns", "tcp", "handshake", "validation", "revocation"),
		duration: prometheus.NewHistogram(prometheus.HistogramOpts{
			Namespace: namespace, Name: "connection_seconds", Buckets: durationBuckets,
			Help: "How long connections lasted, from the connect to their end.",
		}),
	}
	c.closes = newCounters(reg, "connection_closes_total",
		"Connections that have ended, by what ended them.", "cause", c.causes.all())
	bytes := newObservers(reg, "connection_bytes",
		"Bytes that a connection had moved when it ended.", "direction", byteBuckets, "received", "sent")
	c.received, c.sent = bytes[0], bytes[1]
	reg.MustRegister(c.duration)

	total := prometheus.NewCounterVec(prometheus.CounterOpts{
		Namespace: namespace, Name: "connections_ended_total",
		Help: "Connections that have ended: who began them, and whether anything failed.",
	}, []string{"origin", "result"})
	for accepted, origin := range map[bool]string{false: "dialled", true: "accepted"} {
		c.total[accepted] = map[bool]prometheus.Counter{
			false: total.WithLabelValues(origin, "ok"), true: total.WithLabelValues(origin, "failed"),
		}
	}
	insecure := prometheus.NewCounterVec(prometheus.CounterOpts{
		Namespace: namespace, Name: "sessions_insecure_total",
		Help: "Connections that have ended and were not secure: they moved bytes and never had TLS (plain), or somebody accepted a certificate with problems (override).",
	}, []string{"why"})
	c.plain, c.overridden = insecure.WithLabelValues("plain"), insecure.WithLabelValues("override")
	reg.MustRegister(total, insecure)
	c.certificates, c.certOther = newCertificates(reg)
	return c
}

// newCertificates counts each status with the bases that it can have.
func newCertificates(reg *prometheus.Registry) (map[certificateKey]prometheus.Counter, prometheus.Counter) {
	vec := prometheus.NewCounterVec(prometheus.CounterOpts{
		Namespace: namespace, Name: "certificates_total",
		Help: "Verdicts about peers' certificates, and what trust rests on.",
	}, []string{"status", "basis"})
	reg.MustRegister(vec)
	bases := enumOf(pb.CertificateReport_TrustBasis(0).Descriptor())
	all := make(map[certificateKey]prometheus.Counter)
	for number, status := range enumOf(pb.CertificateStatus(0).Descriptor()) {
		for n, basis := range bases {
			key := certificateKey{tlsengine.Status(number), tlsengine.Basis(n)} //nolint:gosec // small enums
			if (key.status == tlsengine.StatusTrusted) != (key.basis == tlsengine.BasisNone) {
				all[key] = vec.WithLabelValues(status, basis)
			}
		}
	}
	return all, vec.WithLabelValues(other, other)
}

// Ended counts a connection that has ended: it is for session.Config.Ended.
func (m *Metrics) Ended(e session.End) {
	c := &m.connections
	c.total[e.Accepted][e.Failure != nil].Inc()
	c.closes.inc(c.causes[int32(e.Cause)])
	if e.Failure != nil {
		c.failures.inc(m.reason(e.Failure))
		m.policy.failed(e.Failure)
	}
	switch {
	case e.TLS != nil:
		c.tls.inc(tlsVersion(e.TLS.Version))
	default:
		c.tls.inc(noTLS)
		if e.Received+e.Sent > 0 {
			c.plain.Inc()
		}
	}
	if e.Status != 0 {
		verdict, ok := c.certificates[certificateKey{e.Status, e.Basis}]
		if !ok {
			verdict = c.certOther
		}
		verdict.Inc()
	}
	if e.Basis == tlsengine.BasisOverride {
		c.overridden.Inc()
	}
	t := &e.Timeline
	for i, span := range [...]*session.Span{&t.DNS, &t.TCP, &t.Handshake, &t.Validation, &t.Revocation} {
		if span.Reached {
			c.phases[i].Observe(span.Duration.Seconds())
		}
	}
	c.duration.Observe(e.Took.Seconds())
	c.received.Observe(float64(e.Received))
	c.sent.Observe(float64(e.Sent))
}
