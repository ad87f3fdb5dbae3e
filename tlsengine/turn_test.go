package tlsengine

import (
	"context"
	"crypto/x509"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"securesocket/tlsengine/forge"
	"securesocket/tlsengine/revocation"
	"securesocket/tlsengine/tlstest"
)

func TestATurnIsGivenBackInAPanic(t *testing.T) {
	t.Parallel()
	held := 0
	s := settled(t, Trust{})
	s.Turn = func(context.Context) (func(), error) {
		held++
		return func() { held-- }, nil
	}
	require.Panics(t, func() { _ = s.inTurn(t.Context(), func() { panic("a fault") }) })
	require.Zero(t, held)
}

// Where it is not known for want of a turn, soft-fail must not take what a CRL at hand says for unknown.
func TestRevocationWithoutATurn(t *testing.T) {
	t.Parallel()
	root := tlstest.NewCA(t)
	in := presented(t, root.Leaf(tlstest.Names("victim.example")))
	in.crls = [][]byte{root.CRL(forge.List{Revoked: in.chain[:1]})}
	busy := errors.New("busy")
	taken, held, most := 0, 0, 0
	for _, allowed := range []int{100, 1} {
		s := settled(t, Trust{Anchors: []*x509.Certificate{root.Certificate}})
		s.Config.Revocation = revocation.Soft
		taken = 0
		s.Turn = func(context.Context) (func(), error) {
			if taken++; taken > allowed {
				return nil, busy
			}
			held++
			most = max(most, held)
			return func() { held-- }, nil
		}
		r := judge(t.Context(), s, in)
		if allowed == 1 {
			require.ErrorIs(t, r.failed, busy)
			require.Equal(t, StatusUnknown, r.Status)
			require.Equal(t, BasisNone, r.Basis)
			require.Empty(t, r.VerifiedChain)
			require.False(t, r.Overridable())
			continue
		}
		require.Equal(t, StatusRevoked, r.Status)
		require.Greater(t, taken, 1, "revocation takes turns of its own")
	}
	require.Zero(t, held)
	require.Equal(t, 1, most, "whoever holds a turn never waits for another")
}
