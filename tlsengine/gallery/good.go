package gallery

import (
	"crypto/elliptic"
	"crypto/tls"
	"crypto/x509"
	"time"

	"securesocket/tlsengine/forge"
)

// good hosts come first; the first one is also shown to visitors who name nobody.
func (c *curator) good() {
	show := func(label, about string, id *forge.Identity) *exhibit { return c.trusted(GroupGood, label, about, id) }
	simple := func(label, about string, opts ...forge.Option) *exhibit {
		return show(label, about, c.leaf(c.issuing, label, opts...))
	}
	simple("good", "Nothing is wrong: ECDSA P-256, one intermediate certificate.")
	simple("rsa", "An RSA key of 2048 bits.", forge.Key(c.keyRSA))
	simple("ecdsa-p384", "A key on P-384.", forge.ECDSA(elliptic.P384()))
	simple("ed25519", "An Ed25519 key.", forge.Ed25519())
	show("below-root", "The root itself signed the certificate.", c.leaf(c.root, "below-root"))
	simple("any.wildcard", "A certificate for *.wildcard"+suffix+".", forge.Names("*.wildcard"+suffix))
	simple("xn--bcher-kva", "An internationalised name, bücher"+suffix+".").VerifyName = "bücher" + suffix
	simple("ip-address", "A certificate for the address 127.0.0.1, asked for by it.", forge.Names("127.0.0.1")).VerifyName = "127.0.0.1"
	simple("uri", "A certificate for a URI, asked for by it.", forge.Names("uri:spiffe://gallery.test/uri")).VerifyName =
		"uri:spiffe://gallery.test/uri"
	simple("many-names", "The name is the last of a hundred.", forge.Names(manyNames("many-names")...))
	simple("any-usage", "Its extended key usage is any.", forge.ExtKeyUsage(x509.ExtKeyUsageAny))
	simple("no-usage", "No extended key usage at all, which allows every one.", forge.ExtKeyUsage())
	simple("long-lived", "Valid for ten years, which no public authority would do; a private one may.",
		forge.Validity(time.Now().Add(-time.Hour), time.Now().AddDate(10, 0, 0)))
	simple("expires-soon", "Expires in three days: trusted, with a warning.",
		forge.Validity(time.Now().AddDate(0, 0, -80), time.Now().AddDate(0, 0, 3)))
	simple("is-a-ca", "The certificate is that of an authority. Odd, and allowed.", forge.ActsAsCA())

	show("root-sent", "The server sends the root too, which is needless.", c.leaf(c.issuing, "root-sent").Append(der(c.root)))
	twice := c.leaf(c.issuing, "sent-twice")
	show("sent-twice", "Every certificate is sent twice.", twice.Append(twice.Chain...))
	show("unrelated", "Certificates are sent that have nothing to do with it.",
		c.leaf(c.issuing, "unrelated").Append(der(c.stranger), der(c.issuingR)))
	low := c.below(c.below(c.issuing, forge.CommonName("Gallery Middle CA")), forge.CommonName("Gallery Low CA"))
	show("deep", "Three intermediate certificates.", c.leaf(low, "deep"))
	mixed := c.leaf(low, "wrong-order")
	if c.err == nil {
		mixed.Chain[1], mixed.Chain[3] = mixed.Chain[3], mixed.Chain[1]
	}
	show("wrong-order", "The intermediate certificates come in the wrong order.", mixed)

	crossed := c.below(c.stranger, forge.CommonName("Nobody's Issuing CA"))
	show("cross-signed", "Its own root is trusted by nobody, but ours has signed that one.",
		c.leaf(crossed, "cross-signed").Append(c.crossSign(c.root, c.stranger)))
	show("cross-signed-old", "Two certificates for the same authority, of which the first has expired.",
		c.leaf(crossed, "cross-signed-old").Append(c.crossSign(c.root, c.stranger, forge.Expired()), c.crossSign(c.root, c.stranger)))

	simple("tls12", "Only TLS 1.2.").config.MaxVersion = tls.VersionTLS12
	simple("tls13", "Only TLS 1.3.").config.MinVersion = tls.VersionTLS13
	simple("hello-retry", "Wants another key exchange than the client guessed (HelloRetryRequest).").config.CurvePreferences =
		[]tls.CurveID{tls.CurveP521}
	simple("crumbs", "Sends every byte of the handshake in a packet of its own.").dress = func(w *wire) { w.crumbs = true }
}

func manyNames(label string) []string {
	var names []string
	for a := 'a'; a <= 'k'; a++ {
		for b := 'a'; b <= 'i'; b++ {
			names = append(names, string(a)+string(b)+suffix)
		}
	}
	return append(names, label+suffix)
}
