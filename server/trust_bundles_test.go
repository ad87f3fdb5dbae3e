package server_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	pb "securesocket/gen/securesocket/v1"
	"securesocket/server"
	"securesocket/server/servertest"
	"securesocket/session"
	"securesocket/tlsengine/tlstest"
)

func TestBundles(t *testing.T) {
	t.Parallel()
	first, second, third := tlstest.NewCA(t), tlstest.NewCA(t), tlstest.NewCA(t)
	svc := servertest.Start(t, systemOf(), func(sc *session.Config, _ *server.Config) {
		sc.Bundles = map[string][]*x509.Certificate{"corporate": {first.Certificate, second.Certificate}, "none": {}}
	})
	k := newTrustClients(t, svc)
	ctx := t.Context()
	ders := func(scope pb.TrustScope, id string) (out []string) {
		for _, e := range entriesOf(k.listed(ctx, scope, id, 0)) {
			out = append(out, e.der)
		}
		return out
	}
	three := []string{string(first.DER()), string(second.DER()), string(third.DER())}
	for name, bundle := range map[string][][]byte{
		"PEM":        {[]byte("The authorities of our house\r\n"), first.PEM(), []byte("# and\n"), second.PEM(), third.PEM(), first.PEM()},
		"DER":        {first.DER(), second.DER(), third.DER(), first.DER()},
		"Windows":    {[]byte("\xef\xbb\xbf"), bytes.ReplaceAll(first.PEM(), []byte("\n"), []byte("\r\n")), second.PEM(), third.PEM()},
		"no newline": {first.PEM(), second.PEM(), bytes.TrimSpace(third.PEM())},
	} {
		resp := k.add(ctx, ofDefaults, "", true, bundle...)
		require.EqualValues(t, 3, resp.GetAddedCount(), name)
		require.EqualValues(t, 3, resp.GetCount(), "%s: the same one again does not count", name)
		require.Equal(t, three, ders(ofDefaults, ""), name)
		k.reset(ctx, ofDefaults, "")
	}

	s := newIdle(ctx, t, k.c, nil)
	resp, err := k.t.AddCertificates(ctx, &pb.AddCertificatesRequest{Scope: ofSession, SessionId: s.id, BundleRef: "corporate", Trusted: true})
	require.NoError(t, err)
	require.EqualValues(t, 2, resp.GetAddedCount())
	k.requireJudged(ctx, s, serveChain(t, second.Leaf()), true, "session", first, second)
	set, err := k.t.SetCertificates(ctx, &pb.SetCertificatesRequest{Scope: ofDefaults, BundleRef: "corporate"})
	require.NoError(t, err)
	require.EqualValues(t, 2, set.GetCount())
	require.Equal(t, three[:2], ders(ofDefaults, ""))
	set, err = k.t.SetCertificates(ctx, &pb.SetCertificatesRequest{Scope: ofDefaults})
	require.NoError(t, err)
	require.Zero(t, set.GetCount())
	require.Empty(t, ders(ofDefaults, ""))
}

func TestRefusedBundles(t *testing.T) {
	t.Parallel()
	ca := tlstest.NewCA(t)
	k := newTrustClients(t, servertest.Start(t, systemOf(), func(sc *session.Config, _ *server.Config) {
		sc.Bundles = map[string][]*x509.Certificate{"corporate": {ca.Certificate}}
	}))
	s := newIdle(t.Context(), t, k.c, nil)
	key := ca.Leaf().KeyPEM()
	for name, tc := range map[string]struct {
		reason string
		bundle []byte
		ref    string
	}{
		"a key":               {"INVALID_CERTIFICATE", key, ""},
		"a key behind":        {"INVALID_CERTIFICATE", append(ca.PEM(), key...), ""},
		"garbage":             {"INVALID_CERTIFICATE", []byte("garbage"), ""},
		"zeros":               {"INVALID_CERTIFICATE", make([]byte, 1000), ""},
		"DER that is cut":     {"INVALID_CERTIFICATE", ca.DER()[:100], ""},
		"PEM that is cut":     {"INVALID_CERTIFICATE", ca.PEM()[:200], ""},
		"DER and more":        {"INVALID_CERTIFICATE", append(ca.DER(), 'x'), ""},
		"bundle and ref":      {"INVALID_FIELD", ca.DER(), "corporate"},
		"an unknown ref":      {"INVALID_FIELD", nil, "nobody's"},
		"more than 2 MiB":     {"INVALID_CERTIFICATE", make([]byte, 2<<20+1), ""},
		"a request too large": {"INVALID_FIELD", make([]byte, 3<<20), ""},
	} {
		for scope, id := range map[pb.TrustScope]string{ofSession: s.id, ofDefaults: ""} {
			_, err := k.t.AddCertificates(t.Context(), &pb.AddCertificatesRequest{Scope: scope, SessionId: id, Bundle: tc.bundle, BundleRef: tc.ref, Trusted: true})
			require.Equal(t, tc.reason, reasonOf(t, err), name)
			require.Equal(t, codes.InvalidArgument, status.Code(err), name)
			require.NotContains(t, status.Convert(err).Message(), "PRIVATE", name)
			_, err = k.t.SetCertificates(t.Context(), &pb.SetCertificatesRequest{Scope: scope, SessionId: id, Bundle: tc.bundle, BundleRef: tc.ref})
			require.Equal(t, tc.reason, reasonOf(t, err), name)
		}
	}
	_, err := k.t.AddCertificates(t.Context(), &pb.AddCertificatesRequest{Scope: ofDefaults, Trusted: true})
	require.Equal(t, "INVALID_CERTIFICATE", reasonOf(t, err), "nothing to add")
	for name, req := range map[string]*pb.AddCertificatesRequest{
		"no scope":                  {Bundle: ca.DER()},
		"an unknown scope":          {Scope: 9, Bundle: ca.DER()},
		"a session without its ID":  {Scope: ofSession, Bundle: ca.DER()},
		"an ID beside the defaults": {Scope: ofDefaults, SessionId: s.id, Bundle: ca.DER()},
	} {
		_, err := k.t.AddCertificates(t.Context(), req)
		require.Equal(t, "INVALID_FIELD", reasonOf(t, err), name)
		_, err = k.t.SetCertificates(t.Context(), &pb.SetCertificatesRequest{Scope: req.GetScope(), SessionId: req.GetSessionId()})
		require.Equal(t, "INVALID_FIELD", reasonOf(t, err), name)
		_, err = k.t.ResetCertificates(t.Context(), &pb.ResetCertificatesRequest{Scope: req.GetScope(), SessionId: req.GetSessionId()})
		require.Equal(t, "INVALID_FIELD", reasonOf(t, err), name)
		_, err = k.t.ListCertificates(t.Context(), &pb.ListCertificatesRequest{Scope: req.GetScope(), SessionId: req.GetSessionId()})
		require.Equal(t, "INVALID_FIELD", reasonOf(t, err), name)
	}
	require.Empty(t, k.listed(t.Context(), ofSession, s.id, 0), "all of it or nothing")
}

// manyCertificates are authorities that differ, of one key.
func manyCertificates(tb testing.TB, n int) [][]byte {
	tb.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(tb, err)
	out := make([][]byte, n)
	for i := range out {
		out[i] = tlstest.NewCA(tb, tlstest.Key(key)).DER()
	}
	return out
}

func TestListedCertificatesComeInPages(t *testing.T) {
	t.Parallel()
	k := newTrustClients(t, servertest.Start(t, systemOf(tlstest.NewCA(t))))
	ctx := t.Context()
	many := manyCertificates(t, 120)
	k.add(ctx, ofDefaults, "", true, many...)
	for _, size := range []int32{0, 1, 40, 60, 1000} {
		var got [][]byte
		for _, c := range k.listed(ctx, ofDefaults, "", cmpOr(size, 50))[1:] {
			got = append(got, c.GetCertificate().GetDer())
		}
		require.Equal(t, many, got, "pages of %d", size)
	}
	first, err := k.t.ListCertificates(ctx, &pb.ListCertificatesRequest{Scope: ofDefaults})
	require.NoError(t, err)
	require.Len(t, first.GetCertificates(), 50, "the default")
	require.NotEmpty(t, first.GetNextPageToken())

	// The list may have changed since: that is told, and nothing is left out in silence.
	k.reset(ctx, ofDefaults, "")
	_, err = k.t.ListCertificates(ctx, &pb.ListCertificatesRequest{Scope: ofDefaults, PageToken: first.GetNextPageToken()})
	require.Equal(t, "INVALID_FIELD", reasonOf(t, err))
	for _, bad := range []*pb.ListCertificatesRequest{{Scope: ofDefaults, PageSize: -1}, {Scope: ofDefaults, PageSize: 1001}, {Scope: ofDefaults, PageToken: "?"}} {
		_, err := k.t.ListCertificates(ctx, bad)
		require.Equal(t, "INVALID_FIELD", reasonOf(t, err))
	}
}

// cmpOr is cmp.Or for a page size that is asked for.
func cmpOr(size, otherwise int32) int32 {
	if size == 0 {
		return otherwise
	}
	return size
}

func TestLargePagesEndEarly(t *testing.T) {
	t.Parallel()
	k := newTrustClients(t, servertest.Start(t, systemOf()))
	var large [][]byte
	for range 60 {
		large = append(large, tlstest.NewCA(t, tlstest.Padding(30<<10)).DER())
	}
	k.add(t.Context(), ofDefaults, "", true, large...)
	seen, pages := 0, 0
	for token := ""; ; pages++ {
		resp, err := k.t.ListCertificates(t.Context(), &pb.ListCertificatesRequest{Scope: ofDefaults, PageSize: 1000, PageToken: token})
		require.NoError(t, err)
		require.Less(t, proto.Size(resp), 1<<20+64<<10)
		seen += len(resp.GetCertificates())
		if token = resp.GetNextPageToken(); token == "" {
			break
		}
	}
	require.Equal(t, 60, seen)
	require.Positive(t, pages)

	// Of these a caller keeps 3 MiB at most.
	large = large[:0]
	for range 60 {
		large = append(large, tlstest.NewCA(t, tlstest.Padding(30<<10)).DER())
	}
	_, err := k.t.AddCertificates(t.Context(), &pb.AddCertificatesRequest{Scope: ofDefaults, Bundle: bytes.Join(large, nil)})
	require.Equal(t, "LIMIT", reasonOf(t, err))
	require.Len(t, k.listed(t.Context(), ofDefaults, "", 10), 60, "all of it or nothing")
}

// Changes at the same time are made one after the other: none is lost.
func TestChangesAtTheSameTime(t *testing.T) {
	t.Parallel()
	k := newTrustClients(t, servertest.Start(t, systemOf()))
	s := newIdle(t.Context(), t, k.c, nil)
	many := manyCertificates(t, 20)
	paths := []string{"tls.min_version", "tls.alpn_protocols", "tls.groups", "label"}
	settings := &pb.SessionSettings{Label: "x", Tls: &pb.TlsSettings{MinVersion: tls13, AlpnProtocols: []string{"x"}, Groups: []string{"x25519"}}}
	var wg sync.WaitGroup
	var failed atomic.Int64
	for i, der := range many {
		wg.Go(func() {
			for scope, id := range map[pb.TrustScope]string{ofSession: s.id, ofDefaults: ""} {
				if _, err := k.t.AddCertificates(t.Context(), &pb.AddCertificatesRequest{Scope: scope, SessionId: id, Bundle: der}); err != nil {
					failed.Add(1)
				}
			}
			req := &pb.UpdateDefaultsRequest{Settings: settings, UpdateMask: mask(paths[i%len(paths)])}
			if _, err := k.t.UpdateDefaults(t.Context(), req); err != nil {
				failed.Add(1)
			}
		})
	}
	wg.Wait()
	require.Zero(t, failed.Load())
	require.Len(t, k.listed(t.Context(), ofDefaults, "", 0), len(many))
	k.reset(t.Context(), ofDefaults, "")
	require.Len(t, k.listed(t.Context(), ofSession, s.id, 0), len(many))
	got := k.defaults(t.Context())
	require.Equal(t, "x", got.GetLabel())
	require.Equal(t, tls13, got.GetTls().GetMinVersion())
	require.Len(t, got.GetTls().GetAlpnProtocols(), 1)
	require.Len(t, got.GetTls().GetGroups(), 1)
}

func TestLimitsOfALevel(t *testing.T) {
	t.Parallel()
	k := newTrustClients(t, servertest.Start(t, systemOf()))
	ctx := t.Context()
	many := manyCertificates(t, 2001)
	add := func(scope pb.TrustScope, id string, certs ...[]byte) error {
		_, err := k.t.AddCertificates(ctx, &pb.AddCertificatesRequest{Scope: scope, SessionId: id, Bundle: bytes.Join(certs, nil), Trusted: true})
		return err
	}
	require.Equal(t, "INVALID_CERTIFICATE", reasonOf(t, add(ofDefaults, "", many...)), "more than a bundle has")
	require.NoError(t, add(ofDefaults, "", many[:2000]...))
	require.Equal(t, "LIMIT", reasonOf(t, add(ofDefaults, "", many[2000])))
	require.NoError(t, add(ofDefaults, "", many[7]), "it is there")
	k.set(ctx, ofDefaults, "", many[2000])
	require.NoError(t, add(ofDefaults, "", many[:1999]...))

	s := newIdle(ctx, t, k.c, nil)
	require.Equal(t, "LIMIT", reasonOf(t, add(ofSession, s.id, many[:101]...)))
	require.NoError(t, add(ofSession, s.id, many[:100]...))
	err := add(ofSession, s.id, many[100])
	require.Equal(t, "LIMIT", reasonOf(t, err))
	require.Equal(t, codes.ResourceExhausted, status.Code(err))
	_, err = k.t.SetCertificates(ctx, &pb.SetCertificatesRequest{Scope: ofSession, SessionId: s.id, Bundle: bytes.Join(many[:101], nil)})
	require.Equal(t, "LIMIT", reasonOf(t, err))
	k.set(ctx, ofSession, s.id, many[2000])
	require.Len(t, k.listed(ctx, ofSession, s.id, 0), 1)
}
