package truststore_test

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"testing"

	"securesocket/tlsengine/tlstest"
	"securesocket/tlsengine/truststore"

	"github.com/stretchr/testify/require"
)

func TestLevelFollows(t *testing.T) {
	t.Parallel()
	a, b, c := tlstest.NewCA(t), tlstest.NewCA(t), tlstest.NewCA(t)
	system := truststore.NewSet(anchor(a))
	var service, session truststore.Level
	require.Same(t, system, session.Over(service.Over(system)), "nothing of its own: nothing is made")

	session, n := session.Add(anchor(c), anchor(c))
	require.Equal(t, 1, n)
	require.Equal(t, []truststore.Entry{anchor(a), anchor(c)}, session.Over(service.Over(system)).Entries())

	// What changes above is followed, below what was added here.
	service, _ = service.Add(anchor(b))
	require.Equal(t, []truststore.Entry{anchor(a), anchor(b), anchor(c)}, session.Over(service.Over(system)).Entries())
	service = service.Replace([]*x509.Certificate{b.Certificate})
	require.Equal(t, []truststore.Entry{anchor(b), anchor(c)}, session.Over(service.Over(system)).Entries())
	service = service.Reset()
	require.Equal(t, []truststore.Entry{anchor(a), anchor(c)}, session.Over(service.Over(system)).Entries())
	require.Equal(t, 1, system.Len())
}

func TestLevelReplaces(t *testing.T) {
	t.Parallel()
	a, b, c, d := tlstest.NewCA(t), tlstest.NewCA(t), tlstest.NewCA(t), tlstest.NewCA(t)
	system := truststore.NewSet(anchor(a))
	level, _ := truststore.Level{}.Add(helper(b), anchor(c))
	level = level.Replace([]*x509.Certificate{d.Certificate})
	require.Equal(t, []truststore.Entry{anchor(d), helper(b)}, level.Over(system).Entries(), "its intermediates stay")
	require.Equal(t, level.Over(system), level.Over(nil), "there is no parent any more")

	level, n := level.Add(anchor(b))
	require.Equal(t, 1, n)
	require.Equal(t, []*x509.Certificate{d.Certificate, b.Certificate}, level.Over(system).Anchors(), "add does not follow again")

	nobody := level.Replace(nil)
	require.Empty(t, nobody.Over(system).Anchors())
	require.Empty(t, truststore.Level{Replaces: true}.Over(system).Anchors())

	require.Same(t, system, nobody.Reset().Over(system))
}

func TestLevelRaisesTrustAndNeverLowersIt(t *testing.T) {
	t.Parallel()
	a, b := tlstest.NewCA(t), tlstest.NewCA(t)
	system := truststore.NewSet(anchor(a), helper(b))
	level, _ := truststore.Level{}.Add(helper(a))
	require.Same(t, system, level.Over(system))
	level, _ = level.Add(anchor(b))
	require.Equal(t, []*x509.Certificate{a.Certificate, b.Certificate}, level.Over(system).Anchors())
	require.Same(t, level.Own, level.Over(nil))
}

func TestLevelStored(t *testing.T) {
	t.Parallel()
	a, b := tlstest.NewCA(t), tlstest.NewCA(t)
	added, _ := truststore.Level{}.Add(helper(a), anchor(b))
	for _, level := range []truststore.Level{
		{}, added, added.Replace([]*x509.Certificate{a.Certificate}), {Replaces: true},
	} {
		stored, err := level.MarshalBinary()
		require.NoError(t, err)
		var got truststore.Level
		given := bytes.Clone(stored)
		require.NoError(t, got.UnmarshalBinary(given))
		clear(given) // nothing of it may be in use
		require.Equal(t, level.Replaces, got.Replaces)
		require.Len(t, got.Own.Entries(), level.Own.Len())
		for i, e := range got.Own.Entries() {
			require.Equal(t, level.Own.Entries()[i].Cert.Raw, e.Cert.Raw)
			require.Equal(t, level.Own.Entries()[i].Trusted, e.Trusted)
		}
		again, err := got.MarshalBinary()
		require.NoError(t, err)
		require.Equal(t, stored, again)
	}
}

func TestLevelNotStored(t *testing.T) {
	t.Parallel()
	large := tlstest.NewCA(t, tlstest.Padding(30<<10))
	refuses := func(l truststore.Level) {
		t.Helper()
		_, err := l.MarshalBinary()
		var bad *truststore.LevelError
		require.ErrorAs(t, err, &bad)
	}
	constrained, _ := truststore.Level{}.Add(truststore.Entry{Cert: large.Certificate, Trusted: true,
		Constraint: func([]*x509.Certificate) error { return nil }})
	refuses(constrained)
	tooLarge, _ := truststore.Level{}.Add(anchor(tlstest.NewCA(t, tlstest.Padding(truststore.MaxCertificateBytes))))
	refuses(tooLarge)
	var many truststore.Level
	for range truststore.MaxLevelBytes/(30<<10) + 1 {
		many, _ = many.Add(anchor(tlstest.NewCA(t, tlstest.Padding(30<<10))))
	}
	refuses(many)
}

// Every cut and every flipped bit is an error, and leaves the level as it was.
func TestLevelDamaged(t *testing.T) {
	t.Parallel()
	level, _ := truststore.Level{}.Add(anchor(tlstest.NewCA(t)))
	stored, err := level.MarshalBinary()
	require.NoError(t, err)
	refuses := func(b []byte) {
		t.Helper()
		got := truststore.Level{Replaces: true}
		var bad *truststore.LevelError
		require.ErrorAs(t, got.UnmarshalBinary(b), &bad)
		require.Equal(t, truststore.Level{Replaces: true}, got)
	}
	for i := range stored {
		refuses(stored[:i])
		flipped := bytes.Clone(stored)
		flipped[i] ^= 1 << (i % 8)
		refuses(flipped)
	}
	refuses(append(stored, 0))
	refuses(make([]byte, truststore.MaxLevelBytes+1))
}

func FuzzLevelUnmarshal(f *testing.F) {
	level, _ := truststore.Level{Replaces: true}.Add(anchor(tlstest.NewCA(f)), helper(tlstest.NewCA(f)))
	stored, err := level.MarshalBinary()
	require.NoError(f, err)
	f.Add(stored[:len(stored)-sha256.Size])
	f.Add([]byte{1, 0, 0, 0, 0, 0})
	f.Add([]byte{1, 1, 0xff, 0xff, 0xff, 0xff, 1, 0xff, 0xff, 0xff})
	f.Add([]byte{2})
	f.Fuzz(func(t *testing.T, body []byte) {
		sum := sha256.Sum256(body) // the hash is right, or nothing behind it would be reached
		stored := append(bytes.Clone(body), sum[:]...)
		var level truststore.Level
		if err := level.UnmarshalBinary(stored); err != nil {
			var bad *truststore.LevelError
			require.ErrorAs(t, err, &bad)
			require.Equal(t, truststore.Level{}, level)
			return
		}
		again, err := level.MarshalBinary()
		require.NoError(t, err)
		require.Equal(t, stored, again, "there is one form for each level")
	})
}
