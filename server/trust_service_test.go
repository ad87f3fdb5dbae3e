package server_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"slices"
	"strings"
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
	"securesocket/tlsengine/truststore"
)

const (
	ofSession  = pb.TrustScope_TRUST_SCOPE_SESSION
	ofDefaults = pb.TrustScope_TRUST_SCOPE_DEFAULTS
	ofService  = pb.TrustScope_TRUST_SCOPE_SERVICE
	ofSystem   = pb.TrustScope_TRUST_SCOPE_SYSTEM
)

// administrator may change what the service of trustLevels trusts.
const administrator = "administrator"

// systemOf makes these the anchors of the service's machine.
func systemOf(anchors ...*tlstest.CA) servertest.Option {
	entries := make([]truststore.Entry, len(anchors))
	for i, ca := range anchors {
		entries[i] = truststore.Entry{Cert: ca.Certificate, Trusted: true}
	}
	set := truststore.NewSet(entries...)
	return func(sc *session.Config, sv *server.Config) {
		sc.System = func() (*truststore.Set, error) { return set, nil }
		sv.Administrator = func(p string) bool { return p == administrator }
	}
}

// trustClients are both clients of one caller.
type trustClients struct {
	tb testing.TB
	c  pb.SecureSocketServiceClient
	t  pb.TrustServiceClient
}

func newTrustClients(tb testing.TB, svc *servertest.Service) trustClients {
	tb.Helper()
	return trustClients{tb, svc.Client(tb), pb.NewTrustServiceClient(svc.Dial(tb))}
}

func (k trustClients) add(ctx context.Context, scope pb.TrustScope, id string, trusted bool, bundle ...[]byte) *pb.AddCertificatesResponse {
	k.tb.Helper()
	resp, err := k.t.AddCertificates(ctx, &pb.AddCertificatesRequest{Scope: scope, SessionId: id, Trusted: trusted, Bundle: bytes.Join(bundle, nil)})
	require.NoError(k.tb, err)
	return resp
}

func (k trustClients) set(ctx context.Context, scope pb.TrustScope, id string, bundle ...[]byte) {
	k.tb.Helper()
	resp, err := k.t.SetCertificates(ctx, &pb.SetCertificatesRequest{Scope: scope, SessionId: id, Bundle: bytes.Join(bundle, nil)})
	require.NoError(k.tb, err)
	require.EqualValues(k.tb, len(bundle), resp.GetCount())
}

func (k trustClients) reset(ctx context.Context, scope pb.TrustScope, id string) {
	k.tb.Helper()
	_, err := k.t.ResetCertificates(ctx, &pb.ResetCertificatesRequest{Scope: scope, SessionId: id})
	require.NoError(k.tb, err)
}

// listed is what a level has in effect, over pages of a size.
func (k trustClients) listed(ctx context.Context, scope pb.TrustScope, id string, size int32) (all []*pb.TrustedCertificate) {
	k.tb.Helper()
	for token := ""; ; {
		resp, err := k.t.ListCertificates(ctx, &pb.ListCertificatesRequest{Scope: scope, SessionId: id, PageSize: size, PageToken: token})
		require.NoError(k.tb, err)
		if size > 0 {
			require.LessOrEqual(k.tb, len(resp.GetCertificates()), int(size))
		}
		all = append(all, resp.GetCertificates()...)
		if token = resp.GetNextPageToken(); token == "" {
			return all
		}
		require.Len(k.tb, resp.GetCertificates(), int(size), "only the last page is short")
	}
}

// entry is what a listing says of one certificate.
type entry struct {
	der     string
	trusted bool
	scope   pb.TrustScope
}

func entriesOf(all []*pb.TrustedCertificate) []entry {
	out := make([]entry, len(all))
	for i, c := range all {
		out[i] = entry{string(c.GetCertificate().GetDer()), c.GetTrusted(), c.GetScope()}
	}
	return out
}

// requireJudged connects, and wants the peer to be trusted or to be of unknown
// signers, by a store of this name and these anchors.
func (k trustClients) requireJudged(ctx context.Context, s idle, addr string, trusted bool, store string, anchors ...*tlstest.CA) {
	k.tb.Helper()
	_, err := tryConnect(ctx, k.tb, k.c, s, addr)
	want := pb.CertificateStatus_CERTIFICATE_STATUS_TRUSTED
	if trusted {
		require.NoError(k.tb, err)
	} else {
		require.Equal(k.tb, "CERTIFICATE_UNTRUSTED_SIGNERS", reasonOf(k.tb, err))
		want = pb.CertificateStatus_CERTIFICATE_STATUS_UNTRUSTED_SIGNERS
	}
	v, err := k.c.GetCertificateStatus(ctx, &pb.GetCertificateStatusRequest{SessionId: s.id})
	require.NoError(k.tb, err)
	require.Equal(k.tb, want, v.GetStatus())
	require.Equal(k.tb, store, v.GetReport().GetStoreName())
	require.Equal(k.tb, storeHash(anchors...), v.GetReport().GetStoreSha256(), "these anchors and no others")
}

// storeHash is the contract's name for anchors.
func storeHash(anchors ...*tlstest.CA) []byte {
	var sums [][]byte
	for _, ca := range anchors {
		sum := sha256.Sum256(ca.Certificate.Raw)
		sums = append(sums, sum[:])
	}
	slices.SortFunc(sums, bytes.Compare)
	sum := sha256.Sum256(bytes.Join(sums, nil))
	return sum[:]
}

func TestEachLevelFollowsTheOneAbove(t *testing.T) {
	t.Parallel()
	system, service, defaults, own := tlstest.NewCA(t), tlstest.NewCA(t), tlstest.NewCA(t), tlstest.NewCA(t)
	k := newTrustClients(t, servertest.Start(t, systemOf(system)))
	ctx, admin := t.Context(), servertest.As(t.Context(), administrator)
	addrs := make(map[*tlstest.CA]string)
	for _, ca := range []*tlstest.CA{system, service, defaults, own} {
		addrs[ca] = serveChain(t, ca.Leaf())
	}
	s := newIdle(ctx, t, k.c, nil) // before any change: it follows

	k.requireJudged(ctx, s, addrs[system], true, "system", system)
	k.requireJudged(ctx, s, addrs[service], false, "system", system)

	resp := k.add(admin, ofService, "", true, service.PEM())
	require.EqualValues(t, 1, resp.GetAddedCount())
	require.EqualValues(t, 1, resp.GetCount())
	require.Zero(t, k.add(admin, ofService, "", true, service.DER()).GetAddedCount(), "it is there")
	k.requireJudged(ctx, s, addrs[service], true, "service", system, service)
	k.requireJudged(ctx, s, addrs[system], true, "service", system, service)

	k.add(ctx, ofDefaults, "", true, defaults.PEM())
	k.requireJudged(ctx, s, addrs[defaults], true, "defaults", system, service, defaults)
	k.add(ctx, ofSession, s.id, true, own.DER())
	k.requireJudged(ctx, s, addrs[own], true, "session", system, service, defaults, own)

	require.Equal(t, []entry{
		{string(system.DER()), true, ofSystem},
		{string(service.DER()), true, ofService},
		{string(defaults.DER()), true, ofDefaults},
		{string(own.DER()), true, ofSession},
	}, entriesOf(k.listed(ctx, ofSession, s.id, 0)))
	for scope, want := range map[pb.TrustScope]int{ofSystem: 1, ofService: 2, ofDefaults: 3} {
		require.Len(t, k.listed(ctx, scope, "", 1), want)
	}

	// A level in between that is set hides those above it, and only them.
	k.set(ctx, ofDefaults, "", defaults.DER())
	k.requireJudged(ctx, s, addrs[defaults], true, "session", defaults, own)
	k.requireJudged(ctx, s, addrs[system], false, "session", defaults, own)
	k.set(ctx, ofSession, s.id)
	k.requireJudged(ctx, s, addrs[own], false, "session")
	k.reset(ctx, ofSession, s.id)
	k.requireJudged(ctx, s, addrs[defaults], true, "defaults", defaults)
	k.requireJudged(ctx, s, addrs[own], false, "defaults", defaults)
	k.reset(ctx, ofDefaults, "")
	k.requireJudged(ctx, s, addrs[service], true, "service", system, service)
	k.set(admin, ofService, "", service.DER())
	k.requireJudged(ctx, s, addrs[system], false, "service", service)
	k.reset(admin, ofService, "")
	k.requireJudged(ctx, s, addrs[system], true, "system", system)
	k.requireJudged(ctx, s, addrs[service], false, "system", system)
}

func TestBaseOfASession(t *testing.T) {
	t.Parallel()
	system, defaults, own := tlstest.NewCA(t), tlstest.NewCA(t), tlstest.NewCA(t)
	k := newTrustClients(t, servertest.Start(t, systemOf(system)))
	ctx := t.Context()
	k.add(ctx, ofDefaults, "", true, defaults.DER())
	based := func(base pb.TrustSettings_Base) idle {
		return newIdle(ctx, t, k.c, nil, &pb.SessionSettings{Tls: &pb.TlsSettings{Trust: &pb.TrustSettings{Base: base}}})
	}
	atSystem, atDefaults, atOwn := serveChain(t, system.Leaf()), serveChain(t, defaults.Leaf()), serveChain(t, own.Leaf())

	s := based(pb.TrustSettings_BASE_SYSTEM)
	k.requireJudged(ctx, s, atSystem, true, "system", system)
	k.requireJudged(ctx, s, atDefaults, false, "system", system)
	k.add(ctx, ofSession, s.id, true, own.DER())
	k.requireJudged(ctx, s, atOwn, true, "session", system, own)

	s = based(pb.TrustSettings_BASE_NONE)
	k.requireJudged(ctx, s, atSystem, false, "session")
	require.Empty(t, k.listed(ctx, ofSession, s.id, 0))
	k.add(ctx, ofSession, s.id, true, own.DER())
	k.requireJudged(ctx, s, atOwn, true, "session", own)
	k.requireJudged(ctx, s, atDefaults, false, "session", own)
	require.Equal(t, []entry{{string(own.DER()), true, ofSession}}, entriesOf(k.listed(ctx, ofSession, s.id, 0)))
	k.reset(ctx, ofSession, s.id)
	k.requireJudged(ctx, s, atOwn, false, "session")

	s = based(pb.TrustSettings_BASE_DEFAULTS)
	k.requireJudged(ctx, s, atDefaults, true, "defaults", system, defaults)
}

func TestIntermediatesHelpAndDoNotTrust(t *testing.T) {
	t.Parallel()
	ca := tlstest.NewCA(t)
	between := ca.Intermediate()
	alone := between.Leaf()
	alone.Chain = alone.Chain[:1]
	addr := serveChain(t, alone)
	for name, scope := range map[string]pb.TrustScope{"session": ofSession, "defaults": ofDefaults, "service": ofService} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			k := newTrustClients(t, servertest.Start(t, systemOf()))
			ctx := servertest.As(t.Context(), administrator)
			s := newIdle(ctx, t, k.c, nil)
			id := ""
			if scope == ofSession {
				id = s.id
			}
			k.requireJudged(ctx, s, addr, false, "system")
			k.add(ctx, scope, id, false, between.DER())
			k.requireJudged(ctx, s, addr, false, "system") // it is nobody's anchor
			require.EqualValues(t, 1, k.add(ctx, scope, id, true, ca.DER()).GetAddedCount())
			k.requireJudged(ctx, s, addr, true, name, ca)

			// To set the anchors leaves what helps to build chains.
			other := tlstest.NewCA(t)
			k.set(ctx, scope, id, other.DER())
			k.requireJudged(ctx, s, addr, false, name, other)
			require.Equal(t, []entry{{string(other.DER()), true, scope}, {string(between.DER()), false, scope}}, entriesOf(k.listed(ctx, scope, id, 0)))
			k.set(ctx, scope, id, ca.DER())
			k.requireJudged(ctx, s, addr, true, name, ca)
			k.reset(ctx, scope, id)
			k.requireJudged(ctx, s, addr, false, "system")
			require.Empty(t, k.listed(ctx, scope, id, 0), "reset forgets both")

			// Trusted after all: the same certificate becomes an anchor.
			k.add(ctx, scope, id, false, between.DER())
			require.EqualValues(t, 1, k.add(ctx, scope, id, true, between.DER()).GetAddedCount())
			require.Zero(t, k.add(ctx, scope, id, false, between.DER()).GetAddedCount(), "an anchor stays one")
			k.requireJudged(ctx, s, addr, true, name, between)
		})
	}
}

func TestListingNamesTheLevelThatTrusts(t *testing.T) {
	t.Parallel()
	a, b := tlstest.NewCA(t), tlstest.NewCA(t)
	k := newTrustClients(t, servertest.Start(t, systemOf()))
	ctx := t.Context()
	s := newIdle(ctx, t, k.c, nil)
	k.add(ctx, ofDefaults, "", false, a.DER(), b.DER())
	k.add(ctx, ofSession, s.id, true, a.DER())
	require.Equal(t, []entry{{string(b.DER()), false, ofDefaults}, {string(a.DER()), true, ofSession}},
		entriesOf(k.listed(ctx, ofSession, s.id, 0)), "the level's own last")
	k.add(ctx, ofDefaults, "", true, a.DER())
	require.Equal(t, []entry{{string(a.DER()), true, ofDefaults}, {string(b.DER()), false, ofDefaults}},
		entriesOf(k.listed(ctx, ofSession, s.id, 0)), "each once")
}

func TestLevelsBelongToTheirCaller(t *testing.T) {
	t.Parallel()
	ca := tlstest.NewCA(t)
	addr := serveChain(t, ca.Leaf())
	k := newTrustClients(t, servertest.Start(t, systemOf()))
	alice, bob := servertest.As(t.Context(), "alice"), servertest.As(t.Context(), "bob")
	ofAlice, ofBob := newIdle(alice, t, k.c, nil), newIdle(bob, t, k.c, nil)
	k.add(alice, ofDefaults, "", true, ca.DER())
	k.requireJudged(alice, ofAlice, addr, true, "defaults", ca)
	k.requireJudged(bob, ofBob, addr, false, "system")
	require.Empty(t, k.listed(bob, ofDefaults, "", 0))
	k.set(bob, ofDefaults, "")
	k.reset(bob, ofDefaults, "")
	k.requireJudged(alice, ofAlice, addr, true, "defaults", ca)

	// One session's are not another's, though both are of one caller.
	second := newIdle(bob, t, k.c, nil)
	k.add(bob, ofSession, second.id, true, ca.DER())
	k.requireJudged(bob, second, addr, true, "session", ca)
	k.requireJudged(bob, ofBob, addr, false, "system")
}

func TestWhoMayChangeALevel(t *testing.T) {
	t.Parallel()
	ca := tlstest.NewCA(t)
	k := newTrustClients(t, servertest.Start(t, systemOf()))
	admin := servertest.As(t.Context(), administrator)
	for name, tc := range map[string]struct {
		ctx   context.Context
		scope pb.TrustScope
	}{
		"a stranger, the service's":      {t.Context(), ofService},
		"a stranger, the system's":       {t.Context(), ofSystem},
		"an administrator, the system's": {admin, ofSystem},
	} {
		_, err := k.t.AddCertificates(tc.ctx, &pb.AddCertificatesRequest{Scope: tc.scope, Bundle: ca.DER(), Trusted: true})
		require.Equal(t, "NOT_ALLOWED", reasonOf(t, err), name)
		require.Equal(t, codes.PermissionDenied, status.Code(err), name)
		_, err = k.t.SetCertificates(tc.ctx, &pb.SetCertificatesRequest{Scope: tc.scope})
		require.Equal(t, "NOT_ALLOWED", reasonOf(t, err), name)
		_, err = k.t.ResetCertificates(tc.ctx, &pb.ResetCertificatesRequest{Scope: tc.scope})
		require.Equal(t, "NOT_ALLOWED", reasonOf(t, err), name)
		require.Empty(t, k.listed(tc.ctx, tc.scope, "", 0), name)
	}
	k.add(admin, ofService, "", true, ca.DER())
	require.Len(t, k.listed(t.Context(), ofService, "", 0), 1, "everybody sees it")
}

func TestForeignSessionsCertificatesAreAsGoodAsNone(t *testing.T) {
	t.Parallel()
	ca := tlstest.NewCA(t)
	k := newTrustClients(t, servertest.Start(t, systemOf()))
	alice, mallory := servertest.As(t.Context(), "alice"), servertest.As(t.Context(), administrator)
	s := newIdle(alice, t, k.c, nil)
	k.add(alice, ofSession, s.id, true, ca.DER())
	none := strings.Repeat("a", 26)
	for name, call := range map[string]func(id string) error{
		"list": func(id string) error {
			_, err := k.t.ListCertificates(mallory, &pb.ListCertificatesRequest{Scope: ofSession, SessionId: id})
			return err
		},
		"add": func(id string) error {
			_, err := k.t.AddCertificates(mallory, &pb.AddCertificatesRequest{Scope: ofSession, SessionId: id, Bundle: ca.DER(), Trusted: true})
			return err
		},
		"set": func(id string) error {
			_, err := k.t.SetCertificates(mallory, &pb.SetCertificatesRequest{Scope: ofSession, SessionId: id})
			return err
		},
		"reset": func(id string) error {
			_, err := k.t.ResetCertificates(mallory, &pb.ResetCertificatesRequest{Scope: ofSession, SessionId: id})
			return err
		},
	} {
		foreign, missing := call(s.id), call(none)
		require.Equal(t, "SESSION_NOT_FOUND", reasonOf(t, foreign), name)
		require.True(t, proto.Equal(status.Convert(missing).Proto(), status.Convert(foreign).Proto()), "%s: %v, %v", name, missing, foreign)
	}
	require.Len(t, k.listed(alice, ofSession, s.id, 0), 1)
}
