package server_test

import (
	"bytes"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	pb "securesocket/gen/securesocket/v1"
	"securesocket/tlsengine/tlstest"
)

// What sessions hold of what their caller gave them, in a process of its own, is what the
// budget says, however he chose it: a URI of three bytes is a structure of two hundred. Nor
// is what is usual overcharged.
func TestLimitOfBufferedBytesOfTheWorstGifts(t *testing.T) {
	ca := tlstest.NewCA(t)
	bundle := func(n int, options ...tlstest.Option) func(*testing.T, trustClients) error {
		return func(t *testing.T, k trustClients) error {
			t.Helper()
			var ders [][]byte
			for range n {
				ders = append(ders, ca.Intermediate(options...).DER())
			}
			s := newIdle(t.Context(), t, k.c, nil)
			stays(t, k.c, s)
			_, err := k.t.AddCertificates(t.Context(), &pb.AddCertificatesRequest{Scope: ofSession, SessionId: s.id, Bundle: bytes.Join(ders, nil), Trusted: true})
			return err
		}
	}
	const sessions = 64
	for name, tc := range map[string]struct {
		give func(*testing.T, trustClients) error
		full bool // before all of them have theirs
	}{
		"usual":   {bundle(100), false},
		"URIs":    {bundle(2, tlstest.Names(slices.Repeat([]string{"uri:a:b"}, 5000)...)), true},
		"padding": {bundle(20, tlstest.Padding(28<<10)), true},
		"identities": {func(t *testing.T, k trustClients) error {
			t.Helper()
			var ids []*pb.Identity
			for range 8 {
				ids = append(ids, uploaded(t, ca.Intermediate().Leaf(tlstest.Names(listenerName))))
			}
			resp, err := k.c.CreateSession(t.Context(), &pb.CreateSessionRequest{Settings: having(ids...)})
			stays(t, k.c, idle{id: resp.GetSession().GetSessionId()})
			return err
		}, false},
	} {
		t.Run(name, func(t *testing.T) {
			service := startStalledService(t, smallBudget)
			cc := service.dial()
			k := trustClients{t, pb.NewSecureSocketServiceClient(cc), pb.NewTrustServiceClient(cc)}
			empty := service.memory()
			kept := 0
			for range sessions {
				if err := tc.give(t, k); err == nil {
					kept++
				} else {
					require.Equal(t, "LIMIT", reasonOf(t, err))
				}
			}
			require.Equal(t, tc.full, kept < sessions)
			require.Positive(t, kept)
			used, counted := service.memory().used()-empty.used(), service.buffered()
			t.Logf("%d of %d sessions have theirs: %d KiB, counted as %d", kept, sessions, used>>10, counted>>10)
			require.LessOrEqual(t, counted, int64(smallBudget))
			require.LessOrEqual(t, used, (counted+sessions*heldIdle+heldProcess+heldConnection)*11/10)
			require.LessOrEqual(t, counted, 4*used)
		})
	}
}

// stays holds a session with a stream: otherwise it would have to make room for the next.
func stays(tb testing.TB, c pb.SecureSocketServiceClient, s idle) {
	tb.Helper()
	k := startFor(tb.Context(), stalledLife, tb, c, attachFrame(&pb.AttachSession{SessionId: s.id, AttachSeq: 1}))
	k.until(func() bool { return k.attached != nil })
}
