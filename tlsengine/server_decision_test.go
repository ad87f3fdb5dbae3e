package tlsengine_test

import (
	"context"
	"crypto"
	"crypto/tls"
	"errors"
	"testing"

	"securesocket/tlsengine"
	"securesocket/tlsengine/identity"
	"securesocket/tlsengine/tlstest"

	"github.com/stretchr/testify/require"
)

// Whoever decides is asked about what the client shows where it would be refused, and nowhere else.
func TestDecisionAboutAClient(t *testing.T) {
	t.Parallel()
	no := errors.New("no")
	ca := tlstest.NewCA(t)
	good, untrusted := ca.Leaf(forClients), tlstest.NewCA(t).Leaf(forClients, tlstest.Expired())
	for name, row := range map[string]struct {
		level  tlsengine.ClientAuth
		id     *tlstest.Identity
		answer error
		asked  bool
		basis  tlsengine.Basis
	}{
		"accepted":            {tlsengine.ClientAuthRequireAndVerify, untrusted, nil, true, tlsengine.BasisOverride},
		"accepted, if given":  {tlsengine.ClientAuthVerifyIfGiven, untrusted, nil, true, tlsengine.BasisOverride},
		"refused":             {tlsengine.ClientAuthRequireAndVerify, untrusted, no, true, 0},
		"refused, if given":   {tlsengine.ClientAuthVerifyIfGiven, untrusted, no, true, 0},
		"trusted":             {tlsengine.ClientAuthRequireAndVerify, good, no, false, tlsengine.BasisValidated},
		"for information":     {tlsengine.ClientAuthRequire, untrusted, no, false, tlsengine.BasisNone},
		"not given":           {tlsengine.ClientAuthVerifyIfGiven, nil, no, false, tlsengine.BasisNone},
		"not given, required": {tlsengine.ClientAuthRequireAndVerify, nil, nil, false, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bothVersions(t, func(t *testing.T, version uint16) {
				var question *tlsengine.Report
				cfg := serving(t, ca.Leaf())
				cfg.ClientAuth, cfg.Trust = row.level, anchors(ca.Certificate)
				cfg.Decide = func(_ context.Context, r *tlsengine.Report) error {
					question = r
					return row.answer
				}
				raw, out := clientHears(t, showing(clientConfig(ca, version), row.id))
				conn, err := tlsengine.Server(t.Context(), raw, cfg, nil)
				require.Equal(t, row.asked, question != nil)
				if row.basis != 0 {
					require.NoError(t, err)
					require.Equal(t, row.basis, conn.Report().Basis)
					_, err = conn.Write([]byte("welcome"))
					require.NoError(t, err)
					require.Equal(t, "welcome", (<-out).data)
					if row.basis == tlsengine.BasisOverride {
						require.Equal(t, tlsengine.StatusTrusted, conn.Report().Status)
						require.Equal(t, question.Problems, conn.Report().Problems)
						require.Equal(t, tlsengine.StatusUntrustedSigners, question.Status)
					}
					require.NoError(t, conn.Abort())
					return
				}
				if !row.asked {
					requireRefused(t, err)
					return
				}
				var de *tlsengine.DecisionError
				require.ErrorAs(t, err, &de)
				require.ErrorIs(t, err, no)
				require.Equal(t, question, de.Report)
				h := <-out
				require.Empty(t, h.data)
				require.EqualValues(t, badCertificate, peerAlert(h.err))
			})
		})
	}
}

func TestContextEndsADecisionAboutAClient(t *testing.T) {
	t.Parallel()
	cause := errors.New("gone")
	ca := tlstest.NewCA(t)
	bothVersions(t, func(t *testing.T, version uint16) {
		ctx, cancel := context.WithCancelCause(t.Context())
		cfg := serving(t, ca.Leaf())
		cfg.ClientAuth = tlsengine.ClientAuthRequireAndVerify
		cfg.Decide = func(ctx context.Context, _ *tlsengine.Report) error {
			cancel(cause)
			<-ctx.Done()
			return context.Cause(ctx)
		}
		raw, out := clientHears(t, showing(clientConfig(ca, version), ca.Leaf(forClients)))
		_, err := tlsengine.Server(ctx, raw, cfg, nil)
		require.ErrorIs(t, err, cause)
		var de *tlsengine.DecisionError
		require.False(t, errors.As(err, &de), "nobody has decided")
		h := <-out
		require.Empty(t, h.data)
		require.Error(t, h.err)
	})
}

// What could not be judged is not reported as if it had been, at no level.
func TestNoTurnToJudgeAClient(t *testing.T) {
	t.Parallel()
	busy := errors.New("busy")
	ca := tlstest.NewCA(t)
	for _, level := range []tlsengine.ClientAuth{tlsengine.ClientAuthRequest, tlsengine.ClientAuthRequireAndVerify} {
		cfg := serving(t, ca.Leaf())
		cfg.ClientAuth, cfg.Trust = level, anchors(ca.Certificate)
		cfg.Turn = func(context.Context) (func(), error) { return nil, busy }
		raw, _ := clientHears(t, showing(clientConfig(ca, tls.VersionTLS13), ca.Leaf(forClients)))
		_, err := tlsengine.Server(t.Context(), raw, cfg, nil)
		require.ErrorIs(t, err, busy)

		raw, _ = clientHears(t, showing(clientConfig(ca, tls.VersionTLS13), nil))
		_, err = tlsengine.Server(t.Context(), raw, cfg, nil)
		require.NotErrorIs(t, err, busy, "there is nothing to judge")
	}
}

// The key of a server may be elsewhere as well.
func TestServerWithACallersKey(t *testing.T) {
	t.Parallel()
	no, gone := errors.New("no"), errors.New("gone")
	ca := tlstest.NewCA(t)
	leaf := ca.Leaf(tlstest.Ed25519())
	id, err := identity.FromCaller(leaf.Chain, nil)
	require.NoError(t, err)
	signs := func(_ context.Context, r identity.SignRequest) ([]byte, error) {
		return leaf.Key.Sign(nil, r.Input, crypto.Hash(0))
	}
	for name, row := range map[string]struct {
		sign identity.SignFunc
		kind identity.SignKind // 0: it signs
		err  error
	}{
		"signs":    {signs, 0, nil},
		"declines": {func(context.Context, identity.SignRequest) ([]byte, error) { return nil, no }, identity.Declined, no},
		"lies":     {func(context.Context, identity.SignRequest) ([]byte, error) { return make([]byte, 64), nil }, identity.Wrong, nil},
		"nobody":   {nil, identity.Unavailable, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bothVersions(t, func(t *testing.T, version uint16) {
				raw, out := clientHears(t, clientConfig(ca, version))
				cfg := &tlsengine.Config{Identities: []*identity.Identity{id}, Sign: row.sign}
				conn, err := tlsengine.Server(t.Context(), raw, cfg, nil)
				if row.kind == 0 {
					require.NoError(t, err)
					require.NoError(t, conn.Close())
					cs := (<-out).conn.ConnectionState()
					require.True(t, cs.PeerCertificates[0].Equal(leaf.Leaf))
					return
				}
				var se *identity.SignError
				require.ErrorAs(t, err, &se)
				require.Equal(t, row.kind, se.Kind)
				if row.err != nil {
					require.ErrorIs(t, err, row.err)
				}
				require.NotZero(t, peerAlert((<-out).err))
			})
		})
	}
	bothVersions(t, func(t *testing.T, version uint16) {
		ctx, cancel := context.WithCancelCause(t.Context())
		raw, out := clientHears(t, clientConfig(ca, version))
		cfg := &tlsengine.Config{Identities: []*identity.Identity{id}, Sign: func(ctx context.Context, _ identity.SignRequest) ([]byte, error) {
			cancel(gone)
			<-ctx.Done()
			return nil, ctx.Err()
		}}
		_, err := tlsengine.Server(ctx, raw, cfg, nil)
		require.ErrorIs(t, err, gone)
		require.Error(t, (<-out).err)
	})
	// A client that cannot verify what the caller can make is told so, and the caller is not asked.
	config := clientConfig(ca, tls.VersionTLS11)
	raw, out := clientHears(t, config)
	_, err = tlsengine.Server(t.Context(), raw, &tlsengine.Config{MinVersion: tls.VersionTLS10, Identities: []*identity.Identity{id},
		Sign: func(context.Context, identity.SignRequest) ([]byte, error) {
			t.Error("asked")
			return nil, no
		}}, nil)
	requireKind(t, err, tlsengine.Incompatible)
	require.EqualValues(t, handshakeFailure, peerAlert((<-out).err))
}
