package certinfo_test

import (
	encoding "encoding/asn1"
	"testing"

	"securesocket/tlsengine/certinfo"

	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

type attribute struct {
	oid   encoding.ObjectIdentifier
	tag   asn1.Tag
	value string
}

var (
	oidCN    = encoding.ObjectIdentifier{2, 5, 4, 3}
	oidC     = encoding.ObjectIdentifier{2, 5, 4, 6}
	oidO     = encoding.ObjectIdentifier{2, 5, 4, 10}
	oidOU    = encoding.ObjectIdentifier{2, 5, 4, 11}
	oidDC    = encoding.ObjectIdentifier{0, 9, 2342, 19200300, 100, 1, 25}
	oidEmail = encoding.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 1}
	oidOther = encoding.ObjectIdentifier{2, 999, 3}
)

// name encodes a distinguished name: each argument is one RDN.
func name(rdns ...[]attribute) []byte {
	var b cryptobyte.Builder
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		for _, rdn := range rdns {
			b.AddASN1(asn1.SET, func(b *cryptobyte.Builder) {
				for _, a := range rdn {
					b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
						b.AddASN1ObjectIdentifier(a.oid)
						b.AddASN1(a.tag, func(b *cryptobyte.Builder) { b.AddBytes([]byte(a.value)) })
					})
				}
			})
		}
	})
	return b.BytesOrPanic()
}

func TestParseName(t *testing.T) {
	t.Parallel()
	for text, der := range map[string][]byte{
		"": name(),
		// The order is turned round, and the first of each counts.
		"CN=a,OU=two,OU=one,O=Org,C=CH": name([]attribute{{oidC, asn1.PrintableString, "CH"}}, []attribute{{oidO, asn1.UTF8String, "Org"}},
			[]attribute{{oidOU, asn1.UTF8String, "one"}}, []attribute{{oidOU, asn1.UTF8String, "two"}}, []attribute{{oidCN, asn1.UTF8String, "a"}}),
		"OU=Sales+CN=J.  Smith,DC=example,DC=net": name([]attribute{{oidDC, asn1.IA5String, "net"}}, []attribute{{oidDC, asn1.IA5String, "example"}},
			[]attribute{{oidOU, asn1.UTF8String, "Sales"}, {oidCN, asn1.UTF8String, "J.  Smith"}}),
		`CN=James \"Jim\" Smith\, III`:   name([]attribute{{oidCN, asn1.UTF8String, `James "Jim" Smith, III`}}),
		`CN=\ #x\\\+\;\<\>=\ `:           name([]attribute{{oidCN, asn1.UTF8String, ` #x\+;<>= `}}),
		`CN=\#x`:                         name([]attribute{{oidCN, asn1.UTF8String, `#x`}}),
		`CN=Before\0dAfter\00`:           name([]attribute{{oidCN, asn1.UTF8String, "Before\rAfter\x00"}}),
		"CN=Lučić":                       name([]attribute{{oidCN, asn1.UTF8String, "Lučić"}}),
		"CN=Zürich":                      name([]attribute{{oidCN, asn1.T61String, "Z\xfcrich"}}),
		"CN=Bö":                          name([]attribute{{oidCN, asn1.Tag(30), "\x00B\x00\xf6"}}),
		"CN=😀":                           name([]attribute{{oidCN, asn1.Tag(28), "\x00\x01\xf6\x00"}}),
		"CN=#0c01ff":                     name([]attribute{{oidCN, asn1.UTF8String, "\xff"}}),
		"1.2.840.113549.1.9.1=#16026140": name([]attribute{{oidEmail, asn1.IA5String, "a@"}}),
		"2.999.3=#04020102":              name([]attribute{{oidOther, asn1.OCTET_STRING, "\x01\x02"}}),
	} {
		n, err := certinfo.ParseName(der)
		require.NoError(t, err)
		require.Equal(t, text, n.Text)
		require.Equal(t, der, n.DER)
	}

	n, err := certinfo.ParseName(name([]attribute{{oidOU, asn1.UTF8String, "one"}}, []attribute{{oidOU, asn1.UTF8String, "two"}},
		[]attribute{{oidEmail, asn1.IA5String, "a@b"}, {oidOther, asn1.NULL, ""}}))
	require.NoError(t, err)
	require.Equal(t, "one", n.OrganizationalUnit)
	require.Empty(t, n.CommonName)
	require.Equal(t, []certinfo.Attribute{{OID: "2.5.4.11", ShortName: "OU", Value: "one"}, {OID: "2.5.4.11", ShortName: "OU", Value: "two"},
		{OID: "1.2.840.113549.1.9.1", ShortName: "emailAddress", Value: "a@b"}, {OID: "2.999.3", Value: "#0500"}}, n.Attributes)
}

func FuzzParseName(f *testing.F) {
	f.Add(name())
	f.Add(name([]attribute{{oidCN, asn1.UTF8String, ` #x\+;<>= `}, {oidOther, asn1.Tag(28), "\x00\x00\xd8\x00"}}))
	f.Add([]byte("0\x0b1\x090\x07\x06\x03\x80\x04\x03\x0c\x00"))
	f.Fuzz(func(t *testing.T, der []byte) {
		n, err := certinfo.ParseName(der)
		if err == nil {
			require.Equal(t, der, n.DER)
		}
	})
}
