package gallery

import (
	"crypto/x509"

	"securesocket/tlsengine"
	"securesocket/tlsengine/forge"
)

func (c *curator) badChains() {
	show := func(label, about string, id *forge.Identity, status tlsengine.Status, problems ...Expect) {
		c.refused(GroupChain, label, about, id, status, problems...)
	}
	// flaw gives the intermediate certificate of a host of its own.
	flaw := func(label, about string, opts []forge.Option, problems ...Expect) {
		ca := c.below(c.root, append([]forge.Option{forge.CommonName("Gallery CA for " + label)}, opts...)...)
		show(label, about, c.leaf(ca, label), tlsengine.StatusInvalidChain, problems...)
	}
	type opts = []forge.Option
	untrusted := tlsengine.StatusUntrustedSigners

	strangers := c.below(c.stranger, forge.CommonName("Nobody's Issuing CA"))
	show("untrusted-root", "The root is trusted by nobody, and not sent.", c.leaf(strangers, "untrusted-root"), untrusted,
		Expect{tlsengine.UnableToGetLocalIssuerCertificate, 1})
	show("untrusted-root-sent", "The root is trusted by nobody, and sent.",
		c.leaf(strangers, "untrusted-root-sent").Append(der(c.stranger)), untrusted, Expect{tlsengine.SelfSignedCertificateInChain, 2})
	impostor := c.authority(forge.NewCA(forge.CommonName("Gallery Root"), forge.Organization("Gallery")))
	show("impostor-root", "A root that has the name of ours, and is not.",
		c.leaf(c.below(impostor), "impostor-root").Append(der(impostor)), untrusted, Expect{tlsengine.SelfSignedCertificateInChain, 2})
	old := c.authority(forge.NewCA(forge.CommonName("Nobody's Old Root"), forge.Expired()))
	show("expired-root", "The root is trusted by nobody, and has expired as well.",
		c.leaf(c.below(old), "expired-root").Append(der(old)), untrusted,
		Expect{tlsengine.SelfSignedCertificateInChain, 2}, Expect{tlsengine.CertificateExpired, 2})
	alone := c.leaf(c.issuing, "missing-intermediate")
	if c.err == nil {
		alone.Chain = alone.Chain[:1]
	}
	show("missing-intermediate", "The server forgets to send its intermediate certificate.", alone, untrusted,
		Expect{tlsengine.UnableToGetLocalIssuerCertificate, 0}, Expect{tlsengine.UnableToVerifyFirstCertificate, 0})

	flaw("expired-intermediate", "The intermediate certificate has expired.", opts{forge.Expired()},
		Expect{tlsengine.CertificateExpired, 1})
	flaw("not-yet-valid-intermediate", "The intermediate certificate is not valid yet.", opts{forge.NotYetValid()},
		Expect{tlsengine.CertificateNotYetValid, 1})
	flaw("not-a-ca", "The intermediate certificate says that it is none of an authority.", opts{forge.NotCA()},
		Expect{tlsengine.InvalidCACertificate, 1}, Expect{tlsengine.InvalidPurpose, 1})
	flaw("no-basic-constraints", "The intermediate certificate does not say whether it is one of an authority.",
		opts{forge.WithoutBasicConstraints()}, Expect{tlsengine.InvalidCACertificate, 1})
	flaw("version-1-intermediate", "The intermediate certificate is of X.509 version 1, which cannot say that it is an authority's.",
		opts{forge.Version1()}, Expect{tlsengine.InvalidCACertificate, 1})
	flaw("no-cert-sign", "The intermediate's key may not sign certificates.", opts{forge.WithoutCertSign()},
		Expect{tlsengine.InvalidCACertificate, 1}, Expect{tlsengine.InvalidPurpose, 1}, Expect{tlsengine.UnspecifiedError, 1})
	flaw("client-only-intermediate", "The intermediate may issue for TLS clients alone.",
		opts{forge.ExtKeyUsage(x509.ExtKeyUsageClientAuth)}, Expect{tlsengine.InvalidPurpose, 1})
	flaw("critical-extension-intermediate", "The intermediate certificate has a critical extension that nobody understands.",
		opts{forge.CriticalExtension()}, Expect{tlsengine.UnhandledCriticalExtension, 1})
	flaw("name-not-permitted", "The intermediate may issue for other names only.", opts{forge.PermittedDNS("example.com")},
		Expect{tlsengine.NameConstraintViolated, 0})
	flaw("name-excluded", "The intermediate may not issue for this very name.", opts{forge.ExcludedDNS("name-excluded" + suffix)},
		Expect{tlsengine.NameConstraintViolated, 0})
	flaw("bad-signature-intermediate", "The root's signature of the intermediate certificate is damaged.", opts{forge.BadSignature()},
		Expect{tlsengine.CertificateSignatureFailed, 1})
	flaw("sha1-intermediate", "The intermediate certificate is signed with SHA-1.",
		opts{forge.SignatureAlgorithm(x509.ECDSAWithSHA1)}, Expect{tlsengine.WeakSignature, 1})
	flaw("rsa-1024-intermediate", "The intermediate's RSA key has 1024 bits.", opts{forge.RSA(1024)}, Expect{tlsengine.WeakKey, 1})

	end := c.below(c.root, forge.CommonName("Gallery Last CA"), forge.PathLen(0))
	show("path-too-long", "An intermediate allows no other below it, and there is one.",
		c.leaf(c.below(end, forge.CommonName("Gallery One Too Many")), "path-too-long"), tlsengine.StatusInvalidChain,
		Expect{tlsengine.PathLengthExceeded, 2})
	server := c.below(c.issuing, forge.CommonName("server"+suffix), forge.NotCA(), forge.WithoutCertSign())
	show("signed-by-a-server", "Signed with the key of another server, whose own certificate is good.",
		c.leaf(server, "signed-by-a-server"), tlsengine.StatusInvalidChain,
		Expect{tlsengine.InvalidCACertificate, 1}, Expect{tlsengine.InvalidPurpose, 1}, Expect{tlsengine.UnspecifiedError, 1})

	crowd := c.leaf(c.issuing, "too-many")
	for range 16 {
		crowd.Append(c.leaf(c.stranger, "somebody").Chain...)
	}
	show("too-many", "Eighteen certificates, most of them somebody else's.", crowd, tlsengine.StatusUnknown,
		Expect{tlsengine.ChainTooLarge, -1})
	show("too-large", "A certificate of 40 KiB.", c.leaf(c.issuing, "too-large", forge.Padding(40<<10)), tlsengine.StatusUnknown,
		Expect{tlsengine.ChainTooLarge, -1})
}
