package main

import (
	"net/netip"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// FuzzAdminHost: a Host header that is accepted means this machine to a browser too,
// and nothing else, at the port that is served.
func FuzzAdminHost(f *testing.F) {
	for _, host := range []string{"localhost:9090", "127.0.0.1:9090", "[::1]:9090", "127.0.0.2:9090", "evil.example:9090", "localhost@evil:9090", "[::1%25lo]:9090", "localho\u017ft:9090", ":9090", ""} {
		f.Add(host)
	}
	own := netip.MustParseAddrPort("127.0.0.2:9090")
	f.Fuzz(func(t *testing.T, host string) {
		if !isOwnHost(host, own) {
			return
		}
		u, err := url.Parse("http://" + host + "/")
		require.NoError(t, err)
		require.Equal(t, "9090", u.Port())
		name := u.Hostname()
		require.Contains(t, []string{"localhost", "127.0.0.1", "127.0.0.2", "::1"}, strings.ToLower(name))
	})
}
