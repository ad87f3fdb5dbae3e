package client

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"slices"

	"google.golang.org/grpc/codes"

	pb "securesocket/gen/securesocket/v1"
)

// Identity is a certificate chain and its private key, for a peer that asks for a certificate, or is a client:
// CallerHeldIdentity, UploadedIdentity or OperatorHeldIdentity make one. It is immutable, may serve many Dialers, and never
// prints its key.
type Identity struct {
	wire *pb.Identity
	key  *callerKey // nil unless caller-held
	text string
}

// CallerHeldIdentity is an identity whose key does not leave this process: the service asks for each signature while a
// handshake is under way, over its stream. cert.PrivateKey is a crypto.Signer with an RSA, an ECDSA (P-256, P-384, P-521)
// or an Ed25519 key, such as one in a hardware module; it is called from several goroutines at once, and has the
// handshake's time to answer. cert.SupportedSignatureAlgorithms, if set, limits what it is asked for.
//
// What is signed is what the service says: the key vouches for whatever handshake the service makes. The error is an
// *Error with INVALID_CERTIFICATE or INVALID_PRIVATE_KEY.
func CallerHeldIdentity(cert tls.Certificate) (*Identity, error) {
	leaf, err := identityLeaf(cert)
	if err != nil {
		return nil, err
	}
	signer, ok := cert.PrivateKey.(crypto.Signer)
	if !ok {
		return nil, invalidKey("the private key is no crypto.Signer")
	}
	if err := fits(leaf, signer); err != nil {
		return nil, err
	}
	key := &callerKey{signer: signer, spki: sha256.Sum256(leaf.RawSubjectPublicKeyInfo)}
	var numbers []int32
	for _, scheme := range schemesFor(signer.Public()) {
		if cert.SupportedSignatureAlgorithms == nil || slices.Contains(cert.SupportedSignatureAlgorithms, scheme) {
			key.schemes = append(key.schemes, scheme)
			numbers = append(numbers, int32(scheme))
		}
	}
	if len(numbers) == 0 {
		return nil, invalidKey("none of the signature algorithms fits the key")
	}
	return &Identity{key: key, text: "caller-held identity", wire: &pb.Identity{Source: &pb.Identity_CallerSigner{
		CallerSigner: &pb.CallerSigner{CertificateChain: cloneChain(cert), SignatureSchemes: numbers},
	}}}, nil
}

// UploadedIdentity is an identity whose key is sent to the service with every dial or Listen, which keeps it in memory as
// long as the session or the listener lasts. Prefer CallerHeldIdentity, and a private way to the service. The error is an *Error with
// INVALID_CERTIFICATE or INVALID_PRIVATE_KEY.
func UploadedIdentity(cert tls.Certificate) (*Identity, error) {
	leaf, err := identityLeaf(cert)
	if err != nil {
		return nil, err
	}
	der, err := x509.MarshalPKCS8PrivateKey(cert.PrivateKey)
	signer, ok := cert.PrivateKey.(crypto.Signer)
	if err != nil || !ok {
		return nil, invalidKey("the private key cannot be sent; CallerHeldIdentity leaves it where it is")
	}
	if err := fits(leaf, signer); err != nil {
		return nil, err
	}
	return &Identity{text: "uploaded identity", wire: &pb.Identity{Source: &pb.Identity_KeyPair{
		KeyPair: &pb.KeyPair{CertificateChain: cloneChain(cert), PrivateKey: der},
	}}}, nil
}

// OperatorHeldIdentity is an identity that the service's operator holds under that name; the service says INVALID_FIELD if
// there is none.
func OperatorHeldIdentity(name string) *Identity {
	return &Identity{text: "operator-held identity", wire: &pb.Identity{Source: &pb.Identity_IdentityRef{IdentityRef: name}}}
}

// Proto returns the identity as SessionSettings.Tls.Identities has it, for Client.Service. That of an uploaded identity
// has the key in it. It must not be changed. Whoever uses that of a caller-held one answers the sign_request frames.
func (i *Identity) Proto() *pb.Identity { return i.wire }

// String says what kind it is, and nothing of the key.
func (i *Identity) String() string { return i.text }

// GoString is String: %#v must not show the key either.
func (i *Identity) GoString() string { return i.text }

// identityLeaf reads the first certificate.
func identityLeaf(cert tls.Certificate) (*x509.Certificate, error) {
	if len(cert.Certificate) == 0 {
		return nil, invalidIdentity(pb.ErrorReason_ERROR_REASON_INVALID_CERTIFICATE, "the certificate chain is empty")
	}
	leaf, err := x509.ParseCertificate(cert.Certificate[0])
	if err != nil {
		return nil, invalidIdentity(pb.ErrorReason_ERROR_REASON_INVALID_CERTIFICATE, err.Error())
	}
	return leaf, nil
}

// fits reports whether the key is that of the certificate, and of a kind that TLS has.
func fits(leaf *x509.Certificate, signer crypto.Signer) error {
	public, ok := signer.Public().(interface{ Equal(crypto.PublicKey) bool })
	if !ok || len(schemesFor(signer.Public())) == 0 {
		return invalidKey("the private key is of a kind that is not supported")
	}
	if !public.Equal(leaf.PublicKey) {
		return invalidKey("the private key is not that of the certificate")
	}
	return nil
}

// schemesFor are the signature schemes that a key can make, most wanted first. TLS 1.2 lets an ECDSA key of any curve
// sign by any hash; TLS 1.3 takes the one of its curve, and the service knows which version it speaks.
func schemesFor(key crypto.PublicKey) []tls.SignatureScheme {
	switch key := key.(type) {
	case *rsa.PublicKey:
		return []tls.SignatureScheme{
			tls.PSSWithSHA256, tls.PSSWithSHA384, tls.PSSWithSHA512,
			tls.PKCS1WithSHA256, tls.PKCS1WithSHA384, tls.PKCS1WithSHA512,
		}
	case *ecdsa.PublicKey:
		all := []tls.SignatureScheme{tls.ECDSAWithP256AndSHA256, tls.ECDSAWithP384AndSHA384, tls.ECDSAWithP521AndSHA512}
		switch key.Curve {
		case elliptic.P256(), elliptic.P384(), elliptic.P521():
			return all
		}
	case ed25519.PublicKey:
		return []tls.SignatureScheme{tls.Ed25519}
	}
	return nil
}

// cloneChain copies the chain, which the caller may go on to change.
func cloneChain(cert tls.Certificate) [][]byte {
	chain := make([][]byte, len(cert.Certificate))
	for i, der := range cert.Certificate {
		chain[i] = slices.Clone(der)
	}
	return chain
}

// invalidKey is the refusal of a private key before anything is sent.
func invalidKey(message string) error {
	return invalidIdentity(pb.ErrorReason_ERROR_REASON_INVALID_PRIVATE_KEY, message)
}

func invalidIdentity(reason pb.ErrorReason, message string) error {
	return &Error{Code: codes.InvalidArgument, Reason: reason, Message: "the identity: " + message}
}
