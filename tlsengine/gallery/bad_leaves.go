package gallery

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"math/big"

	"securesocket/tlsengine"
	"securesocket/tlsengine/forge"
)

func (c *curator) badLeaves() {
	show := func(label, about string, id *forge.Identity, status tlsengine.Status, problems ...Expect) *exhibit {
		return c.refused(GroupLeaf, label, about, id, status, problems...)
	}
	flaw := func(label, about string, status tlsengine.Status, code tlsengine.ProblemCode, opts ...forge.Option) {
		show(label, about, c.leaf(c.issuing, label, opts...), status, Expect{code, 0})
	}
	flaw("expired", "The certificate has expired.", tlsengine.StatusExpired, tlsengine.CertificateExpired, forge.Expired())
	flaw("not-yet-valid", "The certificate is not valid yet.", tlsengine.StatusNotYetValid, tlsengine.CertificateNotYetValid,
		forge.NotYetValid())
	flaw("wrong-host", "The certificate is for another name.", tlsengine.StatusPrincipalMismatch, tlsengine.HostNameMismatch,
		forge.Names("right"+suffix))
	flaw("common-name-only", "The name is in the common name alone, which has not counted since RFC 6125.",
		tlsengine.StatusPrincipalMismatch, tlsengine.HostNameMismatch, forge.Names())
	flaw("too.deep.wildcard", "A wildcard stands for one label, and here there are two.",
		tlsengine.StatusPrincipalMismatch, tlsengine.HostNameMismatch, forge.Names("*.wildcard"+suffix))
	flaw("wildcard", "A wildcard does not stand for the name above it.",
		tlsengine.StatusPrincipalMismatch, tlsengine.HostNameMismatch, forge.Names("*.wildcard"+suffix))
	flaw("ip-as-name", "The address is written as a DNS name, which does not make it one.",
		tlsengine.StatusPrincipalMismatch, tlsengine.HostNameMismatch, forge.CommonName("127.0.0.1"), forge.Names("localhost"))
	c.last().VerifyName = "127.0.0.1"
	flaw("version-1", "X.509 version 1: no extensions, and so no names.",
		tlsengine.StatusPrincipalMismatch, tlsengine.HostNameMismatch, forge.Version1())
	flaw("client-only", "The certificate is for TLS clients alone.", tlsengine.StatusInvalid, tlsengine.InvalidPurpose,
		forge.ExtKeyUsage(x509.ExtKeyUsageClientAuth))
	flaw("critical-extension", "A critical extension that nobody understands.", tlsengine.StatusInvalid,
		tlsengine.UnhandledCriticalExtension, forge.CriticalExtension())
	flaw("rsa-1024", "An RSA key of 1024 bits.", tlsengine.StatusInvalid, tlsengine.WeakKey, forge.RSA(1024))
	flaw("ecdsa-p224", "A key on P-224, a curve that is too small.", tlsengine.StatusInvalid, tlsengine.WeakKey,
		forge.ECDSA(elliptic.P224()))
	c.last().config.MaxVersion = tls.VersionTLS12 // TLS 1.3 has no signatures on it
	flaw("bad-signature", "The issuer's signature is damaged.", tlsengine.StatusInvalid, tlsengine.CertificateSignatureFailed,
		forge.BadSignature())
	show("sha1", "Signed with SHA-1.", c.leaf(c.issuingR, "sha1", forge.SignatureAlgorithm(x509.SHA1WithRSA)),
		tlsengine.StatusInvalid, Expect{tlsengine.WeakSignature, 0})
	show("md5", "Signed with MD5.", c.leaf(c.issuingR, "md5", forge.MD5()), tlsengine.StatusInvalid, Expect{tlsengine.WeakSignature, 0})
	show("self-signed", "Signed by itself.", c.selfSigned("self-signed"), tlsengine.StatusUntrustedSigners,
		Expect{tlsengine.SelfSignedCertificate, 0})
	show("all-at-once", "Expired, for another name and signed by itself: the list names all three.",
		c.selfSigned("all-at-once", forge.Expired(), forge.Names("right"+suffix)), tlsengine.StatusUntrustedSigners,
		Expect{tlsengine.HostNameMismatch, 0}, Expect{tlsengine.SelfSignedCertificate, 0}, Expect{tlsengine.CertificateExpired, 0})
	show("expired-wrong-host", "Expired and for another name: the name decides.",
		c.leaf(c.issuing, "expired-wrong-host", forge.Expired(), forge.Names("right"+suffix)), tlsengine.StatusPrincipalMismatch,
		Expect{tlsengine.HostNameMismatch, 0}, Expect{tlsengine.CertificateExpired, 0})

	malformed := Expect{tlsengine.MalformedCertificate, -1}
	show("duplicate-extension", "An extension is there twice.",
		c.leaf(c.issuing, "duplicate-extension", forge.DuplicateExtension()), tlsengine.StatusInvalid, malformed)
	show("negative-serial", "Its serial number is negative.",
		c.leaf(c.issuing, "negative-serial", forge.NegativeSerial()), tlsengine.StatusInvalid, malformed)
	show("rsa-giant", "An RSA key of 8200 bits, more than a client should have to work with.",
		c.leaf(c.issuing, "rsa-giant", forge.PublicKey(giantRSA())), tlsengine.StatusInvalid, malformed)
	show("junk", "What should be an intermediate certificate is none.",
		c.leaf(c.issuing, "junk").Append([]byte("this is no certificate")), tlsengine.StatusInvalid, malformed)

	// The chain is in order, but shown by somebody who has not got its key.
	e := c.failed("stolen", "A good certificate, shown by somebody who does not have its private key.", "PEER_MISBEHAVED")
	e.Group = GroupLeaf
	owner, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		c.fail(err)
		return
	}
	e.config.Certificates[0] = c.leaf(c.issuing, "stolen", forge.PublicKey(owner.Public())).Certificate()
}

// last is the exhibit that was hung last.
func (c *curator) last() *exhibit { return c.exhibits[len(c.exhibits)-1] }

// giantRSA is no key, but has the size of one: nobody gets to use it.
func giantRSA() *rsa.PublicKey {
	n := new(big.Int).Lsh(big.NewInt(1), 8199)
	return &rsa.PublicKey{N: n.SetBit(n, 0, 1), E: 65537}
}
