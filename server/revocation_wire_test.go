package server_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/ocsp"
	"google.golang.org/protobuf/types/known/durationpb"

	pb "securesocket/gen/securesocket/v1"
	"securesocket/server"
	"securesocket/server/servertest"
	"securesocket/session"
	"securesocket/tlsengine/forge"
	"securesocket/tlsengine/tlstest"
)

const (
	notAsked = pb.RevocationMode_REVOCATION_MODE_OFF
	soft     = pb.RevocationMode_REVOCATION_MODE_SOFT
	hard     = pb.RevocationMode_REVOCATION_MODE_HARD

	good       = pb.RevocationResult_OUTCOME_GOOD
	revoked    = pb.RevocationResult_OUTCOME_REVOKED
	notChecked = pb.RevocationResult_OUTCOME_NOT_CHECKED

	nowhere     = pb.RevocationResult_SOURCE_UNSPECIFIED
	fromStaple  = pb.RevocationResult_SOURCE_STAPLE
	fromOCSP    = pb.RevocationResult_SOURCE_OCSP
	fromCRL     = pb.RevocationResult_SOURCE_CRL
	fromCache   = pb.RevocationResult_SOURCE_CACHE
	wasRevoked  = pb.CertificateProblemCode_CERTIFICATE_PROBLEM_CODE_CERTIFICATE_REVOKED
	notKnown    = pb.CertificateProblemCode_CERTIFICATE_PROBLEM_CODE_REVOCATION_UNKNOWN
	wantsStaple = pb.CertificateProblemCode_CERTIFICATE_PROBLEM_CODE_STAPLE_REQUIRED
)

// publisher is an HTTP server of an authority. What it has no answer for is 404.
type publisher struct {
	url  string
	port string

	mu      sync.Mutex
	answers map[string]http.HandlerFunc
	asked   map[string]int
}

func publish(tb testing.TB) *publisher {
	tb.Helper()
	p := &publisher{answers: make(map[string]http.HandlerFunc), asked: make(map[string]int)}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.mu.Lock()
		p.asked[r.URL.Path]++
		answer := p.answers[r.URL.Path]
		p.mu.Unlock()
		if answer == nil {
			http.NotFound(w, r)
			return
		}
		answer(w, r)
	}))
	tb.Cleanup(s.Close)
	p.url = s.URL
	_, p.port, _ = net.SplitHostPort(strings.TrimPrefix(s.URL, "http://"))
	return p
}

func (p *publisher) at(path string, answer http.HandlerFunc) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.answers[path] = answer
}

func (p *publisher) times(path string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.asked[path]
}

func bytesAt(der []byte) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(der) }
}

// stapling is an echo server with a leaf and an OCSP response beside it.
func stapling(tb testing.TB, id *tlstest.Identity, staple []byte) string {
	tb.Helper()
	cert := id.Certificate()
	cert.OCSPStaple = staple
	return tlstest.Serve(tb, &tls.Config{Certificates: []tls.Certificate{cert}}, tlstest.Echo)
}

func checking(mode pb.RevocationMode) *pb.SessionSettings {
	return &pb.SessionSettings{Tls: &pb.TlsSettings{Revocation: mode}}
}

// countedDials counts who is dialled, by address.
func countedDials() (servertest.Option, func() map[string]int) {
	var mu sync.Mutex
	dials := make(map[string]int)
	return func(sc *session.Config, _ *server.Config) {
			sc.Dial = func(ctx context.Context, d *net.Dialer, addr string) (net.Conn, error) {
				mu.Lock()
				dials[addr]++
				mu.Unlock()
				return d.DialContext(ctx, "tcp", addr)
			}
		}, func() map[string]int {
			mu.Lock()
			defer mu.Unlock()
			out := make(map[string]int)
			for addr, n := range dials {
				out[addr] = n
			}
			return out
		}
}

// evidence is what an authority and a peer say about a leaf.
type evidence struct {
	options []tlstest.Option
	staple  func(ca *tlstest.CA, leaf *x509.Certificate) []byte
	crl     func(ca *tlstest.CA, leaf *x509.Certificate) []byte
	ocsp    func(ca *tlstest.CA, leaf *x509.Certificate) []byte
}

// serve mints a leaf with this evidence and serves it.
func (e evidence) serve(tb testing.TB, ca *tlstest.CA, p *publisher) string {
	tb.Helper()
	opts := e.options
	if e.crl != nil {
		opts = append(opts, forge.CRLDistributionPoint(p.url+"/crl"))
	}
	if e.ocsp != nil {
		opts = append(opts, forge.OCSPServer(p.url+"/ocsp"))
	}
	leaf := ca.Leaf(opts...)
	var staple []byte
	if e.staple != nil {
		staple = e.staple(ca, leaf.Leaf)
	}
	if e.crl != nil {
		p.at("/crl", bytesAt(e.crl(ca, leaf.Leaf)))
	}
	if e.ocsp != nil {
		p.at("/ocsp", bytesAt(e.ocsp(ca, leaf.Leaf)))
	}
	return stapling(tb, leaf, staple)
}

// The ways to say it.
func answered(a forge.Answer) func(*tlstest.CA, *x509.Certificate) []byte {
	return func(ca *tlstest.CA, leaf *x509.Certificate) []byte {
		about := a // the tests that share it run beside each other
		about.Serial = leaf.SerialNumber
		return ca.OCSP(about)
	}
}

func listing(l forge.List, revokes bool) func(*tlstest.CA, *x509.Certificate) []byte {
	return func(ca *tlstest.CA, leaf *x509.Certificate) []byte {
		about := l
		if revokes {
			about.Revoked = []*x509.Certificate{leaf}
		}
		return ca.CRL(about)
	}
}

var (
	past         = func() time.Time { return time.Now().Add(-time.Hour) }
	says         = answered(forge.Answer{})
	saysRevoked  = answered(forge.Answer{Status: ocsp.Revoked})
	saysUnknown  = answered(forge.Answer{Status: ocsp.Unknown})
	saidLongAgo  = answered(forge.Answer{ThisUpdate: time.Now().Add(-48 * time.Hour), NextUpdate: past()})
	lists        = listing(forge.List{}, false)
	listsRevoked = listing(forge.List{}, true)
	listedBefore = listing(forge.List{ThisUpdate: time.Now().Add(-48 * time.Hour), NextUpdate: past()}, true)
	garbage      = func(*tlstest.CA, *x509.Certificate) []byte { return []byte("garbage") }
)

func TestRevocation(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		evidence
		outcome pb.RevocationResult_Outcome
		source  pb.RevocationResult_Source
	}{
		"staple, good":            {evidence{staple: says}, good, fromStaple},
		"staple, revoked":         {evidence{staple: saysRevoked}, revoked, fromStaple},
		"staple, expired":         {evidence{staple: saidLongAgo}, notChecked, nowhere},
		"staple, unknown":         {evidence{staple: saysUnknown}, notChecked, nowhere},
		"staple, garbage":         {evidence{staple: garbage}, notChecked, nowhere},
		"CRL, good":               {evidence{crl: lists}, good, fromCRL},
		"CRL, revoked":            {evidence{crl: listsRevoked}, revoked, fromCRL},
		"CRL, expired":            {evidence{crl: listedBefore}, notChecked, nowhere},
		"CRL, garbage":            {evidence{crl: garbage}, notChecked, nowhere},
		"OCSP, good":              {evidence{ocsp: says}, good, fromOCSP},
		"OCSP, revoked":           {evidence{ocsp: saysRevoked}, revoked, fromOCSP},
		"OCSP, unknown":           {evidence{ocsp: saysUnknown}, notChecked, nowhere},
		"OCSP, expired":           {evidence{ocsp: saidLongAgo}, notChecked, nowhere},
		"nothing":                 {evidence{}, notChecked, nowhere},
		"the CRL, then OCSP":      {evidence{crl: garbage, ocsp: says}, good, fromOCSP},
		"expired staple, CRL":     {evidence{staple: saidLongAgo, crl: listsRevoked}, revoked, fromCRL},
		"revoked staple, CRL":     {evidence{staple: saysRevoked, crl: lists}, revoked, fromStaple},
		"must-staple with staple": {evidence{options: []tlstest.Option{forge.MustStaple()}, staple: says}, good, fromStaple},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ca, p := tlstest.NewCA(t), publish(t)
			addr := tc.serve(t, ca, p)
			c := servertest.Start(t).Client(t)

			s := newIdle(t.Context(), t, c, ca, checking(notAsked))
			connectTo(t.Context(), t, c, s, addr)
			report := certificateStatus(t, c, s).GetReport()
			require.Empty(t, report.GetRevocation())
			require.NotEmpty(t, report.GetWarnings(), "it was not checked, and that is said")
			require.Zero(t, p.times("/crl")+p.times("/ocsp"))
			require.Nil(t, getSession(t.Context(), t, c, s).GetTimeline().GetRevocation())

			for mode, unknown := range map[pb.RevocationMode]string{soft: "", hard: "REVOCATION_UNAVAILABLE", 0: ""} {
				s := newIdle(t.Context(), t, c, ca, checking(mode))
				_, err := tryConnect(t.Context(), t, c, s, addr)
				want := map[pb.RevocationResult_Outcome]string{good: "", revoked: "CERTIFICATE_REVOKED", notChecked: unknown}[tc.outcome]
				if want == "" {
					require.NoError(t, err)
				} else {
					require.Equal(t, want, reasonOf(t, err))
				}
				report := certificateStatus(t, c, s).GetReport()
				require.Len(t, report.GetRevocation(), 1, "the leaf, and not the anchor")
				result := report.GetRevocation()[0]
				require.Zero(t, result.GetDepth())
				require.Equal(t, tc.outcome, result.GetOutcome(), result.GetDetail())
				if result.GetSource() != fromCache {
					require.Equal(t, tc.source, result.GetSource())
				}
				switch tc.outcome {
				case good:
					require.NotNil(t, result.GetThisUpdateTime())
					require.NotNil(t, result.GetNextUpdateTime())
					require.Equal(t, pb.CertificateReport_TRUST_BASIS_VALIDATED, report.GetTrustBasis())
				case revoked:
					require.NotNil(t, result.GetRevokedTime())
					require.Equal(t, pb.CertificateStatus_CERTIFICATE_STATUS_REVOKED, report.GetStatus())
					require.Equal(t, map[pb.CertificateProblemCode]int32{wasRevoked: 0}, problemsOf(report))
				case notChecked:
					require.NotEmpty(t, result.GetDetail(), "why")
					if mode == hard {
						require.Equal(t, map[pb.CertificateProblemCode]int32{notKnown: 0}, problemsOf(report))
						require.Equal(t, pb.CertificateStatus_CERTIFICATE_STATUS_UNKNOWN, report.GetStatus())
					} else {
						require.NotEmpty(t, report.GetWarnings())
					}
				}
				require.NotNil(t, getSession(t.Context(), t, c, s).GetTimeline().GetRevocation())
			}
			require.LessOrEqual(t, p.times("/crl"), 1, "what was said is remembered")
			require.LessOrEqual(t, p.times("/ocsp"), 1)
		})
	}
}

// Every certificate below the anchor is asked about.
func TestRevocationOfAnAuthority(t *testing.T) {
	t.Parallel()
	root, p := tlstest.NewCA(t), publish(t)
	between := root.Intermediate(forge.CRLDistributionPoint(p.url + "/root.crl"))
	leaf := between.Leaf(forge.OCSPServer(p.url + "/ocsp"))
	addr := serveChain(t, leaf)
	p.at("/ocsp", bytesAt(says(between, leaf.Leaf)))
	connect := func(mode pb.RevocationMode) (*pb.CertificateReport, error) {
		c := servertest.Start(t).Client(t) // with nothing remembered
		s := newIdle(t.Context(), t, c, root, checking(mode))
		_, err := tryConnect(t.Context(), t, c, s, addr)
		return certificateStatus(t, c, s).GetReport(), err
	}
	report, err := connect(hard)
	require.Equal(t, "REVOCATION_UNAVAILABLE", reasonOf(t, err))
	require.Equal(t, map[pb.CertificateProblemCode]int32{notKnown: 1}, problemsOf(report))
	require.Equal(t, good, report.GetRevocation()[0].GetOutcome())
	require.Equal(t, notChecked, report.GetRevocation()[1].GetOutcome())
	require.EqualValues(t, 1, report.GetRevocation()[1].GetDepth())
	_, err = connect(soft)
	require.NoError(t, err)

	p.at("/root.crl", bytesAt(root.CRL(forge.List{})))
	report, err = connect(hard)
	require.NoError(t, err)
	require.Len(t, report.GetRevocation(), 2)

	p.at("/root.crl", bytesAt(root.CRL(forge.List{Revoked: []*x509.Certificate{between.Certificate}})))
	for _, mode := range []pb.RevocationMode{soft, hard} {
		report, err = connect(mode)
		require.Equal(t, "CERTIFICATE_INVALID_CHAIN", reasonOf(t, err))
		require.Equal(t, map[pb.CertificateProblemCode]int32{wasRevoked: 1}, problemsOf(report))
	}
	_, err = connect(notAsked)
	require.NoError(t, err)
}

func TestMustStaple(t *testing.T) {
	t.Parallel()
	for name, e := range map[string]evidence{
		"nothing":          {},
		"an expired one":   {staple: saidLongAgo},
		"OCSP says good":   {ocsp: says},
		"a CRL says good":  {crl: lists},
		"garbage":          {staple: garbage},
		"one that unknows": {staple: saysUnknown},
	} {
		ca, p := tlstest.NewCA(t), publish(t)
		e.options = []tlstest.Option{forge.MustStaple()}
		addr := e.serve(t, ca, p)
		c := servertest.Start(t).Client(t)
		for _, mode := range []pb.RevocationMode{soft, hard} {
			s := newIdle(t.Context(), t, c, ca, checking(mode))
			_, err := tryConnect(t.Context(), t, c, s, addr)
			require.Equal(t, "CERTIFICATE_UNDETERMINED", reasonOf(t, err), name)
			v := certificateStatus(t, c, s)
			require.Equal(t, pb.CertificateStatus_CERTIFICATE_STATUS_UNKNOWN, v.GetStatus(), name)
			require.Contains(t, problemsOf(v.GetReport()), wantsStaple, name)
		}
		connectTo(t.Context(), t, c, newIdle(t.Context(), t, c, ca, checking(notAsked)), addr)
	}
}

// Nothing is fetched for a chain that reaches no anchor: else anybody could make
// the service ask anybody.
func TestUntrustedChainsFetchNothing(t *testing.T) {
	t.Parallel()
	ca, p := tlstest.NewCA(t), publish(t)
	addr := serveChain(t, ca.Leaf(forge.CRLDistributionPoint(p.url+"/crl"), forge.OCSPServer(p.url+"/ocsp"), forge.IssuerURL(p.url+"/issuer")))
	c := servertest.Start(t).Client(t)
	s := newIdle(t.Context(), t, c, nil, checking(hard))
	_, err := tryConnect(t.Context(), t, c, s, addr)
	require.Equal(t, "CERTIFICATE_UNTRUSTED_SIGNERS", reasonOf(t, err))
	p.mu.Lock()
	defer p.mu.Unlock()
	require.Empty(t, p.asked)
}

// One problem does not hide another: who would accept a wrong name knows that the
// certificate was revoked.
func TestRevokedAndOfAnotherName(t *testing.T) {
	t.Parallel()
	ca, p := tlstest.NewCA(t), publish(t)
	addr := evidence{options: []tlstest.Option{tlstest.Names("other.example")}, crl: listsRevoked}.serve(t, ca, p)
	c := servertest.Start(t).Client(t)
	s := newIdle(t.Context(), t, c, ca)
	_, err := tryConnect(t.Context(), t, c, s, addr)
	require.Equal(t, "CERTIFICATE_REVOKED", reasonOf(t, err))
	require.Equal(t, map[pb.CertificateProblemCode]int32{
		wasRevoked: 0, pb.CertificateProblemCode_CERTIFICATE_PROBLEM_CODE_HOST_NAME_MISMATCH: 0,
	}, problemsOf(certificateStatus(t, c, s).GetReport()))
}

func TestTimelineOfRevocation(t *testing.T) {
	t.Parallel()
	ca, p := tlstest.NewCA(t), publish(t)
	p.at("/crl", bytesAt(ca.CRL(forge.List{})))
	addr := serveChain(t, ca.Leaf(forge.CRLDistributionPoint(p.url+"/crl")))
	c := servertest.Start(t).Client(t)
	line := connectTo(t.Context(), t, c, newIdle(t.Context(), t, c, ca), addr).GetSession().GetTimeline()
	end := func(s *pb.Span) time.Duration { return s.GetStart().AsDuration() + s.GetDuration().AsDuration() }
	require.Positive(t, line.GetRevocation().GetDuration().AsDuration())
	require.GreaterOrEqual(t, line.GetRevocation().GetStart().AsDuration(), line.GetValidation().GetStart().AsDuration())
	require.GreaterOrEqual(t, line.GetValidation().GetStart().AsDuration(), line.GetHandshake().GetStart().AsDuration())
	require.LessOrEqual(t, end(line.GetRevocation()), end(line.GetHandshake()), "it lies inside")
}

// A caller who goes does not wait for a slow authority; nor does the connection.
func TestCancelledWhileAnAuthorityIsAsked(t *testing.T) {
	t.Parallel()
	ca, p := tlstest.NewCA(t), publish(t)
	asked, release := make(chan struct{}), make(chan struct{})
	p.at("/crl", func(w http.ResponseWriter, r *http.Request) {
		close(asked)
		select {
		case <-r.Context().Done():
		case <-release:
		}
		_, _ = io.WriteString(w, "late")
	})
	t.Cleanup(func() { close(release) })
	addr := serveChain(t, ca.Leaf(forge.CRLDistributionPoint(p.url+"/crl")))
	c := servertest.Start(t).Client(t)
	s := newIdle(t.Context(), t, c, ca, checking(hard))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	over := make(chan error, 1)
	go func() {
		_, err := tryConnect(ctx, t, c, s, addr)
		over <- err
	}()
	<-asked
	cancel()
	require.Error(t, <-over)
	resp, err := c.Wait(t.Context(), &pb.WaitRequest{SessionId: s.id, Condition: pb.WaitRequest_CONDITION_DISCONNECTED, Timeout: durationpb.New(patience)})
	require.NoError(t, err)
	require.True(t, resp.GetReached())
	require.Equal(t, pb.ErrorReason_ERROR_REASON_CANCELLED, getSession(t.Context(), t, c, s).GetLastError().GetReason())
	_, err = c.UpdateSession(t.Context(), &pb.UpdateSessionRequest{SessionId: s.id, Settings: checking(soft)})
	require.NoError(t, err)
	stillWorks(t.Context(), t, c, s, serveChain(t, ca.Leaf()))
}
