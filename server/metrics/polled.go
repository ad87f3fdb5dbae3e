package metrics

import (
	"runtime"
	"strings"

	"github.com/prometheus/client_golang/prometheus"

	"securesocket/server/door"
	"securesocket/session"
)

// polled asks at each scrape for what there is now.
type polled struct{ ask []func(emit) }

// emit hands over the value of a metric with its labels.
type emit func(m *polledMetric, value float64, labels ...string)

// polledMetric is a metric whose value is kept elsewhere.
type polledMetric struct {
	desc *prometheus.Desc
	kind prometheus.ValueType
}

func gauge(name, help string, labels ...string) *polledMetric {
	return &polledMetric{prometheus.NewDesc(namespace+"_"+name, help, labels, nil), prometheus.GaugeValue}
}

func total(name, help string, labels ...string) *polledMetric {
	return &polledMetric{prometheus.NewDesc(namespace+"_"+name, help, labels, nil), prometheus.CounterValue}
}

func newPolled(cfg Config) *polled {
	p := &polled{}
	if cfg.Stats != nil {
		p.ask = append(p.ask, askStats(cfg.Stats))
	}
	if cfg.Door != nil {
		p.ask = append(p.ask, askDoor(cfg.Door))
	}
	if cfg.Policy != nil {
		p.ask = append(p.ask, askPolicy(cfg.Policy))
	}
	if cfg.LogLinesDropped != nil {
		lines := total("log_lines_dropped_total", "Lines that the log had no room for.")
		p.ask = append(p.ask, func(e emit) { e(lines, float64(cfg.LogLinesDropped())) })
	}
	if cfg.Memory != nil {
		p.ask = append(p.ask, askMemory(cfg.Memory))
	}
	if cfg.Descriptors != nil {
		p.ask = append(p.ask, askDescriptors(cfg.Descriptors))
	}
	return p
}

// Describe tells nothing: what there is depends on what can be read.
func (p *polled) Describe(chan<- *prometheus.Desc) {}

// Collect asks all sources.
func (p *polled) Collect(ch chan<- prometheus.Metric) {
	for _, ask := range p.ask {
		ask(func(m *polledMetric, value float64, labels ...string) {
			ch <- prometheus.MustNewConstMetric(m.desc, m.kind, value, labels...)
		})
	}
}

func askStats(stats func() session.Stats) func(emit) {
	sessions := gauge("sessions", "Sessions that exist.")
	connections := gauge("connections", "Connections that have not ended.")
	listeners := gauge("listeners", "Listeners that exist.")
	handshakes := gauge("handshakes", "Connects, StartTls and accepted handshakes under way.")
	buffered := gauge("buffered_bytes", "Bytes of all buffers of sessions.")
	owners := gauge("owners", "Callers of whom something is held.")
	received := total("received_bytes_total", "Bytes from peers.")
	sent := total("sent_bytes_total", "Bytes to peers.")
	return func(e emit) {
		s := stats()
		e(sessions, float64(s.Sessions))
		e(connections, float64(s.Connections))
		e(listeners, float64(s.Listeners))
		e(handshakes, float64(s.Handshakes))
		e(buffered, float64(s.Buffered))
		e(owners, float64(s.Owners))
		e(received, float64(s.Received))
		e(sent, float64(s.Sent))
	}
}

func askDoor(stats func() door.Stats) func(emit) {
	open := gauge("api_connections", "Connections to the service.")
	unclaimed := gauge("api_connections_unclaimed", "Those of them that no caller has claimed.")
	callers := gauge("api_callers", "Callers who have the others.")
	accepted := total("api_connections_accepted_total", "Connections to the service that were let in.")
	refused := total("api_connections_refused_total", "Connections to the service that were not, by limit.", "limit")
	closed := total("api_connections_closed_total",
		"Connections that the service closed: for a newcomer (gave_way), because nobody claimed them (expired), for their frames (flooded), for messages that did not end (unfinished).", "why")
	unfinished := gauge("api_unfinished_bytes", "Bytes of messages that callers have begun and not ended.")
	unused := total("api_connections_unused_total", "Connections to the service that ended before any call was allowed: probes, failed TLS handshakes, refused calls.")
	failed := total("api_accept_errors_total", "How often the system refused to hand a connection over.")
	return func(e emit) {
		s := stats()
		e(open, float64(s.Open))
		e(unclaimed, float64(s.Unclaimed))
		e(callers, float64(s.Callers))
		e(accepted, float64(s.Accepted))
		for _, l := range doorLimits {
			e(refused, float64(s.Refused[l]), string(l))
		}
		e(closed, float64(s.GaveWay), "gave_way")
		e(closed, float64(s.Expired), "expired")
		e(closed, float64(s.Flooded), "flooded")
		e(closed, float64(s.Hoarded), "unfinished")
		e(unfinished, float64(s.Unfinished))
		e(unused, float64(s.Unused))
		e(failed, float64(s.AcceptErrors))
	}
}

func askPolicy(policy func() Policy) func(emit) {
	info := gauge("policy_info", "1, with the revision of the egress policy that is in force.", "revision")
	loaded := gauge("policy_loaded_timestamp_seconds", "When it was loaded.")
	return func(e emit) {
		p := policy()
		e(info, 1, strings.ToValidUTF8(p.Revision, "?"))
		if !p.Loaded.IsZero() {
			e(loaded, float64(p.Loaded.UnixMilli())/1000)
		}
	}
}

func askMemory(memory func() (used, limit int64)) func(emit) {
	used := gauge("memory_used_bytes", "Memory of the process, as it counts for its limit.")
	most := gauge("memory_limit_bytes", "What it may have.")
	return func(e emit) {
		u, l := memory()
		e(used, float64(u))
		e(most, float64(l))
	}
}

func askDescriptors(count func() (open, limit int, err error)) func(emit) {
	open := gauge("descriptors_open", "Descriptors that the process has open.")
	most := gauge("descriptors_limit", "How many it may have.")
	return func(e emit) {
		o, l, err := count()
		if err != nil {
			return
		}
		e(open, float64(o))
		e(most, float64(l))
	}
}

// buildInfo says which program this is.
func buildInfo(version string) prometheus.Collector {
	return prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Namespace: namespace, Name: "build_info", Help: "1, with the version of the program and of Go.",
		ConstLabels: prometheus.Labels{"version": version, "goversion": runtime.Version()},
	}, func() float64 { return 1 })
}
