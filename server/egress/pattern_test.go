package egress

import (
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestParsePattern(t *testing.T) {
	t.Parallel()
	prefix := netip.MustParsePrefix
	for entry, want := range map[string]pattern{
		"10.0.0.0/8":            {prefix: prefix("10.0.0.0/8")},
		"0.0.0.0/0":             {prefix: prefix("0.0.0.0/0")},
		"::/0":                  {prefix: prefix("::/0")},
		"2001:DB8::/32":         {prefix: prefix("2001:db8::/32")},
		"::ffff:10.0.0.0/104":   {prefix: prefix("10.0.0.0/8")},
		"::ffff:0:0/96":         {prefix: prefix("0.0.0.0/0")},
		"10.0.0.1":              {prefix: prefix("10.0.0.1/32")},
		"10.0.0.1:443":          {prefix: prefix("10.0.0.1/32"), port: 443},
		"2001:db8::1":           {prefix: prefix("2001:db8::1/128")},
		"2001:db8::1:443":       {prefix: prefix("2001:db8::1:443/128")},
		"[2001:db8::1]:443":     {prefix: prefix("2001:db8::1/128"), port: 443},
		"[::ffff:10.0.0.1]:443": {prefix: prefix("10.0.0.1/32"), port: 443},
		"::ffff:10.0.0.1":       {prefix: prefix("10.0.0.1/32")},
		"Example.COM":           {name: "example.com"},
		"example.com:65535":     {name: "example.com", port: 65535},
		"*.example.com":         {name: "example.com", below: true},
		"*.bücher.example:25":   {name: "xn--bcher-kva.example", below: true, port: 25},
		"*.internal":            {name: "internal", below: true},
	} {
		got, err := parsePattern(entry)
		require.NoError(t, err, entry)
		require.Equal(t, want, got, entry)
	}
}

func TestMalformedPatterns(t *testing.T) {
	t.Parallel()
	for _, entry := range []string{
		"", " ", "*", "*.", "*:443", "**.example.com", "a.*.example.com", "*example.com", "*.*.example.com", "example.*", ".example.com",
		"*.127.0.0.1", "*.::1", "*.10.0.0.1:80", "[*.example.com]:443",
		"10.0.0.1/8", "10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/08", "10.0.0.0/", "/8", "10/8", "10.0.0.0/8:443", "10.0.0.0/255.0.0.0",
		"example.com/24", "fe80::%eth0/64", "2001:db8::1/32", "::ffff:10.0.0.1/104", "[::1]/128",
		"127.1", "0x7f.1", "2130706433", "0177.0.0.1", "127.1:80", "fe80::1%eth0", "[fe80::1%eth0]:80",
		"example.com:", "example.com:0", "example.com:00", "example.com:080", "example.com:+80", "example.com:65536", "example.com:http", "example.com:-1", "example.com: 80",
		":443", ":", "[]:443", "[::1]", "[::1]:", "[::1]:0", "[::1]443", "[::1:443", "::1]:443", "[10.0.0.1]:443", "[10.0.0.1]", "[example.com]:443",
		"1:2:3:4:5:6:7:8:443", "example.com:443:443",
		"example.com.", "exa mple.com", "https://example.com", "user@example.com", "a,b", "example.com,10.0.0.1", "a\x00b",
	} {
		p, err := New(Config{Allow: []string{"example.com", entry}})
		var rule *RuleError
		require.ErrorAs(t, err, &rule, "%q", entry)
		require.Equal(t, entry, rule.Entry)
		require.NotEmpty(t, rule.Why)
		require.Nil(t, p)
	}
}

// The configuration is copied: a Policy does not change when its Config does.
func TestPolicyIsASnapshot(t *testing.T) {
	t.Parallel()
	cfg := Config{Allow: []string{"10.0.0.0/8"}, Own: []netip.AddrPort{netip.MustParseAddrPort("8.8.8.8:443")}}
	p := policy(t, cfg)
	cfg.Allow[0], cfg.Own[0] = "example.com", netip.MustParseAddrPort("8.8.4.4:443")
	require.Equal(t, "", judge(t, p, addr("10.0.0.1"), 443))
	require.Equal(t, RuleOwnAddress, judge(t, p, addr("8.8.8.8"), 443))
}
