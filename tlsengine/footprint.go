package tlsengine

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"math"
	"slices"
)

// What the parts of a parsed certificate cost beside their DER, in bytes, with what slices have to spare. Most of a
// hostile certificate is many of the smallest part that there is: a URI of three bytes becomes a url.URL.
const (
	footprintCertificate = 2 << 10 // the structure, the key's, and the numbers in it
	footprintAttribute   = 160     // of a name
	footprintExtension   = 128
	footprintString      = 40
	footprintURI         = 208
	footprintAddress     = 32
	footprintSubnet      = 128
	footprintPolicy      = 128
	footprintUsage       = 64
	footprintMapping     = 96
	footprintProblem     = 128
	footprintRevocation  = 256
)

// handshakeBuffer is what any connection of crypto/tls has for the peer's messages. It grows to twice the largest, and is
// kept for as long as the connection.
const handshakeBuffer = 16 << 10

// Footprint estimates what the report costs to keep, and the connection because of what its peer sent, in bytes: the
// chain's DER, what was parsed of it, the staple, and the problems. Certificates of the trust settings count where the
// judged path leads through them, as if nobody else had them: who set them may have forgotten them since. nil costs
// nothing.
func (r *Report) Footprint() int {
	if r == nil {
		return 0
	}
	sent := int(r.staple)
	n := sent + len(r.Revocation)*footprintRevocation
	for _, cert := range r.PeerChain {
		n += footprint(cert)
		sent += len(cert.Raw)
	}
	n += max(0, 2*sent-handshakeBuffer)
	for _, cert := range r.JudgedPath {
		if !slices.Contains(r.PeerChain, cert) {
			n += CertificateFootprint(cert)
		}
	}
	for i := range r.Problems {
		n += footprintProblem + len(r.Problems[i].Message)
	}
	for _, w := range r.Warnings {
		n += footprintString + len(w)
	}
	return n
}

// stapled is how many bytes came with the chain; crypto/tls bounds them.
func (in *evidence) stapled() int32 {
	n := len(in.staple)
	for _, sct := range in.scts {
		n += footprintString + len(sct)
	}
	return int32(min(n, math.MaxInt32)) //nolint:gosec // it is bounded
}

// CertificateFootprint estimates what a certificate costs that this side was given, in bytes: its DER, and what was parsed
// of it. It may be asked of any certificate, by several goroutines at once.
func CertificateFootprint(c *x509.Certificate) int { return footprint(c) - len(c.Raw) }

// footprint is that of a certificate that a peer sent.
func footprint(c *x509.Certificate) int {
	names := len(c.DNSNames) + len(c.EmailAddresses) + len(c.OCSPServer) + len(c.IssuingCertificateURL) + len(c.CRLDistributionPoints) +
		len(c.PermittedDNSDomains) + len(c.ExcludedDNSDomains) + len(c.PermittedEmailAddresses) + len(c.ExcludedEmailAddresses) +
		len(c.PermittedURIDomains) + len(c.ExcludedURIDomains)
	// The DER is in the peer's message, it is the key by which crypto/tls finds the certificate again, and its texts are
	// copied out of it.
	return footprintCertificate + 3*len(c.Raw) +
		(attributes(&c.Subject)+attributes(&c.Issuer))*footprintAttribute +
		(len(c.Extensions)+len(c.UnhandledCriticalExtensions))*footprintExtension +
		names*footprintString +
		len(c.URIs)*footprintURI +
		len(c.IPAddresses)*footprintAddress +
		(len(c.PermittedIPRanges)+len(c.ExcludedIPRanges))*footprintSubnet +
		max(len(c.Policies), len(c.PolicyIdentifiers))*footprintPolicy +
		(len(c.ExtKeyUsage)+len(c.UnknownExtKeyUsage))*footprintUsage +
		len(c.PolicyMappings)*footprintMapping
}

func attributes(n *pkix.Name) int { return len(n.Names) + len(n.ExtraNames) }
