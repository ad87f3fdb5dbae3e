package egress

import (
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"
)

// Threat 4. Every edge of every special-purpose block, asked for as a literal that
// is parsed, by every caller, under a policy that allows every port of everything:
// * frees from nothing.
func TestSpecialPurposeLiterals(t *testing.T) {
	t.Parallel()
	open := filePolicy(t, Config{}, `allow: [{to: "*", ports: 1-65535}, {to: "*.example", callers: "uid:1"}]`)
	blocks := testBlocks(t)
	for _, b := range blocks {
		for _, a := range edges(b.prefix) {
			target, err := ParseHost(a.String())
			require.NoError(t, err)
			want := wantRule(blocks, target.Addr)
			for _, in := range embedded(target.Addr) {
				if want == "" {
					want = wantRule(blocks, in)
				}
			}
			require.Equal(t, want, verdict(t, open.CheckName("uid:1", target, 443)), "%v", a)
			require.Equal(t, want, verdict(t, open.CheckAddr("uid:1", target, netip.AddrPortFrom(a, 443))), "%v", a)
			require.Equal(t, want, verdict(t, open.CheckAddr("uid:1", Target{Name: "a.example"}, netip.AddrPortFrom(a, 443))), "%v", a)
		}
	}
}

// Threat 6. Twelve spellings of one address: refused, or judged as the address.
func TestTwelveSpellings(t *testing.T) {
	t.Parallel()
	var p Policy
	for spelling, canonical := range map[string]string{
		"127.0.0.1":              "127.0.0.1",
		"127.1":                  "",
		"0177.0.0.1":             "",
		"127.0.0.01":             "",
		"2130706433":             "",
		"017700000001":           "",
		"0x7f.1":                 "",
		"0x7f000001":             "",
		"１２７．０．０．１":              "",
		"127.0.0.1.":             "",
		"[127.0.0.1]":            "",
		"::ffff:127.0.0.1":       "127.0.0.1",
		"::ffff:7f00:1":          "127.0.0.1",
		"0:0:0:0:0:FFFF:7F00:01": "127.0.0.1",
		"[::1]":                  "",
		"::1%lo":                 "",
		"0::0:1":                 "::1",
		"64:ff9b::127.0.0.1":     "64:ff9b::7f00:1",
	} {
		target, err := ParseHost(spelling)
		if canonical == "" {
			var syntax *SyntaxError
			require.ErrorAs(t, err, &syntax, spelling)
			continue
		}
		require.NoError(t, err, spelling)
		require.Equal(t, canonical, target.String(), spelling)
		require.Equal(t, "special-purpose/loopback", verdict(t, p.CheckName("", target, 443)), spelling)
	}
}

// Threat 10. Each cloud's metadata service, by address and by name, also where a
// rule allows everything below its domain.
func TestCloudMetadata(t *testing.T) {
	t.Parallel()
	open := filePolicy(t, Config{}, `allow: [{to: ["*.internal", "*.goog", "*.com", "*:80"]}]`)
	for cloud, hosts := range map[string][]string{
		"AWS":           {"169.254.169.254", "fd00:ec2::254", "169.254.170.2", "instance-data", "instance-data.ec2.internal"},
		"Google Cloud":  {"169.254.169.254", "metadata.google.internal", "METADATA.google.internal", "metadata.goog", "fd20:ce::254"},
		"Azure":         {"169.254.169.254", "168.63.129.16"},
		"Alibaba Cloud": {"100.100.100.200"},
		"Oracle Cloud":  {"192.0.0.192", "169.254.169.254", "fd00:c1::a9fe:a9fe"},
		"Tencent Cloud": {"169.254.0.23", "metadata.tencentyun.com"},
		"Equinix Metal": {"metadata.platformequinix.com"},
		"DigitalOcean":  {"169.254.169.254"},
		"Hetzner":       {"169.254.169.254"},
		"embedded":      {"::ffff:169.254.169.254", "64:ff9b::a9fe:a9fe", "2002:a9fe:a9fe::", "64:ff9b::168.63.129.16", "::100.100.100.200"},
	} {
		for _, host := range hosts {
			target, err := ParseHost(host)
			require.NoError(t, err)
			for _, p := range []*Policy{{}, open} {
				require.NotEmpty(t, verdict(t, p.CheckName("", target, 80)), "%s: %s", cloud, host)
				at := target.Addr
				if !at.IsValid() {
					at = addr("8.8.8.8") // whatever it resolves to
				}
				require.NotEmpty(t, verdict(t, p.CheckAddr("", target, netip.AddrPortFrom(at, 80))), "%s: %s", cloud, host)
			}
		}
	}
}
