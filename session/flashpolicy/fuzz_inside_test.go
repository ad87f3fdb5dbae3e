package flashpolicy

import (
	"errors"
	"net/netip"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// FuzzParse: anything is a file, a malformed one, or none; and what a file grants it says in plain words.
func FuzzParse(f *testing.F) {
	for _, s := range []string{
		"", "<", bom, bom + "<", "\xff", "\xff\xfe<", "<x/>", bomb, to("1,5-7"), to("*"),
		inside(`<site-control permitted-cross-domain-policies="none"/>`),
		`<?xml version="1.0"?><!DOCTYPE cross-domain-policy SYSTEM "x">` + inside(`<allow-access-from domain="*.a" to-ports="80" secure="true"/>`),
		inside(`<allow-access-from-identity><signatory><certificate/></signatory></allow-access-from-identity>`),
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got, err := parse([]byte(text))
		whole, whole2 := answer{text: []byte(text)}.file()
		if err != nil {
			require.Nil(t, got)
			require.Nil(t, whole)
			_, bad := errors.AsType[malformed](err)
			require.True(t, bad || errors.Is(err, errOther))
			return
		}
		require.Equal(t, got, whole)
		require.NoError(t, whole2)
		require.Contains(t, text, rootName)
		require.LessOrEqual(t, len(got.grants), maxElements)
		require.LessOrEqual(t, len(got.grants), strings.Count(text, "allow-access-from"))
		for _, g := range got.grants {
			require.NotEmpty(t, g.domain)
			for _, r := range g.ports {
				require.True(t, 1 <= r.first && r.first <= r.last && r.last <= 65535)
			}
			for _, o := range []origin{{}, {name: "a.example"}, {name: "192.0.2.1", ip: netip.MustParseAddr("192.0.2.1")}} {
				if g.domain != "*" && g.covers(o) {
					require.NotEmpty(t, o.name)
				}
			}
		}
		require.False(t, got.allows(origin{name: "a.example", secure: true}, 1024, 1023))

		_, err = answer{[]byte(text), errNoNUL}.file() // cut off, it is none
		require.ErrorIs(t, err, errNoNUL)
	})
}
