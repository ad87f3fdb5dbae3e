package listening

import (
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"

	"securesocket/server/ruletext"
)

func TestParseRule(t *testing.T) {
	t.Parallel()
	prefix := netip.MustParsePrefix
	for entry, want := range map[string]allowed{
		"10.0.0.1":                 {prefix("10.0.0.1/32"), ruletext.Ports{First: 1, Last: 65535}},
		"10.0.0.1:8443":            {prefix("10.0.0.1/32"), ruletext.Ports{First: 8443, Last: 8443}},
		"10.0.0.1:1":               {prefix("10.0.0.1/32"), ruletext.Ports{First: 1, Last: 1}},
		"10.0.0.1:8000-8099":       {prefix("10.0.0.1/32"), ruletext.Ports{First: 8000, Last: 8099}},
		"10.0.0.1:80-80":           {prefix("10.0.0.1/32"), ruletext.Ports{First: 80, Last: 80}},
		"10.0.0.1:1-65535":         {prefix("10.0.0.1/32"), ruletext.Ports{First: 1, Last: 65535}},
		"2001:DB8::1":              {prefix("2001:db8::1/128"), ruletext.Ports{First: 1, Last: 65535}},
		"2001:db8::1:8443":         {prefix("2001:db8::1:8443/128"), ruletext.Ports{First: 1, Last: 65535}},
		"[2001:db8::1]:8443":       {prefix("2001:db8::1/128"), ruletext.Ports{First: 8443, Last: 8443}},
		"[2001:db8::1]:8000-8099":  {prefix("2001:db8::1/128"), ruletext.Ports{First: 8000, Last: 8099}},
		"::ffff:10.0.0.1":          {prefix("10.0.0.1/32"), ruletext.Ports{First: 1, Last: 65535}},
		"[::ffff:10.0.0.1]:80-443": {prefix("10.0.0.1/32"), ruletext.Ports{First: 80, Last: 443}},
		"10.0.0.0/8":               {prefix("10.0.0.0/8"), ruletext.Ports{First: 1, Last: 65535}},
		"0.0.0.0/0":                {prefix("0.0.0.0/0"), ruletext.Ports{First: 1, Last: 65535}},
		"2001:db8::/32":            {prefix("2001:db8::/32"), ruletext.Ports{First: 1, Last: 65535}},
		"::ffff:10.0.0.0/104":      {prefix("10.0.0.0/8"), ruletext.Ports{First: 1, Last: 65535}},
		"0.0.0.0:80":               {prefix("0.0.0.0/32"), ruletext.Ports{First: 80, Last: 80}},
		"::":                       {prefix("::/128"), ruletext.Ports{First: 1, Last: 65535}},
		"[::]:80":                  {prefix("::/128"), ruletext.Ports{First: 80, Last: 80}},
	} {
		got, err := parseRule(entry)
		require.NoError(t, err, entry)
		require.Equal(t, want, got, entry)
	}
}

func TestMalformedRules(t *testing.T) {
	t.Parallel()
	for _, entry := range []string{
		"", " ", "*", "*:443", "all", "NONE", "none ", "loopback", "localhost", "localhost:80", "example.com", "example.com:443",
		"10.0.0.1/8", "10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/08", "10.0.0.0/", "/8", "10/8", "10.0.0.0/8:443", "10.0.0.0/8:1-2",
		"2001:db8::1/32", "::ffff:10.0.0.1/104", "[::1]/128", "fe80::%eth0/64",
		"127.1", "0x7f.1", "2130706433", "0177.0.0.1", "fe80::1%eth0", "[fe80::1%eth0]:80", "10.0.0.1.",
		"10.0.0.1:", "10.0.0.1:0", "10.0.0.1:00", "10.0.0.1:080", "10.0.0.1:+80", "10.0.0.1:65536", "10.0.0.1:http", "10.0.0.1:-1", "10.0.0.1: 80",
		"10.0.0.1:0-80", "10.0.0.1:80-", "10.0.0.1:-80", "10.0.0.1:-", "10.0.0.1:81-80", "10.0.0.1:80-65536", "10.0.0.1:80-90-99",
		"10.0.0.1:80-090", "10.0.0.1:80,81", "10.0.0.1:80 - 81", "10.0.0.1-10.0.0.9",
		":443", ":", "[]:443", "[::1]", "[::1]:", "[::1]:0", "[::1]443", "[::1:443", "::1]:443", "[10.0.0.1]:443", "[10.0.0.1]",
		"1:2:3:4:5:6:7:8:443", "fe80::1:80-90", "10.0.0.1:443:443", "10.0.0.1,10.0.0.2", "tcp://10.0.0.1", "10.0.0.1\x00",
	} {
		p, err := New(Config{Allow: []string{"10.0.0.1", entry}})
		var rule *RuleError
		require.ErrorAs(t, err, &rule, "%q", entry)
		require.Equal(t, entry, rule.Entry)
		require.NotEmpty(t, rule.Why)
		require.Nil(t, p)
	}
}

func TestNoneStandsAlone(t *testing.T) {
	t.Parallel()
	for _, allow := range [][]string{{"none", "10.0.0.1"}, {"10.0.0.1", "none"}, {"none", "none"}} {
		_, err := New(Config{Allow: allow})
		var rule *RuleError
		require.ErrorAs(t, err, &rule, "%v", allow)
		require.Equal(t, "none", rule.Entry)
	}
}
