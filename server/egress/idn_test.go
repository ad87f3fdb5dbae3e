package egress

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// Threat 50. A policy matches the A-label, however rule and host are spelt; what
// looks alike is another name, and what is no A-label is refused.
func TestPolicyMatchesALabels(t *testing.T) {
	t.Parallel()
	spellings := []string{"bücher.example", "BÜCHER.example", "bu\u0308cher.example", "xn--bcher-kva.example", "XN--BCHER-KVA.Example", "ｂücher。example"}
	for _, rule := range spellings {
		p := filePolicy(t, Config{}, "deny: [{to: "+quoteYAML(rule)+"}]")
		for _, host := range spellings {
			require.Equal(t, "deny[0]", checkHost(t, p, host), "%s under %s", host, rule)
		}
		below := filePolicy(t, Config{}, "deny: [{to: "+quoteYAML("*."+rule)+"}]")
		for _, host := range spellings {
			require.Equal(t, "deny[0]", checkHost(t, below, "www."+host), "%s under *.%s", host, rule)
			require.Equal(t, "", checkHost(t, below, host))
		}
	}
}

func TestHomographsAreOtherNames(t *testing.T) {
	t.Parallel()
	allow := filePolicy(t, Config{}, "allow: [{to: [apple.example, paypal.example]}]")
	require.Equal(t, "", checkHost(t, allow, "apple.example"))
	for _, host := range []string{
		"аpple.example",          // Cyrillic а, mixed script
		"аррӏе.example",          // all Cyrillic
		"paypаl.example",         // Cyrillic а
		"pаypal.example",         // another one
		"xn--80ak6aa92e.example", // аррӏе
		"applе.example",          // Cyrillic е
		"αpple.example",          // Greek
		"apple.exаmple",          // in the other label
	} {
		require.Equal(t, RuleNotInAllowList, checkHost(t, allow, host), "%+q", host)
	}
	// What maps to the same letters is the same name.
	for _, host := range []string{"APPLE.example", "ａｐｐｌｅ.example", "ⓐⓟⓟⓛⓔ.example", "ap\u00adple.example", "apple。example"} {
		require.Equal(t, "", checkHost(t, allow, host), "%+q", host)
	}
}

func TestInvalidALabels(t *testing.T) {
	t.Parallel()
	for _, name := range []string{
		"xn--.example", "xn--a.example", "xn--a-.example", "xn--apple-.example", "xn--bcher-kva-.example", "xn--bücher.example",
		"xn--ls8h=.example", "xn--80ak6aa92e\u0301.example", "a.xn--0.example", "xn--\u00e4.example", "XN--A.example", "xn--zca\u200d.example",
	} {
		_, err := ParseHost(name)
		var syntax *SyntaxError
		require.ErrorAs(t, err, &syntax, "%+q", name)
		_, err = ParseFile("policy.yaml", []byte("deny: [{to: "+quoteYAML(name)+"}]"))
		var file *FileError
		require.ErrorAs(t, err, &file, "%+q", name)
		require.ErrorAs(t, err, &syntax, "%+q", name)
	}
}

func checkHost(t *testing.T, p *Policy, host string) string {
	t.Helper()
	target, err := ParseHost(host)
	require.NoError(t, err, "%+q", host)
	return verdict(t, p.CheckName("", target, 443))
}
