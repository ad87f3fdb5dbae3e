package tlsengine

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"securesocket/tlsengine/revocation"
)

func TestTicketsAreBounded(t *testing.T) {
	t.Parallel()
	var s Sessions
	put := func(owner string, n, chainBytes int) view {
		v := view{s.For(owner, sha256.Sum256(fmt.Append(nil, owner, n))), time.Now}
		v.judged(&Report{PeerChain: []*x509.Certificate{{Raw: make([]byte, chainBytes)}}}, nil)
		v.Put("host", new(tls.ClientSessionState))
		return v
	}
	kept := func(v view) bool { _, ok := v.Get("host"); return ok }

	require.False(t, kept(put("a", 0, maxSessionBytes)), "one that is large is not kept")

	neighbour := put("b", 0, 100)
	first := put("a", 1, 8<<10)
	for n := 2; n < 1000; n++ {
		require.True(t, kept(put("a", n, 8<<10)))
	}
	require.False(t, kept(first), "an owner's oldest goes first")
	require.True(t, kept(neighbour), "and never the neighbour's for it")
	require.LessOrEqual(t, s.owners["a"], maxOwnerSessionBytes)

	for o := range 100 {
		for n := range 200 {
			put(fmt.Sprint("owner", o), n, 8<<10)
		}
	}
	require.LessOrEqual(t, s.bytes, maxSessionsBytes)
	require.Equal(t, s.recent.Len(), len(s.byKey))
	total := 0
	for _, n := range s.owners {
		total += n
	}
	require.Equal(t, s.bytes, total)

	last := put("z", 0, 100)
	last.Put("host", nil) // crypto/tls drops a ticket so
	require.False(t, kept(last))
}

// A ticket is worth no more than what its chain rested on.
func TestTicketsEndWithTheirChain(t *testing.T) {
	t.Parallel()
	day := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	cert := func(days int) *x509.Certificate { return &x509.Certificate{NotAfter: day.AddDate(0, 0, days)} }
	for name, c := range map[string]struct {
		report *Report
		staple []byte
		days   int // it is offered for; 0: nobody knows
	}{
		"leaf":         {&Report{Basis: BasisValidated, VerifiedChain: []*x509.Certificate{cert(2), cert(9)}}, nil, 2},
		"intermediate": {&Report{Basis: BasisValidated, VerifiedChain: []*x509.Certificate{cert(9), cert(3), cert(9)}}, nil, 3},
		"staple": {&Report{Basis: BasisValidated, VerifiedChain: []*x509.Certificate{cert(9)},
			Revocation: []revocation.Result{{NextUpdate: day.AddDate(0, 0, 1)}}}, []byte{1}, 1},
		"overridden": {&Report{Basis: BasisOverride, PeerChain: []*x509.Certificate{cert(1)}}, nil, 0},
	} {
		var s Sessions
		now := day
		v := view{s.For("a", [sha256.Size]byte{}), func() time.Time { return now }}
		v.judged(c.report, c.staple)
		v.Put("host", new(tls.ClientSessionState))
		_, ok := v.Get("host")
		require.True(t, ok, name)
		if c.days > 0 {
			now = day.AddDate(0, 0, c.days)
			_, ok = v.Get("host")
			require.False(t, ok, name)
			now = day
			_, ok = v.Get("host")
			require.False(t, ok, "%s: it is gone", name)
		}
	}
}
