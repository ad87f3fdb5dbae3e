package identity

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/tls"
	"io"
	"slices"
	"sync/atomic"
)

// SignRequest is what a caller that keeps its key is asked to sign.
type SignRequest struct {
	Scheme    uint16 // IANA's TLS SignatureScheme
	Input     []byte // the digest, or with Ed25519 the message; whoever is asked may keep it
	Prehashed bool   // Input is the digest
	// SPKISHA256 names the key: it is the hash of the leaf's SubjectPublicKeyInfo.
	SPKISHA256 [sha256.Size]byte
}

// SignFunc asks whoever holds the key. It returns when ctx ends. It is called on the goroutine of the handshake, which
// waits for it, and may be called for several handshakes at once.
type SignFunc func(ctx context.Context, r SignRequest) ([]byte, error)

// callerKey is a key that is elsewhere, for one handshake.
type callerKey struct {
	ctx    context.Context
	sign   SignFunc
	public crypto.PublicKey
	spki   [sha256.Size]byte

	failure atomic.Pointer[SignError]
}

func (k *callerKey) Public() crypto.PublicKey { return k.public }

// Sign has its signature made elsewhere and lets none pass that does not verify: the peer would blame this side with an
// alert that says nothing. Its errors are *SignError.
func (k *callerKey) Sign(_ io.Reader, input []byte, opts crypto.SignerOpts) ([]byte, error) {
	signature, err := k.ask(input, opts)
	if err != nil {
		k.failure.Store(err)
		return nil, err
	}
	return signature, nil
}

func (k *callerKey) ask(input []byte, opts crypto.SignerOpts) ([]byte, *SignError) {
	if k.sign == nil {
		return nil, &SignError{Kind: Unavailable}
	}
	if k.ctx.Err() != nil {
		return nil, &SignError{Kind: Interrupted, Err: context.Cause(k.ctx)}
	}
	scheme, ok := schemeOf(k.public, opts)
	if !ok {
		return nil, &SignError{Kind: Unavailable} // Select does not let it come to this
	}
	signature, err := k.sign(k.ctx, SignRequest{
		Scheme: uint16(scheme), Input: bytes.Clone(input), Prehashed: opts.HashFunc() != 0, SPKISHA256: k.spki,
	})
	switch {
	case err != nil && k.ctx.Err() != nil:
		return nil, &SignError{Kind: Interrupted, Err: context.Cause(k.ctx)}
	case err != nil:
		return nil, &SignError{Kind: Declined, Err: err}
	case !verifies(k.public, input, opts, signature):
		return nil, &SignError{Kind: Wrong}
	}
	return slices.Clip(signature), nil
}

// schemeOf names what crypto/tls asks for. With ECDSA the hash decides: in TLS 1.3 it has been chosen by the curve.
func schemeOf(pub crypto.PublicKey, opts crypto.SignerOpts) (tls.SignatureScheme, bool) {
	byHash := func(sha256, sha384, sha512 tls.SignatureScheme) (tls.SignatureScheme, bool) {
		switch opts.HashFunc() {
		case crypto.SHA256:
			return sha256, true
		case crypto.SHA384:
			return sha384, true
		case crypto.SHA512:
			return sha512, true
		}
		return 0, false
	}
	switch pub.(type) {
	case *rsa.PublicKey:
		if _, pss := opts.(*rsa.PSSOptions); pss {
			return byHash(tls.PSSWithSHA256, tls.PSSWithSHA384, tls.PSSWithSHA512)
		}
		return byHash(tls.PKCS1WithSHA256, tls.PKCS1WithSHA384, tls.PKCS1WithSHA512)
	case *ecdsa.PublicKey:
		return byHash(tls.ECDSAWithP256AndSHA256, tls.ECDSAWithP384AndSHA384, tls.ECDSAWithP521AndSHA512)
	case ed25519.PublicKey:
		return tls.Ed25519, opts.HashFunc() == 0
	}
	return 0, false
}

// verifies checks a signature as the peer will. The salt of PSS is as long as the hash (RFC 8446, section 4.2.3).
func verifies(pub crypto.PublicKey, input []byte, opts crypto.SignerOpts, signature []byte) bool {
	switch pub := pub.(type) {
	case *rsa.PublicKey:
		if pss, ok := opts.(*rsa.PSSOptions); ok {
			return rsa.VerifyPSS(pub, opts.HashFunc(), input, signature, pss) == nil
		}
		return rsa.VerifyPKCS1v15(pub, opts.HashFunc(), input, signature) == nil
	case *ecdsa.PublicKey:
		return ecdsa.VerifyASN1(pub, input, signature)
	case ed25519.PublicKey:
		return ed25519.Verify(pub, input, signature)
	}
	return false
}
