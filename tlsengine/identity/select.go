package identity

import (
	"context"
	"crypto/tls"
)

// Select returns the certificate for a handshake that asks for one: the first identity that the request has room for, by
// signature schemes and, if the peer named authorities, by issuers, as crypto/tls decides for its own. An empty certificate
// says that none has; it is never an error.
//
// A key that is elsewhere is asked by sign, under ctx, since crypto/tls hands no context to whoever signs. Below TLS 1.2,
// where signatures have no scheme (RFC 5246, section 7.4.1.4.1), such an identity never fits.
func Select(ctx context.Context, ids []*Identity, sign SignFunc, info *tls.CertificateRequestInfo) (*tls.Certificate, error) {
	for _, i := range ids {
		cert := i.certificate(ctx, sign, info.Version)
		if cert != nil && info.SupportsCertificate(cert) == nil {
			return cert, nil
		}
	}
	return new(tls.Certificate), nil
}

// certificate is the identity for one handshake, or nil.
func (i *Identity) certificate(ctx context.Context, sign SignFunc, version uint16) *tls.Certificate {
	cert := &tls.Certificate{Certificate: i.raw, Leaf: i.chain[0]}
	if i.callerHeld {
		if version < tls.VersionTLS12 {
			return nil
		}
		cert.PrivateKey = &callerKey{ctx: ctx, sign: sign, public: i.chain[0].PublicKey, spki: i.SPKISHA256()}
		cert.SupportedSignatureAlgorithms = i.schemes
		return cert
	}
	cert.PrivateKey = i.key
	return cert
}
