package metrics

import (
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// namespace begins the name of every metric of ours.
const namespace = "securesocket"

// other labels what is not in a closed set.
const other = "OTHER"

// counters are those of one metric, one for each value of its only label. All exist
// from the beginning and none is added later.
type counters struct {
	by    map[string]prometheus.Counter // not changed after newCounters
	other prometheus.Counter
}

func newCounters(reg *prometheus.Registry, name, help, label string, values []string) *counters {
	vec := prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: namespace, Name: name, Help: help}, []string{label})
	reg.MustRegister(vec)
	c := &counters{by: make(map[string]prometheus.Counter, len(values)), other: vec.WithLabelValues(other)}
	for _, v := range values {
		c.by[v] = vec.WithLabelValues(v)
	}
	return c
}

func (c *counters) inc(value string) {
	if one, ok := c.by[value]; ok {
		one.Inc()
		return
	}
	c.other.Inc()
}

func newCounter(reg *prometheus.Registry, name, help string) prometheus.Counter {
	c := prometheus.NewCounter(prometheus.CounterOpts{Namespace: namespace, Name: name, Help: help})
	reg.MustRegister(c)
	return c
}

// newObservers returns the histograms of one metric, one for each value of its only label.
func newObservers(reg *prometheus.Registry, name, help, label string, buckets []float64, values ...string) []prometheus.Observer {
	vec := prometheus.NewHistogramVec(prometheus.HistogramOpts{Namespace: namespace, Name: name, Help: help, Buckets: buckets}, []string{label})
	reg.MustRegister(vec)
	all := make([]prometheus.Observer, len(values))
	for i, v := range values {
		all[i] = vec.WithLabelValues(v)
	}
	return all
}

// enum is an enum of the contract, whose numbers the rooms below share.
type enum map[int32]string

// enumOf has the names of all values but the unspecified one, without their prefix.
func enumOf(d protoreflect.EnumDescriptor) enum {
	values := d.Values()
	prefix := strings.TrimSuffix(string(values.Get(0).Name()), "UNSPECIFIED")
	names := make(enum, values.Len())
	for i := 1; i < values.Len(); i++ {
		names[int32(values.Get(i).Number())] = strings.TrimPrefix(string(values.Get(i).Name()), prefix)
	}
	return names
}

func (e enum) all() []string {
	names := make([]string, 0, len(e))
	for _, n := range e {
		names = append(names, n)
	}
	return names
}
