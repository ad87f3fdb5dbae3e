package session

import (
	"crypto/x509"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"securesocket/tlsengine/identity"
	"securesocket/tlsengine/tlstest"
	"securesocket/tlsengine/truststore"
)

// However gifts share what is in them, and in whatever order they come and go, each thing
// counts once while anybody holds it, and what is refused changes nothing.
func TestGivensCountEachThingOnce(t *testing.T) {
	t.Parallel()
	ca := tlstest.NewCA(t)
	var certs []*x509.Certificate
	var identities []*identity.Identity
	for range 4 {
		certs = append(certs, ca.Intermediate().Certificate)
		id, err := identity.FromCaller(ca.Intermediate().Leaf().Chain, nil)
		require.NoError(t, err)
		identities = append(identities, id)
	}
	var sets []*truststore.Set
	certs = append(certs, identities[0].Chain()...) // a certificate may be in a chain and in a set
	for n := range 1 << len(certs) {
		var entries []truststore.Entry
		for i, cert := range certs {
			if n>>i&1 == 1 {
				entries = append(entries, truststore.Entry{Cert: cert})
			}
		}
		sets = append(sets, truststore.NewSet(entries...))
	}
	rapid.Check(t, func(t *rapid.T) {
		own, all := &budget{limit: rapid.Int64Range(0, 100<<10).Draw(t, "own")}, &budget{limit: 60 << 10}
		g := newGivens(own, all)
		holders := make([]gift, 5)
		counted := func() (sum int64) {
			certs, seen := make(map[*x509.Certificate]bool), make(map[any]bool)
			for _, h := range holders {
				for _, set := range h.sets {
					if !seen[set] {
						sum += int64(set.Len()) * entryCost
					}
					seen[set] = true
					for _, e := range set.Entries() {
						certs[e.Cert] = true
					}
				}
				for _, id := range h.identities {
					if !seen[id] {
						sum += int64(id.Footprint())
					}
					seen[id] = true
					for _, cert := range id.Chain() {
						certs[cert] = true
					}
				}
			}
			for cert := range certs {
				sum += certificateCost(cert)
			}
			return sum
		}
		t.Repeat(map[string]func(*rapid.T){
			"replace": func(t *rapid.T) {
				i, before := rapid.IntRange(0, len(holders)-1).Draw(t, "holder"), counted()
				next := giftOf(rapid.SampledFrom(sets).Draw(t, "set"), rapid.SliceOfN(rapid.SampledFrom(identities), 0, 3).Draw(t, "identities"))
				forced, last := rapid.Bool().Draw(t, "forced"), holders[i]
				holders[i] = next
				more := counted() - before
				fits := forced || more <= 0 || before+more <= min(own.limit, all.limit)
				if err := g.replace(last, next, forced); fits {
					require.NoError(t, err)
				} else {
					var full *LimitError
					require.ErrorAs(t, err, &full)
					require.Zero(t, full.Retry, "to wait does not help")
					holders[i] = last
				}
			},
			"would give": func(t *rapid.T) {
				i, before := rapid.IntRange(0, len(holders)-1).Draw(t, "holder"), counted()
				last := holders[i]
				would := g.wouldGive(last)
				holders[i] = gift{}
				require.Equal(t, before-counted(), would)
				holders[i] = last
			},
			"": func(t *rapid.T) {
				require.Equal(t, counted(), own.held.Load())
				require.Equal(t, counted(), all.held.Load())
			},
		})
		for _, h := range holders {
			require.NoError(t, g.replace(h, gift{}, false))
		}
		require.Zero(t, own.held.Load())
		require.Zero(t, all.held.Load())
		require.True(t, g.empty())
		require.Empty(t, g.certificates)
	})
}

// What is usual of a session is small, and the operator's identities are not of its owner.
func TestWhatOfAGiftIsSmall(t *testing.T) {
	t.Parallel()
	ca := tlstest.NewCA(t)
	leaf := ca.Intermediate().Leaf(tlstest.Names("client.test"))
	set := truststore.NewSet(truststore.Entry{Cert: ca.Certificate, Trusted: true})
	id, err := identity.FromKeyPair(identity.KeyPair{Chain: leaf.Chain, PrivateKey: leaf.KeyPEM()})
	require.NoError(t, err)
	require.Equal(t, gift{}, large(giftOf(set, []*identity.Identity{id})))
	require.Equal(t, gift{}, large(gift{}))

	heavy := tlstest.NewCA(t, tlstest.Padding(30<<10))
	chain := append(leaf.Chain[:1:1], heavy.DER())
	id, err = identity.FromKeyPair(identity.KeyPair{Chain: chain, PrivateKey: leaf.KeyPEM()})
	require.NoError(t, err)
	require.Equal(t, gift{identities: []*identity.Identity{id}}, large(giftOf(nil, []*identity.Identity{id, id})))
	named, err := identity.FromPEM("house", leaf.ChainPEM(), leaf.KeyPEM(), "")
	require.NoError(t, err)
	require.True(t, new(gift).empty())
	g := giftOf(nil, []*identity.Identity{named})
	require.True(t, g.empty())
}
