package session

import (
	"crypto/sha256"
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"

	"securesocket/tlsengine"
	"securesocket/tlsengine/identity"
	"securesocket/tlsengine/tlstest"
)

// Every port has a key of its own.
func TestResumptionKeysOfAllPorts(t *testing.T) {
	t.Parallel()
	seen := make(map[[sha256.Size]byte]int)
	c := &connection{s: &Session{id: "s", owner: "o"}, target: Target{Addr: netip.MustParseAddr("192.0.2.1")}}
	for port := 1; port <= 65535; port++ {
		c.target.Port = port
		key := c.resumptionKey(&tlsengine.Config{ServerName: "example.org"})
		require.Zero(t, seen[key], "ports %d and %d", seen[key], port)
		seen[key] = port
	}
}

// Whoever knows a chain and not its key must not resume what the key's holder has begun.
func TestResumptionOfACallersKeyStaysInItsSession(t *testing.T) {
	t.Parallel()
	leaf := tlstest.NewCA(t).Leaf()
	held, err := identity.FromCaller(leaf.Chain, nil)
	require.NoError(t, err)
	key := func(session string, ids ...*identity.Identity) [sha256.Size]byte {
		c := &connection{s: &Session{id: session, owner: "o"}, target: Target{Name: "example.org", Port: 443}}
		return c.resumptionKey(&tlsengine.Config{Identities: ids})
	}
	require.Equal(t, key("a"), key("b"))
	require.Equal(t, key("a", held), key("a", held))
	require.NotEqual(t, key("a", held), key("b", held))
	require.NotEqual(t, key("a"), key("a", held))
}
