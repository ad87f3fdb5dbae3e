package gallery

import (
	"crypto/x509"
	"fmt"
	"time"

	"golang.org/x/crypto/ocsp"

	"securesocket/tlsengine"
	"securesocket/tlsengine/forge"
	"securesocket/tlsengine/revocation"
)

// fresh is how long lists and staples are good for. What was made at the start is not renewed.
const fresh = 7*24*time.Hour - 2*time.Hour

// Where certificates point to.
const (
	forgetfulPath    = "/ocsp/forgetful"
	crlPath          = "/crl/issuing.crl"
	staleCRLPath     = "/crl/stale.crl"
	ocspPath         = "/ocsp/issuing"
	delegatedPath    = "/ocsp/delegated"
	impostorOCSPPath = "/ocsp/impostor"
	downPath         = "/ocsp/down"
)

// listPath is where the list of the i-th lister is.
func listPath(i int) string {
	switch i {
	case 0:
		return "/crl/root.crl"
	case 1:
		return crlPath
	}
	return fmt.Sprintf("/crl/%d.crl", i)
}

func (c *curator) revocation() {
	var (
		withCRL  = forge.CRLDistributionPoint(c.outside.url(crlPath))
		withOCSP = forge.OCSPServer(c.outside.url(ocspPath))
		down     = forge.OCSPServer(c.outside.url(downPath))
		unknown  = Expect{tlsengine.RevocationUnknown, 0}
		unproved = Expect{tlsengine.StapleRequired, 0}
		revoked  []*x509.Certificate
	)
	show := func(label, about string, opts ...forge.Option) *exhibit {
		return c.trusted(GroupRevocation, label, about, c.leaf(c.issuing, label, opts...))
	}
	// hard is refused when nothing is known.
	hard := func(label, about string, opts ...forge.Option) {
		e := c.refused(GroupRevocation, label, about, c.leaf(c.issuing, label, opts...), tlsengine.StatusUnknown, unknown)
		e.Revocation, e.Reason = revocation.Hard, "REVOCATION_UNAVAILABLE"
	}
	// gone is revoked, in the list and in every answer.
	gone := func(label, about string, opts ...forge.Option) *exhibit {
		id := c.leaf(c.issuing, label, opts...)
		revoked = append(revoked, id.Leaf)
		return c.refused(GroupRevocation, label, about, id, tlsengine.StatusRevoked, Expect{tlsengine.CertificateRevoked, 0})
	}

	show("good-crl", "A revocation list says that it is not revoked.", withCRL).Revocation = revocation.Hard
	show("good-ocsp", "The authority's responder says that it is not revoked.", withOCSP).Revocation = revocation.Hard
	show("good-delegated", "A responder that the authority has appointed says that it is not revoked.",
		forge.OCSPServer(c.outside.url(delegatedPath))).Revocation = revocation.Hard
	e := show("good-staple", "The server brings the responder's answer along.")
	e.Revocation = revocation.Hard
	c.staple(e, forge.Answer{})
	c.staple(show("must-staple", "It asks for a staple, and one is there.", forge.MustStaple()), forge.Answer{})
	show("responder-down", "The responder is out of order; unknown is accepted, and said.", down)
	stale := forge.Answer{ThisUpdate: time.Now().Add(-72 * time.Hour), NextUpdate: time.Now().Add(-24 * time.Hour)}
	c.staple(show("stale-staple", "The staple is out of date; unknown is accepted, and said."), stale)

	gone("revoked-crl", "Revoked, as a list says.", withCRL)
	gone("revoked-ocsp", "Revoked, as a responder says.", withOCSP)
	c.staple(gone("revoked-staple", "Revoked, as the server itself has to say by its staple."), forge.Answer{Status: ocsp.Revoked})

	c.requiring(unproved, "must-staple-missing", "It asks for a staple, and none is there.")
	c.staple(c.requiring(unproved, "must-staple-stale", "It asks for a staple, and one that is out of date is there."), stale)

	hard("responder-down-hard", "The responder is out of order, and unknown is not accepted.", down)
	hard("no-pointer", "Nothing says who knows about its revocation.")
	hard("stale-crl", "The revocation list is out of date.", forge.CRLDistributionPoint(c.outside.url(staleCRLPath)))
	hard("impostor-responder", "The answer is signed by a server of the same authority, which is no responder.",
		forge.OCSPServer(c.outside.url(impostorOCSPPath)))
	hard("ocsp-unknown", "The responder does not know the certificate.", forge.OCSPServer(c.outside.url(forgetfulPath)))

	fallen := c.below(c.root, forge.CommonName("Gallery Fallen CA"))
	c.refused(GroupRevocation, "revoked-intermediate", "The root has revoked the intermediate certificate.",
		c.leaf(fallen, "revoked-intermediate"), tlsengine.StatusInvalidChain, Expect{tlsengine.CertificateRevoked, 1})
	c.respond(revoked, fallen)
}

// requiring asks for a staple, and has none yet.
func (c *curator) requiring(problem Expect, label, about string) *exhibit {
	return c.refused(GroupRevocation, label, about, c.leaf(c.issuing, label, forge.MustStaple()), tlsengine.StatusUnknown, problem)
}

// staple lets the server bring an answer about its certificate along.
func (c *curator) staple(e *exhibit, a forge.Answer) {
	if c.err != nil {
		return
	}
	cert := &e.config.Certificates[0]
	leaf, err := x509.ParseCertificate(cert.Certificate[0])
	if err != nil {
		c.fail(err)
		return
	}
	a.Serial = leaf.SerialNumber
	if a.NextUpdate.IsZero() {
		a.NextUpdate = time.Now().Add(fresh)
	}
	if cert.OCSPStaple, err = c.issuing.OCSP(a); err != nil {
		c.fail(err)
	}
}

// respond opens what certificates point to.
func (c *curator) respond(revoked []*x509.Certificate, fallen *forge.CA) {
	responder := c.leaf(c.issuing, "responder", forge.ExtKeyUsage(x509.ExtKeyUsageOCSPSigning))
	server := c.leaf(c.issuing, "server")
	if c.err != nil {
		return
	}
	next := time.Now().Add(fresh)
	// Most have revoked nothing.
	gone := map[*forge.CA][]*x509.Certificate{c.root: {fallen.Certificate}, c.issuing: revoked}
	for i, ca := range c.listers {
		c.list(listPath(i), ca, forge.List{Revoked: gone[ca], NextUpdate: next})
	}
	c.list(staleCRLPath, c.issuing,
		forge.List{ThisUpdate: time.Now().Add(-72 * time.Hour), NextUpdate: time.Now().Add(-24 * time.Hour)})

	about := func(r *ocsp.Request) int {
		for _, cert := range revoked {
			if cert.SerialNumber.Cmp(r.SerialNumber) == 0 {
				return ocsp.Revoked
			}
		}
		return ocsp.Good
	}
	answer := func(signer *forge.Identity, about func(*ocsp.Request) int) func(*ocsp.Request) ([]byte, error) {
		return func(r *ocsp.Request) ([]byte, error) {
			return c.issuing.OCSP(forge.Answer{Serial: r.SerialNumber, Status: about(r), Hash: r.HashAlgorithm, Signer: signer})
		}
	}
	c.outside.responder(ocspPath, answer(nil, about))
	c.outside.responder(delegatedPath, answer(responder, about))
	c.outside.responder(impostorOCSPPath, answer(server, about))
	c.outside.responder(forgetfulPath, answer(nil, func(*ocsp.Request) int { return ocsp.Unknown }))
	c.outside.down(downPath)
}

func (c *curator) list(path string, ca *forge.CA, l forge.List) {
	der, err := ca.CRL(l)
	if err != nil {
		c.fail(err)
		return
	}
	c.outside.file(path, "application/pkix-crl", der)
}
