package gallery

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"slices"

	"securesocket/tlsengine"
	"securesocket/tlsengine/forge"
	"securesocket/tlsengine/revocation"
)

// exhibit is a host with what it does.
type exhibit struct {
	Host
	config *tls.Config      // of its handshake
	dress  func(*wire)      // before the handshake: gives the wire its manners; nil: none
	act    func(*wire)      // in the place of any TLS, after the ClientHello; nil: TLS
	end    func(*tlsServer) // after the answer; nil: close_notify
}

// curator builds the collection. After the first error it mints nothing more.
type curator struct {
	outside  *responders
	exhibits []*exhibit
	err      error

	root     *forge.CA
	issuing  *forge.CA     // below root
	issuingR *forge.CA     // below root, with an RSA key
	stranger *forge.CA     // a root that nobody trusts
	key      crypto.Signer // of every leaf that needs no other; ECDSA P-256
	keyRSA   crypto.Signer // 2048 bits; making one takes long
	listers  []*forge.CA   // that intermediates point to for revocation, root and issuing first
}

func newCurator(base string) *curator {
	c := &curator{outside: newResponders(base)}
	var err error
	if c.key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		c.fail(err)
	}
	if c.keyRSA, err = rsa.GenerateKey(rand.Reader, 2048); err != nil {
		c.fail(err)
	}
	house := forge.Organization("Gallery")
	c.root = c.authority(forge.NewCA(forge.CommonName("Gallery Root"), house))
	c.stranger = c.authority(forge.NewCA(forge.CommonName("Nobody's Root"), house))
	c.listers = append(c.listers, c.root)
	c.issuing = c.below(c.root, forge.CommonName("Gallery Issuing CA"))
	c.listers = append(c.listers, c.issuing)
	c.issuingR = c.below(c.root, forge.CommonName("Gallery RSA CA"), forge.Key(c.keyRSA))
	return c
}

func (c *curator) fail(err error) {
	if c.err == nil {
		c.err = err
	}
}

// authority takes the result of minting one. After an error it is an empty one, below which nothing is minted.
func (c *curator) authority(ca *forge.CA, err error) *forge.CA {
	if err != nil {
		c.fail(err)
		return new(forge.CA)
	}
	return ca
}

// listed lets a certificate say where the list of its issuer is.
func (c *curator) listed(issuer *forge.CA) forge.Option {
	i := slices.Index(c.listers, issuer)
	if i < 0 {
		i = len(c.listers)
		c.listers = append(c.listers, issuer)
	}
	return forge.CRLDistributionPoint(c.outside.url(listPath(i)))
}

// below makes an intermediate whose revocation can be looked up, in the list of ca.
func (c *curator) below(ca *forge.CA, opts ...forge.Option) *forge.CA {
	if c.err != nil {
		return new(forge.CA)
	}
	opts = append([]forge.Option{forge.Organization("Gallery"), c.listed(ca)}, opts...)
	return c.authority(ca.Intermediate(opts...))
}

// leaf makes a certificate for the host's own name, unless Names says otherwise.
func (c *curator) leaf(ca *forge.CA, label string, opts ...forge.Option) *forge.Identity {
	if c.err != nil {
		return new(forge.Identity)
	}
	id, err := ca.Leaf(c.leafOptions(label, opts)...)
	if err != nil {
		c.fail(err)
		return new(forge.Identity)
	}
	return id
}

func (c *curator) selfSigned(label string, opts ...forge.Option) *forge.Identity {
	if c.err != nil {
		return new(forge.Identity)
	}
	id, err := forge.SelfSigned(c.leafOptions(label, opts)...)
	if err != nil {
		c.fail(err)
		return new(forge.Identity)
	}
	return id
}

func (c *curator) leafOptions(label string, opts []forge.Option) []forge.Option {
	return append([]forge.Option{forge.Organization("Gallery"), forge.CommonName(label + suffix), forge.Names(label + suffix),
		forge.Key(c.key)}, opts...)
}

// crossSign makes a second certificate for other, issued by ca.
func (c *curator) crossSign(ca, other *forge.CA, opts ...forge.Option) []byte {
	if c.err != nil {
		return nil
	}
	cross, err := ca.CrossSign(other, append([]forge.Option{c.listed(ca)}, opts...)...)
	if err != nil {
		c.fail(err)
		return nil
	}
	return cross.DER()
}

// der is the authority's own certificate.
func der(ca *forge.CA) []byte {
	if ca.Certificate == nil {
		return nil // after an error
	}
	return ca.DER()
}

func (c *curator) hang(group Group, label, about string, id *forge.Identity) *exhibit {
	e := &exhibit{
		Host: Host{Name: label + suffix, About: about, Group: group, VerifyName: label + suffix, Revocation: revocation.Soft,
			Status: tlsengine.StatusUnknown, Basis: tlsengine.BasisNone},
		config: &tls.Config{
			Certificates:           []tls.Certificate{id.Certificate()},
			MinVersion:             tls.VersionTLS12,
			SessionTicketsDisabled: true, // a ticket is one more thing that could go wrong
		},
	}
	c.exhibits = append(c.exhibits, e)
	return e
}

// trusted is a host whose handshake succeeds.
func (c *curator) trusted(group Group, label, about string, id *forge.Identity) *exhibit {
	e := c.hang(group, label, about, id)
	e.Status, e.Basis = tlsengine.StatusTrusted, tlsengine.BasisValidated
	e.Cause = "PEER_CLOSE_NOTIFY"
	e.Events = []string{EventSecureConnected, EventRemoteClosed, EventClosed}
	return e
}

// refused is a host whose chain is refused.
func (c *curator) refused(group Group, label, about string, id *forge.Identity, status tlsengine.Status, problems ...Expect) *exhibit {
	e := c.hang(group, label, about, id)
	e.Status, e.Problems, e.Reason = status, problems, reasons[status]
	e.Events = []string{EventCertificateError, EventIOError, EventClosed}
	return e
}

// failed is a host whose handshake fails although nothing is wrong with its chain.
func (c *curator) failed(label, about, reason string) *exhibit {
	e := c.hang(GroupHandshake, label, about, c.leaf(c.issuing, label))
	e.Reason = reason
	e.Events = []string{EventIOError, EventClosed}
	return e
}
