package identity

import (
	"context"
	"crypto/tls"
)

// SelectServer returns the certificate that a server shows to the client of hello: the first identity whose leaf carries
// the server name and that the client has algorithms for, as crypto/tls decides for its own; where none is, or the
// client named no server, the first that it has algorithms for; where none is either, the first of all, with which
// crypto/tls fails the handshake. Without identities the certificate is empty. There is never an error.
//
// A key that is elsewhere is asked as with [Select], below TLS 1.2 never, and never for a client without its algorithms.
func SelectServer(ctx context.Context, ids []*Identity, sign SignFunc, hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	nameless := *hello
	nameless.ServerName = ""
	for _, h := range []*tls.ClientHelloInfo{hello, &nameless} {
		for _, i := range ids {
			if cert := i.serverCertificate(ctx, sign, h); cert != nil {
				return cert, nil
			}
		}
	}
	if len(ids) == 0 {
		return new(tls.Certificate), nil
	}
	if first := ids[0]; first.callerHeld {
		return &tls.Certificate{Certificate: first.raw, Leaf: first.chain[0]}, nil
	}
	return ids[0].certificate(ctx, nil, tls.VersionTLS12), nil
}

// serverCertificate is the identity for one handshake, or nil when it does not fit.
func (i *Identity) serverCertificate(ctx context.Context, sign SignFunc, hello *tls.ClientHelloInfo) *tls.Certificate {
	if i.callerHeld {
		// Only crypto/tls knows which version it will choose. Asked about the new ones alone it chooses the same, if that
		// is a new one, and otherwise none.
		modern := *hello
		modern.SupportedVersions = nil
		for _, version := range hello.SupportedVersions {
			if version >= tls.VersionTLS12 {
				modern.SupportedVersions = append(modern.SupportedVersions, version)
			}
		}
		// Who names no scheme means SHA-1 (RFC 5246, section 7.4.1.4.1).
		if hello = &modern; len(hello.SignatureSchemes) == 0 {
			return nil
		}
	}
	cert := i.certificate(ctx, sign, tls.VersionTLS12)
	if hello.SupportsCertificate(cert) != nil {
		return nil
	}
	return cert
}
