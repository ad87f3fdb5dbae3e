package tlsengine_test

import (
	"crypto/elliptic"
	"crypto/tls"
	"errors"
	"io"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"securesocket/tlsengine"
	"securesocket/tlsengine/identity"
	"securesocket/tlsengine/tlstest"

	"github.com/stretchr/testify/require"
)

func TestServerConfigErrors(t *testing.T) {
	t.Parallel()
	good := serving(t, tlstest.NewCA(t).Leaf())
	for name, tc := range map[string]struct {
		field  string
		change func(*tlsengine.Config)
	}{
		"no identity":        {"Identities", func(c *tlsengine.Config) { c.Identities = nil }},
		"nil identity":       {"Identities", func(c *tlsengine.Config) { c.Identities = []*identity.Identity{nil} }},
		"unknown level":      {"ClientAuth", func(c *tlsengine.Config) { c.ClientAuth = 6 }},
		"negative level":     {"ClientAuth", func(c *tlsengine.Config) { c.ClientAuth = -1 }},
		"wildcard":           {"VerifyNames", func(c *tlsengine.Config) { c.VerifyNames = []string{"*.example"} }},
		"SSL 3":              {"MinVersion", func(c *tlsengine.Config) { c.MinVersion = 0x300 }},
		"unknown suite":      {"CipherSuites", func(c *tlsengine.Config) { c.CipherSuites = []uint16{0xfefe} }},
		"nothing to require": {"RequireALPN", func(c *tlsengine.Config) { c.RequireALPN = true }},
		"nil anchor":         {"Trust.Anchors", func(c *tlsengine.Config) { c.Trust = anchors(nil) }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := *good
			tc.change(&cfg)
			_, err := tlsengine.Server(t.Context(), nil, &cfg, nil)
			var ce *tlsengine.ConfigError
			require.ErrorAs(t, err, &ce)
			require.Equal(t, tc.field, ce.Field)
		})
	}
	_, err := tlsengine.Server(t.Context(), nil, nil, nil)
	var ce *tlsengine.ConfigError
	require.ErrorAs(t, err, &ce)

	// A client that takes its peer for a client would ask for no name.
	_, err = tlsengine.Client(t.Context(), nil, &tlsengine.Config{PeerIsClient: true})
	require.ErrorAs(t, err, &ce)
	require.Equal(t, "PeerIsClient", ce.Field)
}

func TestServerState(t *testing.T) {
	t.Parallel()
	bothVersions(t, func(t *testing.T, version uint16) {
		ca := tlstest.NewCA(t)
		for _, sent := range []string{"localhost", "LOCALHOST", ""} {
			config := clientConfig(ca, version)
			config.ServerName, config.InsecureSkipVerify = sent, true
			raw, out := clientHears(t, config)
			cfg := serving(t, ca.Leaf())
			cfg.ServerName = "a b" // ignored
			conn, err := tlsengine.Server(t.Context(), raw, cfg, nil)
			require.NoError(t, err)
			state := conn.State()
			require.Equal(t, sent, state.ServerName)
			require.Equal(t, version, state.Version)
			require.NotZero(t, state.Group)
			suite, ok := tlsengine.SuiteByID(state.CipherSuite)
			require.True(t, ok)
			require.Equal(t, version == tls.VersionTLS13, suite.TLS13)
			require.False(t, state.Resumed)
			require.Equal(t, tlsengine.NotRequested, state.ClientCertificate)
			require.NoError(t, conn.Close())
			require.Equal(t, io.EOF, (<-out).err)
		}
	})
}

// What cannot be a server name is not passed on.
func TestHostileServerName(t *testing.T) {
	t.Parallel()
	bothVersions(t, func(t *testing.T, version uint16) {
		ca := tlstest.NewCA(t)
		for _, name := range []string{"a\x00b", "a\x80", "two words", strings.Repeat("x", 300)} {
			config := clientConfig(ca, version)
			config.ServerName, config.InsecureSkipVerify = name, true
			raw, out := clientHears(t, config)
			conn, err := tlsengine.Server(t.Context(), raw, serving(t, ca.Leaf()), nil)
			require.NoError(t, err)
			require.Empty(t, conn.State().ServerName)
			require.NoError(t, conn.Close())
			require.Equal(t, io.EOF, (<-out).err)
		}
	})
}

// ticketCounter counts what a client is given for resumption.
type ticketCounter struct {
	tls.ClientSessionCache
	tickets atomic.Int32
}

func (c *ticketCounter) Put(key string, cs *tls.ClientSessionState) {
	c.tickets.Add(1)
	c.ClientSessionCache.Put(key, cs)
}

func TestServerResumesNothing(t *testing.T) {
	t.Parallel()
	bothVersions(t, func(t *testing.T, version uint16) {
		ca := tlstest.NewCA(t)
		config := clientConfig(ca, version)
		cache := &ticketCounter{ClientSessionCache: tls.NewLRUClientSessionCache(10)}
		config.ClientSessionCache = cache
		cfg := serving(t, ca.Leaf())
		cfg.Sessions = new(tlsengine.Sessions).For("owner", [32]byte{}) // ignored
		for range 2 {
			raw, out := clientHears(t, config)
			conn, err := tlsengine.Server(t.Context(), raw, cfg, nil)
			require.NoError(t, err)
			_, err = conn.Write([]byte("x"))
			require.NoError(t, err)
			h := <-out
			require.Equal(t, "x", h.data)
			require.False(t, h.conn.ConnectionState().DidResume)
			require.False(t, conn.State().Resumed)
			require.NoError(t, conn.Abort())
		}
		require.Zero(t, cache.tickets.Load())
	})
}

// The client's algorithms decide among keys, and its server name among leaves.
func TestServerSelectsItsIdentity(t *testing.T) {
	t.Parallel()
	ca := tlstest.NewCA(t)
	rsa, p256, ed := ca.Leaf(tlstest.RSA(2048)), ca.Leaf(tlstest.ECDSA(elliptic.P256())), ca.Leaf(tlstest.Ed25519())
	one, two, wild := ca.Leaf(tlstest.Names("one.example")), ca.Leaf(tlstest.Names("two.example")), ca.Leaf(tlstest.Names("*.three.example"))
	all := serving(t, one, two, wild)
	for name, row := range map[string]struct {
		cfg  *tlsengine.Config
		sni  string
		want *tlstest.Identity
	}{
		"first":        {all, "one.example", one},
		"second":       {all, "two.example", two},
		"case":         {all, "TWO.Example", two},
		"wildcard":     {all, "x.three.example", wild},
		"too deep":     {all, "x.y.three.example", one},
		"unknown":      {all, "four.example", one},
		"none":         {all, "", one},
		"any key":      {serving(t, rsa, p256, ed), "localhost", rsa},
		"another one":  {serving(t, ed, p256, rsa), "localhost", ed},
		"a third":      {serving(t, p256, ed, rsa), "localhost", p256},
		"name is more": {serving(t, rsa, two), "two.example", two},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bothVersions(t, func(t *testing.T, version uint16) {
				config := clientConfig(ca, version)
				config.ServerName, config.InsecureSkipVerify = row.sni, true
				raw, out := clientHears(t, config)
				conn, err := tlsengine.Server(t.Context(), raw, row.cfg, nil)
				require.NoError(t, err)
				require.NoError(t, conn.Close())
				cs := (<-out).conn.ConnectionState()
				require.True(t, cs.PeerCertificates[0].Equal(row.want.Leaf))
			})
		})
	}
	// Suites of TLS 1.2 name the kind of key.
	for suite, want := range map[uint16]*tlstest.Identity{
		tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256: rsa, tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256: p256,
	} {
		config := clientConfig(ca, tls.VersionTLS12)
		config.CipherSuites = []uint16{suite}
		for _, cfg := range []*tlsengine.Config{serving(t, rsa, p256), serving(t, p256, rsa)} {
			raw, out := clientHears(t, config)
			conn, err := tlsengine.Server(t.Context(), raw, cfg, nil)
			require.NoError(t, err)
			require.NoError(t, conn.Close())
			cs := (<-out).conn.ConnectionState()
			require.True(t, cs.PeerCertificates[0].Equal(want.Leaf))
		}
		other := map[*tlstest.Identity]*tlstest.Identity{rsa: p256, p256: rsa}[want]
		raw, out := clientHears(t, config)
		_, err := tlsengine.Server(t.Context(), raw, serving(t, other), nil)
		he := requireKind(t, err, tlsengine.Incompatible)
		require.Equal(t, tlsengine.AlertError{Alert: handshakeFailure}, *he.Alert)
		require.EqualValues(t, handshakeFailure, peerAlert((<-out).err))
	}
}

func TestServerALPN(t *testing.T) {
	t.Parallel()
	ca := tlstest.NewCA(t)
	list := func(p ...string) []string { return p }
	for name, row := range map[string]struct {
		ours, theirs []string
		require      bool
		want         string
		alert        uint8 // refused
	}{
		"nobody has any":           {nil, nil, false, "", 0},
		"only the client":          {nil, list("imap"), false, "", 0},
		"only the server":          {list("imap"), nil, false, "", 0},
		"one in common":            {list("pop3", "imap"), list("imap", "smtp"), false, "imap", 0},
		"ours decides":             {list("pop3", "imap"), list("imap", "pop3"), false, "pop3", 0},
		"none in common":           {list("pop3"), list("imap"), false, "", 120},
		"h2 and http/1.1":          {list("h2"), list("http/1.1"), false, "", handshakeFailure},
		"required, in common":      {list("imap"), list("imap"), true, "imap", 0},
		"required, none offered":   {list("imap"), nil, true, "", handshakeFailure},
		"required, none in common": {list("imap"), list("pop3"), true, "", 120},
		"required, h2 alone":       {list("h2"), list("http/1.1"), true, "", handshakeFailure},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bothVersions(t, func(t *testing.T, version uint16) {
				config := clientConfig(ca, version)
				config.NextProtos = row.theirs
				raw, out := clientHears(t, config)
				cfg := serving(t, ca.Leaf())
				cfg.ALPN, cfg.RequireALPN = row.ours, row.require
				conn, err := tlsengine.Server(t.Context(), raw, cfg, nil)
				if row.alert != 0 {
					he := requireKind(t, err, tlsengine.ALPNMismatch)
					require.Equal(t, tlsengine.AlertError{Alert: row.alert}, *he.Alert)
					require.Equal(t, row.alert, peerAlert((<-out).err))
					return
				}
				require.NoError(t, err)
				require.Equal(t, row.want, conn.State().ALPN)
				require.NoError(t, conn.Close())
				require.Equal(t, row.want, (<-out).conn.ConnectionState().NegotiatedProtocol)
			})
		})
	}
}

func TestServerIncompatible(t *testing.T) {
	t.Parallel()
	ca := tlstest.NewCA(t)
	for name, row := range map[string]struct {
		client func(*tls.Config)
		server func(*tlsengine.Config)
		alert  uint8
	}{
		"client too old": {func(c *tls.Config) { c.MaxVersion = tls.VersionTLS12 }, func(c *tlsengine.Config) { c.MinVersion = tls.VersionTLS13 }, 70},
		"client too new": {func(c *tls.Config) { c.MinVersion = tls.VersionTLS13 }, func(c *tlsengine.Config) { c.MaxVersion = tls.VersionTLS12 }, 70},
		"suites": {func(c *tls.Config) {
			c.MaxVersion, c.CipherSuites = tls.VersionTLS12, []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384}
		}, func(c *tlsengine.Config) {
			c.CipherSuites = []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256}
		}, handshakeFailure},
		"groups": {func(c *tls.Config) { c.CurvePreferences = []tls.CurveID{tls.CurveP521} }, func(c *tlsengine.Config) {
			c.Groups = []uint16{uint16(tls.X25519)}
		}, handshakeFailure},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			config := &tls.Config{RootCAs: ca.Pool(), ServerName: "localhost"}
			row.client(config)
			cfg := serving(t, ca.Leaf())
			row.server(cfg)
			raw, out := clientHears(t, config)
			_, err := tlsengine.Server(t.Context(), raw, cfg, nil)
			he := requireKind(t, err, tlsengine.Incompatible)
			require.Equal(t, tlsengine.AlertError{Alert: row.alert}, *he.Alert)
			require.Equal(t, row.alert, peerAlert((<-out).err))
		})
	}
}

func TestServerHasGroupsAndOldVersionsWhenAsked(t *testing.T) {
	t.Parallel()
	ca := tlstest.NewCA(t)
	cfg := serving(t, ca.Leaf(tlstest.RSA(2048)))
	cfg.Groups = []uint16{uint16(tls.CurveP384)}
	raw, _ := clientHears(t, clientConfig(ca, tls.VersionTLS13)) // which is asked to retry
	conn, err := tlsengine.Server(t.Context(), raw, cfg, nil)
	require.NoError(t, err)
	require.EqualValues(t, tls.CurveP384, conn.State().Group)
	require.NoError(t, conn.Abort())

	config := clientConfig(ca, tls.VersionTLS10)
	config.CipherSuites = []uint16{tls.TLS_RSA_WITH_AES_128_CBC_SHA}
	cfg.MinVersion, cfg.CipherSuites = tls.VersionTLS10, config.CipherSuites
	raw, _ = clientHears(t, config)
	conn, err = tlsengine.Server(t.Context(), raw, cfg, nil)
	require.NoError(t, err)
	require.EqualValues(t, tls.VersionTLS10, conn.State().Version)
	require.Zero(t, conn.State().Group)
	require.NoError(t, conn.Abort())
}

func TestManyServersAtOnce(t *testing.T) {
	t.Parallel()
	ca := tlstest.NewCA(t)
	cfg := serving(t, ca.Leaf(), ca.Leaf(tlstest.Ed25519()))
	cfg.ClientAuth, cfg.Trust = tlsengine.ClientAuthRequireAndVerify, anchors(ca.Certificate)
	id := ca.Leaf(forClients)
	var wg sync.WaitGroup
	failures := make(chan error, 200)
	for n := range 200 {
		version := []uint16{tls.VersionTLS12, tls.VersionTLS13}[n%2]
		raw := tlstest.Connect(t, showing(clientConfig(ca, version), id), tlstest.Echo)
		wg.Go(func() {
			conn, err := tlsengine.Server(t.Context(), raw, cfg, nil)
			if err == nil {
				_, err = conn.Write([]byte{byte(n)})
			}
			got := make([]byte, 2)
			if err == nil {
				_, err = io.ReadFull(conn, got[:1])
			}
			if err == nil && got[0] != byte(n) {
				err = errors.New("another's byte")
			}
			if err == nil {
				err = conn.Close()
			}
			failures <- err
		})
	}
	wg.Wait()
	for range 200 {
		require.NoError(t, <-failures)
	}
}
