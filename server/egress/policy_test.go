package egress

import (
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"
)

// One target, and each rule in turn added above the one that decided before.
func TestOrderOfRules(t *testing.T) {
	t.Parallel()
	private := netip.MustParseAddrPort("10.0.0.1:443")
	public := netip.MustParseAddrPort("8.8.8.8:443")
	host := Target{Name: "db.example"}

	for _, c := range []struct {
		name            string
		cfg             Config
		private, public string
	}{
		{"nothing", Config{}, "special-purpose/private-use", ""},
		{"empty allow list", Config{HasAllowList: true}, "special-purpose/private-use", RuleNotInAllowList},
		{"allowed, no list", Config{Allow: []string{"10.0.0.0/8"}}, "", ""},
		{"allow list", Config{Allow: []string{"10.0.0.0/8"}, HasAllowList: true}, "", RuleNotInAllowList},
		{"allow list of other port", Config{Allow: []string{"10.0.0.1:80"}, HasAllowList: true}, "special-purpose/private-use", RuleNotInAllowList},
		{"name", Config{Allow: []string{"db.example"}, HasAllowList: true}, "", ""},
		{"name and port", Config{Allow: []string{"db.example:443"}, HasAllowList: true}, "", ""},
		{"name and other port", Config{Allow: []string{"db.example:80"}, HasAllowList: true}, "special-purpose/private-use", RuleNotInAllowList},
		{"below, which does not lead inside", Config{Allow: []string{"*.example"}, HasAllowList: true}, "special-purpose/private-use", ""},
		{"not the apex", Config{Allow: []string{"*.db.example"}, HasAllowList: true}, "special-purpose/private-use", RuleNotInAllowList},
		{"own before allow", Config{
			Allow: []string{"10.0.0.0/8", "db.example"}, Own: []netip.AddrPort{private, public},
		}, RuleOwnAddress, RuleOwnAddress},
	} {
		p := policy(t, c.cfg)
		require.Equal(t, c.private, verdict(t, p.CheckAddr("", host, private)), c.name)
		require.Equal(t, c.public, verdict(t, p.CheckAddr("", host, public)), c.name)
	}
}

func TestCheckName(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		port int
		cfg  Config
		want string
	}{
		{"example.com", 443, Config{}, ""},
		{"example.com", 443, Config{HasAllowList: true}, RuleNotInAllowList},
		{"example.com", 443, Config{HasAllowList: true, Allow: []string{"other.example"}}, RuleNotInAllowList},
		{"example.com", 443, Config{HasAllowList: true, Allow: []string{"example.com:80"}}, RuleNotInAllowList},
		{"example.com", 443, Config{HasAllowList: true, Allow: []string{"*.example.com"}}, RuleNotInAllowList},
		{"example.com", 443, Config{HasAllowList: true, Allow: []string{"EXAMPLE.com"}}, ""},
		{"xn--bcher-kva.de", 443, Config{HasAllowList: true, Allow: []string{"*.de"}}, ""},
		{"xn--bcher-kva.de", 443, Config{HasAllowList: true, Allow: []string{"bücher.de:443"}}, ""},
		{"a.b.example.com", 443, Config{HasAllowList: true, Allow: []string{"*.example.com:443"}}, ""},
		{"badexample.com", 443, Config{HasAllowList: true, Allow: []string{"*.example.com"}}, RuleNotInAllowList},
		// It may resolve into what is allowed.
		{"example.com", 443, Config{HasAllowList: true, Allow: []string{"8.8.8.0/24"}}, ""},
		{"example.com", 443, Config{HasAllowList: true, Allow: []string{"8.8.8.8:80"}}, RuleNotInAllowList},

		{"localhost", 443, Config{}, "special-purpose/localhost"},
		{"a.localhost", 443, Config{}, "special-purpose/localhost"},
		{"notlocalhost", 443, Config{}, ""},
		{"localhost.example", 443, Config{}, ""},
		{"localhost", 443, Config{Allow: []string{"localhost"}}, ""},
		{"localhost", 443, Config{Allow: []string{"localhost:80"}}, "special-purpose/localhost"},
		{"a.localhost", 443, Config{Allow: []string{"localhost"}}, "special-purpose/localhost"},
		{"a.localhost", 443, Config{Allow: []string{"*.localhost"}}, "special-purpose/localhost"},
		{"a.localhost", 443, Config{Allow: []string{"a.localhost"}}, ""},
		{"localhost", 443, Config{Allow: []string{"127.0.0.0/8"}, HasAllowList: true}, ""},
		{"localhost", 443, Config{Allow: []string{"127.0.0.1:443"}}, ""},
		{"localhost", 443, Config{Allow: []string{"127.0.0.1:80"}}, "special-purpose/localhost"},
		{"localhost", 443, Config{Allow: []string{"::1"}}, ""},
		{"localhost", 443, Config{Allow: []string{"::ffff:127.0.0.1"}}, ""},
		{"localhost", 443, Config{Allow: []string{"0.0.0.0/0"}}, ""},
		{"localhost", 443, Config{Allow: []string{"10.0.0.0/8", "fd00::/8"}}, "special-purpose/localhost"},

		{"metadata.google.internal", 80, Config{}, "special-purpose/metadata-name"},
		{"metadata.google.internal", 80, Config{Allow: []string{"169.254.169.254"}}, "special-purpose/metadata-name"},
		{"metadata.google.internal", 80, Config{Allow: []string{"metadata.google.internal"}}, ""},
	} {
		require.Equal(t, c.want, verdict(t, policy(t, c.cfg).CheckName("", Target{Name: c.name}, c.port)), "%+v", c)
	}
}

func TestCheckNameOfAnAddress(t *testing.T) {
	t.Parallel()
	var p Policy
	require.Equal(t, "special-purpose/loopback", verdict(t, p.CheckName("", Target{Addr: addr("127.0.0.1")}, 443)))
	require.Equal(t, "", verdict(t, p.CheckName("", Target{Addr: addr("8.8.8.8")}, 443)))
	require.Equal(t, RulePort25, verdict(t, p.CheckName("", Target{Addr: addr("8.8.8.8")}, 25)))
}

// CheckAddr does not rely on CheckName having been asked.
func TestCheckAddrOfSpecialNames(t *testing.T) {
	t.Parallel()
	var p Policy
	public := netip.MustParseAddrPort("8.8.8.8:80")
	loopback := netip.MustParseAddrPort("127.0.0.1:80")
	local, metadata := Target{Name: "localhost"}, Target{Name: "metadata.google.internal"}
	require.Equal(t, "special-purpose/localhost", verdict(t, p.CheckAddr("", local, public)))
	require.Equal(t, "special-purpose/localhost", verdict(t, p.CheckAddr("", local, loopback)))
	require.Equal(t, "special-purpose/metadata-name", verdict(t, p.CheckAddr("", metadata, public)))

	free := policy(t, Config{Allow: []string{"127.0.0.0/8", "8.8.8.8"}})
	require.Equal(t, "", verdict(t, free.CheckAddr("", local, loopback)))
	require.Equal(t, "special-purpose/localhost", verdict(t, free.CheckAddr("", local, public)), "localhost is the loopback or nothing")
	require.Equal(t, "special-purpose/metadata-name", verdict(t, free.CheckAddr("", metadata, public)))
}

func TestCheckAddrWithoutAddress(t *testing.T) {
	t.Parallel()
	p := policy(t, Config{Allow: []string{"example.com", "0.0.0.0/0", "::/0"}})
	require.Equal(t, RuleInvalidAddress, verdict(t, p.CheckAddr("", Target{Name: "example.com"}, netip.AddrPort{})))
}

// A remedy, followed, is a remedy.
func TestRemedyOfEmbeddedAddressNamesTheInner(t *testing.T) {
	t.Parallel()
	p := policy(t, Config{Allow: []string{"64:ff9b::/96"}})
	outer := netip.MustParseAddrPort("[64:ff9b::a00:1]:443")
	var d *DeniedError
	require.ErrorAs(t, p.CheckAddr("", Target{}, outer), &d)
	require.Contains(t, d.Remedy, "--egress-allow 10.0.0.1:443")
	p = policy(t, Config{Allow: []string{"64:ff9b::/96", "10.0.0.1:443"}})
	require.Equal(t, "", verdict(t, p.CheckAddr("", Target{}, outer)))
}
