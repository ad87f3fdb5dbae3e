package egress

import (
	"errors"
	"net/netip"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestParseHostAccepts(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("a", 63)
	for host, want := range map[string]Target{
		"example.com":           {Name: "example.com"},
		"EXAMPLE.Com":           {Name: "example.com"},
		"redis":                 {Name: "redis"},
		"localhost":             {Name: "localhost"},
		"1e100.net":             {Name: "1e100.net"},
		"7.example":             {Name: "7.example"},
		"127.0.0.1.example":     {Name: "127.0.0.1.example"},
		"0x7f.example":          {Name: "0x7f.example"},
		"a.0xfg":                {Name: "a.0xfg"},
		"_dmarc.example.com":    {Name: "_dmarc.example.com"},
		"a_b.example.com":       {Name: "a_b.example.com"},
		"r3---sn-ab.example":    {Name: "r3---sn-ab.example"},
		"bücher.example":        {Name: "xn--bcher-kva.example"},
		"BÜCHER.example":        {Name: "xn--bcher-kva.example"},
		"_dmarc.bücher.de":      {Name: "_dmarc.xn--bcher-kva.de"},
		"XN--BCHER-KVA.de":      {Name: "xn--bcher-kva.de"},
		"straße.de":             {Name: "xn--strae-oqa.de"}, // non-transitional
		"ｅｘａｍｐｌｅ．ｃｏｍ":           {Name: "example.com"},
		"example。com":           {Name: "example.com"},
		"loc\u00adalhost":       {Name: "localhost"}, // a soft hyphen maps to nothing
		"ⓛocalhost":             {Name: "localhost"},
		long + ".example":       {Name: long + ".example"},
		"192.0.2.1":             {Addr: netip.MustParseAddr("192.0.2.1")},
		"2001:DB8:0::1":         {Addr: netip.MustParseAddr("2001:db8::1")},
		"::":                    {Addr: netip.IPv6Unspecified()},
		"::ffff:192.0.2.1":      {Addr: netip.MustParseAddr("192.0.2.1")},
		"0:0:0:0:0:ffff:7f00:1": {Addr: netip.MustParseAddr("127.0.0.1")},
		"64:ff9b::192.0.2.1":    {Addr: netip.MustParseAddr("64:ff9b::c000:201")},
	} {
		got, err := ParseHost(host)
		require.NoError(t, err, "%q", host)
		require.Equal(t, want, got, "%q", host)
		again, err := ParseHost(got.String())
		require.NoError(t, err, "%q", got)
		require.Equal(t, got, again)
	}
}

// refusedHosts is also the seed of FuzzParseTarget.
var refusedHosts = []string{
	// Spellings of 127.0.0.1 that inet_aton, URL parsers or resolvers accept.
	"127.1", "127.0.1", "0177.0.0.1", "127.0.0.01", "127.000.000.001", "2130706433", "017700000001",
	"0x7f.1", "0x7f000001", "0X7F.0.0.1", "0x7f.0x0.0x0.0x1", "0x", "1.0x", "127.0.0.0x1", "127.0.0.1.",
	"127.0.0.1.5", "256.1.1.1", "1.2.3", "0", "00", "example.1", "example.0x1f", "999999999999999999999",
	// The same after mapping: full-width and circled digits, other dots.
	"１２７．０．０．１", "１２７.0.0.1", "127。0。0。1", "127．0．0．1", "127｡0｡0｡1", "①②⑦.⓪.⓪.①", "²¹³⁰706433",
	"０ｘ７ｆ.1", "127.0.0.\u00ad1", "١٢٧.٠.٠.١",
	// Brackets, zones, ports, URLs.
	"[::1]", "[127.0.0.1]", "[::1", "::1]", "fe80::1%eth0", "fe80::1%25eth0", "::1%", "127.0.0.1%lo", "example.com%00",
	"example.com:443", "127.0.0.1:80", ":", ":::", "1::2::3", "::1:", "12345::", "::ffff:127.1", "::ffff:0177.0.0.1",
	"http://example.com", "example.com/", "/", "user@example.com", "@", "a＠b", "a／b", "a：b", "℀.example", "⒈com",
	// Dots and lengths.
	"example.com.", "example.com。", ".", "..", ".example.com", "a..b", "。a", "a。。b", "\u00ad", "a.\u00ad.b", "\u200b",
	strings.Repeat("a", 64), strings.Repeat("a", 64) + ".example", strings.Repeat("a.", 126) + "aa", strings.Repeat("ü", 64),
	strings.Repeat("a", 1<<20),
	// Characters.
	" ", "a b", " example.com", "example.com ", "example.com\n", "a\tb", "a\x00b", "\x00", "a\x7fb", "a\u0085b", "a\u00a0b",
	"a\u3000b", "a\u2028b", "a\xffb", "\xc0\xae", "a\ufffdb", "a\u202eb", "a\\b", "a?b", "a#b", "a*b", "*", "*.example.com", "a\"b", "a,b", "a;b", "a=b", "a+b", "a~b", "a!b", "$a",
	"-a.example", "a-.example", "-", "a.-",
	// A-labels that are not what they say.
	"xn--", "xn--a", "www.xn--a.example", "www.xn--localhost-.example", "xn--.example", "xn--localhost-.example", "xn--127-.1", "xn--\u00fc", "xn--a-ecp.ru", "ab--ü.example",
	"\u0300a.example", "a\u200db.example", "אa.example",
}

func TestParseHostRefuses(t *testing.T) {
	t.Parallel()
	for _, host := range refusedHosts {
		got, err := ParseHost(host)
		var syntax *SyntaxError
		require.ErrorAs(t, err, &syntax, "%q gave %q", host, got)
		require.Zero(t, got)
		require.Equal(t, host, syntax.Host)
		require.NotEmpty(t, syntax.Why)
		require.NotErrorIs(t, err, ErrEmptyHost, "%q", host)
	}
}

func TestParseHostEmpty(t *testing.T) {
	t.Parallel()
	_, err := ParseHost("")
	require.ErrorIs(t, err, ErrEmptyHost)
	var syntax *SyntaxError
	require.ErrorAs(t, err, &syntax)
}

// What came from outside goes into logs: it is escaped and cut.
func TestSyntaxErrorIsFitForLogs(t *testing.T) {
	t.Parallel()
	_, err := ParseHost("\x1b[31m\r\n" + strings.Repeat("x", 1<<16))
	require.Error(t, err)
	require.Less(t, len(err.Error()), 2048)
	for _, c := range []byte(err.Error()) {
		require.True(t, 0x20 <= c && c < 0x7f)
	}
}

func FuzzParseTarget(f *testing.F) {
	for _, host := range refusedHosts {
		f.Add(host)
	}
	for _, host := range []string{
		"", "example.com", "BÜCHER.example", "xn--bcher-kva.de", "_dmarc.example.com", "ｅｘａｍｐｌｅ．ｃｏｍ", "r3---sn-ab.example",
		"192.0.2.1", "::ffff:192.0.2.1", "2001:db8::1", "64:ff9b::192.0.2.1", "straße.de", "faß.例え.テスト", "אב.example",
	} {
		f.Add(host)
	}
	f.Fuzz(func(t *testing.T, host string) {
		got, err := ParseHost(host)
		if err != nil {
			var syntax *SyntaxError
			if !errors.As(err, &syntax) || got != (Target{}) || (host == "") != errors.Is(err, ErrEmptyHost) {
				t.Fatalf("ParseHost(%q) = %v, %#v", host, got, err)
			}
			return
		}
		if (got.Name == "") != got.Addr.IsValid() {
			t.Fatalf("ParseHost(%q) = %#v: not exactly one field", host, got)
		}
		again, err := ParseHost(got.String())
		if err != nil || again != got {
			t.Fatalf("ParseHost(%q) = %v, which is read as %v, %v", host, got, again, err)
		}
		if got.Name != "" {
			if _, err := netip.ParseAddr(got.Name); err == nil {
				t.Fatalf("ParseHost(%q) took an address for a name", host)
			}
			if strings.ToLower(got.Name) != got.Name || strings.HasSuffix(got.Name, ".") || len(got.Name) > 253 {
				t.Fatalf("ParseHost(%q) = %q is not canonical", host, got.Name)
			}
		}
	})
}
