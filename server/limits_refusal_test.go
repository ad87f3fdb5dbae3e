package server_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"securesocket/server/servertest"
)

// refusal is what a caller is told whom a limit stops.
type refusal struct {
	reason   string
	what     string
	limit    string        // empty: no number
	retry    time.Duration // 0: time alone does not help
	subjects []string      // of the QuotaFailure
}

// refusalOf reads it of an RPC's error, which has to be RESOURCE_EXHAUSTED.
func refusalOf(tb testing.TB, err error) refusal {
	tb.Helper()
	reason, metadata := infoOf(tb, err)
	require.Equal(tb, codes.ResourceExhausted, status.Code(err), "%v", err)
	r := refusal{reason: reason, what: metadata["what"], limit: metadata["limit"]}
	for _, d := range status.Convert(err).Details() {
		switch d := d.(type) {
		case *errdetails.RetryInfo:
			r.retry = d.GetRetryDelay().AsDuration()
			require.Positive(tb, r.retry)
		case *errdetails.QuotaFailure:
			for _, v := range d.GetViolations() {
				r.subjects = append(r.subjects, v.GetSubject())
			}
		}
	}
	return r
}

// requireLimit wants a LIMIT about what, of so many. later: it says when to try again.
func requireLimit(tb testing.TB, err error, what, limit string, later bool) refusal {
	tb.Helper()
	r := refusalOf(tb, err)
	require.Equal(tb, refusal{reason: "LIMIT", what: what, limit: limit, retry: r.retry, subjects: []string{what}}, r)
	require.Equal(tb, later, r.retry > 0, "RetryInfo of %v", r.retry)
	return r
}

// requireNone wants LOCAL_RESOURCES: the machine has no what left.
func requireNone(tb testing.TB, err error, what string) {
	tb.Helper()
	r := refusalOf(tb, err)
	require.Equal(tb, refusal{reason: "LOCAL_RESOURCES", what: what, retry: r.retry}, r)
	require.Positive(tb, r.retry)
}

// givenBack waits until connections hold nothing.
func givenBack(tb testing.TB, svc *servertest.Service) {
	tb.Helper()
	require.Eventually(tb, func() bool {
		s := svc.Registry.Stats()
		return s.Connections == 0 && s.Handshakes == 0 && s.Buffered == 0
	}, patience, 2*time.Millisecond, "%+v", svc.Registry.Stats())
}
