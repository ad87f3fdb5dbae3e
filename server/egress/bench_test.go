package egress

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
)

// A policy of 1,000 rules: half about names, which are found by map, half about
// prefixes, which are compared one by one.
func BenchmarkThousandRules(b *testing.B) {
	thousand := func(when string) *Policy {
		var text strings.Builder
		text.WriteString("deny:\n")
		for i := range 250 {
			fmt.Fprintf(&text, "- {to: [d%d.example, \"*.d%d.example\"], ports: [22, 80-90]%s}\n", i, i, when)
			fmt.Fprintf(&text, "- {to: 100.%d.0.0/16%s}\n", i, when)
		}
		text.WriteString("allow:\n")
		for i := range 250 {
			fmt.Fprintf(&text, "- {to: [a%d.example, \"*.a%d.example\"], ports: 443, callers: \"uid:1\"%s}\n", i, i, when)
			fmt.Fprintf(&text, "- {to: 99.%d.0.0/16%s}\n", i, when)
		}
		f, err := ParseFile("bench.yaml", []byte(text.String()))
		if err != nil {
			b.Fatal(err)
		}
		p, err := New(Config{File: f})
		if err != nil {
			b.Fatal(err)
		}
		return p
	}
	plainRules, conditions := thousand(""), thousand(", when: 'port == 443'")
	byName := Target{Name: "www.a249.example"}
	public, private := netip.MustParseAddrPort("8.8.8.8:443"), netip.MustParseAddrPort("[64:ff9b::808:808]:443")
	for _, c := range []struct {
		name string
		do   func() error
	}{
		{"name", func() error { return plainRules.CheckName("uid:1", byName, 443) }},
		{"address", func() error { return plainRules.CheckAddr("uid:1", byName, public) }},
		{"embedded", func() error { return plainRules.CheckAddr("uid:1", byName, private) }},
		{"one condition asked", func() error { return conditions.CheckName("uid:1", Target{Name: "a249.example"}, 443) }},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if err := c.do(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
