package flashpolicy

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// inside puts elements into a file.
func inside(elements string) string {
	return "<cross-domain-policy>" + elements + "</cross-domain-policy>"
}

func to(ports string) string {
	return inside(`<allow-access-from domain="*" to-ports="` + ports + `"/>`)
}

// bomb is a billion laughs.
const bomb = `<!DOCTYPE cross-domain-policy [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">` +
	`<!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;&b;&b;">]><cross-domain-policy>&c;</cross-domain-policy>`

func TestMalformed(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		text string
		want error
	}{
		"an entities bomb":        {bomb, errInner},
		"an inner subset, close":  {strings.Replace(bomb, "policy [", "policy[", 1), errInner},
		"an outer entity":         {`<!DOCTYPE cross-domain-policy [<!ENTITY x SYSTEM "file:///etc/passwd">]>` + inside("&x;"), errInner},
		"an unknown entity":       {inside(`<allow-access-from domain="&x;" to-ports="1"/>`), errXML},
		"an entity of HTML":       {inside("&nbsp;"), errXML},
		"two DOCTYPEs":            {strings.Repeat("<!DOCTYPE cross-domain-policy>", 2) + inside(""), errRoots},
		"a DOCTYPE inside":        {inside("<!DOCTYPE cross-domain-policy>"), errRoots},
		"a DOCTYPE behind":        {inside("") + "<!DOCTYPE cross-domain-policy>", errRoots},
		"a small doctype":         {"<!doctype cross-domain-policy>" + inside(""), errXML},
		"another declaration":     {"<!ENTITY x>" + inside(""), errXML},
		"another DOCTYPE":         {"<!DOCTYPE html>" + inside(""), errOther},
		"another root":            {"<x/>", errOther},
		"a root in capitals":      {"<Cross-Domain-Policy/>", errOther},
		"two roots":               {inside("") + inside(""), errRoots},
		"another second root":     {inside("") + "<x/>", errRoots},
		"a root in itself":        {inside(inside("")), errElement},
		"text":                    {inside("x"), errText},
		"CDATA":                   {inside("<![CDATA[x]]>"), errText},
		"text behind":             {inside("") + "x", errText},
		"no end":                  {"<cross-domain-policy>", errXML},
		"a wrong end":             {"<cross-domain-policy></x>", errXML},
		"an end too many":         {inside("") + "</cross-domain-policy>", errXML},
		"an open comment":         {inside("<!-- "), errXML},
		"Latin-1":                 {`<?xml version="1.0" encoding="ISO-8859-1"?>` + inside(""), errXML},
		"UTF-16, said":            {`<?xml version="1.0" encoding="UTF-16"?>` + inside(""), errXML},
		"version 1.1":             {`<?xml version="1.1"?>` + inside(""), errXML},
		"not UTF-8":               {inside("<!-- \xe9 -->"), errXML},
		"not UTF-8 in a domain":   {inside("<allow-access-from domain=\"\xe9\"/>"), errXML},
		"a control character":     {inside("\x01"), errXML},
		"no quotes":               {inside(`<allow-access-from domain=* to-ports="1"/>`), errXML},
		"an unknown element":      {inside("<allow/>"), errElement},
		"a prefix":                {inside(`<x:allow-access-from domain="*" to-ports="1"/>`), errElement},
		"nested":                  {inside(`<allow-access-from domain="a" to-ports="1"><allow-access-from domain="*" to-ports="1"/></allow-access-from>`), errElement},
		"in another element":      {inside(`<site-control permitted-cross-domain-policies="all"><allow-access-from domain="*" to-ports="1"/></site-control>`), errElement},
		"deep":                    {inside("<allow-access-from-identity><signatory><certificate><certificate>"), errSize},
		"many elements":           {inside(strings.Repeat("<allow-access-from-identity/>", maxElements)), errSize},
		"many attributes":         {"<cross-domain-policy" + strings.Repeat(` a="b"`, maxAttributes+1) + "/>", errSize},
		"a domain twice":          {inside(`<allow-access-from domain="a" domain="*" to-ports="1"/>`), errAttribute},
		"no domain":               {inside(`<allow-access-from to-ports="1"/>`), errAttribute},
		"an empty domain":         {inside(`<allow-access-from domain="" to-ports="1"/>`), errAttribute},
		"another attribute":       {inside(`<allow-access-from domain="*" to-ports="1" unless="2"/>`), errAttribute},
		"an attribute's prefix":   {inside(`<allow-access-from x:domain="*" to-ports="1"/>`), errAttribute},
		"secure, perhaps":         {inside(`<allow-access-from domain="*" to-ports="1" secure="maybe"/>`), errAttribute},
		"secure, empty":           {inside(`<allow-access-from domain="*" to-ports="1" secure=""/>`), errAttribute},
		"two meta-policies":       {inside(strings.Repeat(`<site-control permitted-cross-domain-policies="all"/>`, 2)), errMetaPolicy},
		"no meta-policy":          {inside(`<site-control/>`), errMetaPolicy},
		"an empty meta-policy":    {inside(`<site-control permitted-cross-domain-policies=""/>`), errMetaPolicy},
		"a meta-policy and more":  {inside(`<site-control permitted-cross-domain-policies="all" x=""/>`), errAttribute},
		"a meta-policy, capitals": {inside(`<site-control permitted-cross-domain-policies="None"/>`), errMetaPolicy},
		"no ports":                {to(""), errPorts},
		"a space":                 {to(" "), errPorts},
		"port 0":                  {to("0"), errPorts},
		"port 65536":              {to("65536"), errPorts},
		"a huge port":             {to(strings.Repeat("9", 1000)), errPorts},
		"a signed port":           {to("+1"), errPorts},
		"a negative port":         {to("-1"), errPorts},
		"a range from 0":          {to("0-5"), errPorts},
		"a range to 65536":        {to("1-65536"), errPorts},
		"a range backwards":       {to("2-1"), errPorts},
		"a range without end":     {to("1-"), errPorts},
		"two ranges in one":       {to("1-2-3"), errPorts},
		"an empty item":           {to("1,,2"), errPorts},
		"a comma behind":          {to("1,"), errPorts},
		"a star in a list":        {to("1,*"), errPorts},
		"two stars":               {to("**"), errPorts},
		"a name":                  {to("https"), errPorts},
		"hexadecimal":             {to("0x50"), errPorts},
		"semicolons":              {to("1;2"), errPorts},
		"other digits":            {to("٤٤٣"), errPorts},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f, err := parse([]byte(tc.text))
			require.Equal(t, tc.want, err)
			require.Nil(t, f)
		})
	}
}

func TestWellFormed(t *testing.T) {
	t.Parallel()
	one := []grant{{domain: "*", ports: []portRange{{1, 1}}}}
	for name, tc := range map[string]struct {
		text   string
		grants []grant
	}{
		"empty":             {"<cross-domain-policy/>", nil},
		"a BOM":             {bom + to("1"), one},
		"a prologue":        {"\n" + `<?xml version='1.0' encoding='utf-8' standalone="yes"?><!-- x --><!DOCTYPE cross-domain-policy PUBLIC "a" "b">` + to("1") + "\n<!-- y -->\n", one},
		"a schema":          {`<cross-domain-policy xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:noNamespaceSchemaLocation="http://www.adobe.com/xml/schemas/PolicyFileSocket.xsd">` + strings.TrimPrefix(to("1"), "<cross-domain-policy>"), one},
		"an end tag":        {inside(`<allow-access-from to-ports='1' domain='*'> </allow-access-from>`), one},
		"XML's own entity":  {inside(`<allow-access-from domain="&#42;" to-ports="&#x31;"/>`), one},
		"for HTTP":          {inside(`<allow-access-from domain="*"/>`), []grant{{domain: "*"}}},
		"a list":            {to(" 1 , 5 - 7 ,65535"), []grant{{domain: "*", ports: []portRange{{1, 1}, {5, 7}, {65535, 65535}}}}},
		"all ports":         {to(" * "), []grant{{domain: "*", ports: []portRange{{1, 65535}}}}},
		"secure":            {inside(`<allow-access-from domain="A" to-ports="1" secure="true"/>`), []grant{{domain: "a", ports: []portRange{{1, 1}}, secure: true}}},
		"of other meanings": {inside(`<allow-http-request-headers-from domain="*" headers="*"/><allow-access-from-identity><signatory><certificate fingerprint="00" fingerprint-algorithm="sha-1"/></signatory></allow-access-from-identity>`), nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f, err := parse([]byte(tc.text))
			require.NoError(t, err)
			require.Equal(t, &file{grants: tc.grants}, f)
		})
	}
}
