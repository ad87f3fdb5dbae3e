package egress

import (
	"net/netip"
	"strings"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// drawPolicy draws flags, own addresses and, half of the time, a file.
func drawPolicy(t *rapid.T) *Policy {
	entries := rapid.SliceOfN(rapid.SampledFrom([]string{
		"0.0.0.0/0", "::/0", "10.0.0.0/8", "127.0.0.0/8", "127.0.0.1:443", "::1", "192.0.2.0/24", "8.8.8.8:25",
		"::/96", "::ffff:0:0:0/96", "64:ff9b::/96", "64:ff9b:1::/48", "2002::/16", "2001::/32", "2606::/16", "::ffff:10.0.0.0/104",
		"allowed.example", "allowed.example:443", "*.example", "localhost",
	}), 0, 4).Draw(t, "allow")
	own := rapid.SliceOfN(rapid.SampledFrom([]netip.AddrPort{
		netip.MustParseAddrPort("127.0.0.1:443"), netip.MustParseAddrPort("0.0.0.0:8443"), netip.MustParseAddrPort("[::]:8443"),
		netip.MustParseAddrPort("10.0.0.1:443"), netip.MustParseAddrPort("8.8.8.8:443"),
	}), 0, 2).Draw(t, "own")
	cfg := Config{Allow: entries, HasAllowList: rapid.Bool().Draw(t, "list"), Own: own}
	if rapid.Bool().Draw(t, "with a file") {
		cfg.File = drawFile(t)
	}
	p, err := newPolicy(cfg, testInterfaces)
	require.NoError(t, err)
	return p
}

func drawFile(t *rapid.T) *File {
	var text strings.Builder
	text.WriteString("mode: " + rapid.SampledFrom([]string{"enforce", "enforce", "report"}).Draw(t, "mode") + "\n")
	for _, key := range []string{"deny", "allow"} {
		if !rapid.Bool().Draw(t, key) {
			continue
		}
		var rules []string
		for range rapid.IntRange(0, 3).Draw(t, "rules") {
			rule := "to: [" + strings.Join(rapid.SliceOfN(rapid.SampledFrom([]string{
				`10.0.0.0/8`, `127.0.0.0/8`, `8.8.8.8`, `"0.0.0.0/0"`, `"::/0"`, `"64:ff9b::/96"`, `"::1"`, `192.168.0.0/16`,
				`allowed.example`, `other.example`, `localhost`, `metadata.google.internal`, `"*.example"`, `"*.localhost"`, `"*"`,
			}), 1, 3).Draw(t, "to"), ", ") + "]"
			if key == "allow" || rapid.Bool().Draw(t, "has ports") {
				rule += ", ports: " + rapid.SampledFrom([]string{"443", "[25, 80]", "1-65535", "[80-443]"}).Draw(t, "ports")
			}
			if rapid.Bool().Draw(t, "has callers") {
				rule += ", callers: " + rapid.SampledFrom([]string{`"uid:1"`, `"uid:*"`, `["uid:1", "spiffe://a/*"]`, `"*"`}).Draw(t, "callers")
			}
			if rapid.Bool().Draw(t, "has when") {
				rule += ", when: " + rapid.SampledFrom([]string{
					`'port == 443'`, `'host.endsWith(".example")'`, `'address.startsWith("10.")'`, `'!address.startsWith("127.")'`,
					`'address == ""'`, `'host == address'`, `'caller == "uid:1"'`, `'1 / (port - 80) > 0'`, `'1 / (size(address) - 8) >= 0'`, `'false'`,
				}).Draw(t, "when")
			}
			rules = append(rules, "{"+rule+"}")
		}
		text.WriteString(key + ": [" + strings.Join(rules, ", ") + "]\n")
	}
	f, err := ParseFile("drawn.yaml", []byte(text.String()))
	require.NoError(t, err, "%s", &text)
	return f
}

func drawName(t *rapid.T) string {
	return rapid.SampledFrom([]string{
		"allowed.example", "other.example", "a.b.example", "elsewhere.test", "localhost", "a.localhost", "metadata.google.internal",
	}).Draw(t, "name")
}

func drawCaller(t *rapid.T) string {
	return rapid.SampledFrom([]string{"", "uid:1", "uid:12", "spiffe://a/b"}).Draw(t, "caller")
}

func drawPort(t *rapid.T) uint16 {
	return rapid.SampledFrom([]uint16{25, 80, 443, 8443}).Draw(t, "port")
}
