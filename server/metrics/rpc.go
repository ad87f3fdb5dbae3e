package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/reflect/protoreflect"

	pb "securesocket/gen/securesocket/v1"
)

// MaxRPCSeries is how many series RPCs may have: of each method one for each of gRPC's
// 17 codes that it has ended with, and one for others; and of each unary one a histogram
// of ten.
const MaxRPCSeries = 30 * 28

// rpcBuckets are few, since each is there for every method. What waits for a peer or a
// caller has its time there, not in the service.
var rpcBuckets = []float64{.001, .005, .025, .1, .5, 2.5, 10}

// rpcCounters count RPCs of our services.
type rpcCounters struct {
	handled *prometheus.CounterVec   // by method and code
	seconds *prometheus.HistogramVec // by method, of unary ones
	errors  *counters                // by reason
}

func newRPCCounters(reg *prometheus.Registry) rpcCounters {
	c := rpcCounters{
		handled: prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: namespace, Name: "rpcs_total", Help: "RPCs that have ended, by method and code.",
		}, []string{"method", "code"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Namespace: namespace, Name: "rpc_seconds", Help: "How long unary RPCs took.", Buckets: rpcBuckets,
		}, []string{"method"}),
		errors: newCounters(reg, "rpc_errors_total",
			"RPCs that ended with an error, by the reason that the caller was told.", "reason", reasons()),
	}
	reg.MustRegister(c.handled, c.seconds)
	return c
}

// method is one of the contract.
type method struct {
	name  string // Service/Method
	unary bool
}

// ours are the methods of the contract, by their full names.
var ours = methods(
	pb.File_securesocket_v1_secure_socket_service_proto, pb.File_securesocket_v1_listener_service_proto,
	pb.File_securesocket_v1_trust_service_proto, pb.File_securesocket_v1_diagnostic_service_proto,
)

func methods(files ...protoreflect.FileDescriptor) map[string]method {
	all := make(map[string]method)
	for _, file := range files {
		for i := range file.Services().Len() {
			service := file.Services().Get(i)
			for j := range service.Methods().Len() {
				m := service.Methods().Get(j)
				all["/"+string(service.FullName())+"/"+string(m.Name())] = method{
					string(service.Name()) + "/" + string(m.Name()), !m.IsStreamingClient() && !m.IsStreamingServer(),
				}
			}
		}
	}
	return all
}

// Handled counts an RPC that has ended: its full name, what its caller is told, and how
// long it took. It makes a Metrics what server.Config.Metrics takes.
func (m *Metrics) Handled(fullMethod string, err error, took time.Duration) {
	rpc, known := ours[fullMethod]
	if !known {
		return
	}
	m.rpcs.handled.WithLabelValues(rpc.name, codeLabel(status.Code(err))).Inc()
	if rpc.unary {
		m.rpcs.seconds.WithLabelValues(rpc.name).Observe(took.Seconds())
	}
	if err != nil {
		m.told(err)
	}
}

// codeLabel is one of gRPC's codes: others can be made, and each would be a series.
func codeLabel(c codes.Code) string {
	if c > codes.Unauthenticated {
		return other
	}
	return c.String()
}

// The reasons that a limit has, without their prefix.
const (
	limitReason     = "LIMIT"
	resourcesReason = "LOCAL_RESOURCES"
)

// told counts the reason that a caller was told, and the limit where it was one.
func (m *Metrics) told(err error) {
	for _, detail := range status.Convert(err).Details() {
		info, ok := detail.(*errdetails.ErrorInfo)
		if !ok {
			continue
		}
		reason := info.GetReason()
		m.rpcs.errors.inc(reason)
		if reason == limitReason || reason == resourcesReason {
			m.Refused(info.GetMetadata()["what"])
		}
		return
	}
	m.rpcs.errors.inc(other)
}
