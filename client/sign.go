package client

import (
	"bytes"
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/tls"
	"errors"
	"fmt"
	"slices"

	pb "securesocket/gen/securesocket/v1"
)

// What a caller-held key does not sign.
var (
	errNoSuchKey = errors.New("no identity of this dial has the key")
	errScheme    = errors.New("the signature scheme does not fit the key")
	errInput     = errors.New("what is to be signed has not the form that the signature scheme wants")
)

// maxSignedTranscript bounds what an Ed25519 key is asked to sign, in bytes: in TLS 1.2 the handshake so far, certificates
// included.
const maxSignedTranscript = 1 << 20

// tls13Contexts precede what is signed in TLS 1.3 (RFC 8446, 4.4.3): by a client, by a server.
var tls13Contexts = [2][]byte{
	append(bytes.Repeat([]byte{' '}, 64), "TLS 1.3, client CertificateVerify\x00"...),
	append(bytes.Repeat([]byte{' '}, 64), "TLS 1.3, server CertificateVerify\x00"...),
}

// callerKey is a key that stays in this process.
type callerKey struct {
	signer  crypto.Signer
	spki    [sha256.Size]byte
	schemes []tls.SignatureScheme // those that the service was told
}

// sign makes the signature that the service asks for, if it is one that TLS makes with this key, in the role of a server
// or of a client.
func (k *callerKey) sign(request *pb.SignRequest, server bool) ([]byte, error) {
	scheme := tls.SignatureScheme(request.GetSignatureScheme())
	if int32(scheme) != request.GetSignatureScheme() || !slices.Contains(k.schemes, scheme) {
		return nil, fmt.Errorf("%w: %d", errScheme, request.GetSignatureScheme())
	}
	options := signerOpts(scheme)
	input := request.GetInput()
	if options.HashFunc() == 0 {
		if request.GetPrehashed() || len(input) > maxSignedTranscript || !isHandshake(input, server) {
			return nil, errInput
		}
	} else if !request.GetPrehashed() || len(input) != options.HashFunc().Size() {
		return nil, errInput
	}
	signature, err := k.signer.Sign(rand.Reader, input, options)
	if err == nil && len(signature) == 0 {
		err = errors.New("the key made an empty signature")
	}
	return signature, err
}

// signerOpts says how the scheme signs (RFC 8446, 4.2.3): with PSS the salt is as long as the hash.
func signerOpts(scheme tls.SignatureScheme) crypto.SignerOpts {
	switch scheme {
	case tls.PSSWithSHA256:
		return &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: crypto.SHA256}
	case tls.PSSWithSHA384:
		return &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: crypto.SHA384}
	case tls.PSSWithSHA512:
		return &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: crypto.SHA512}
	case tls.PKCS1WithSHA256, tls.ECDSAWithP256AndSHA256:
		return crypto.SHA256
	case tls.PKCS1WithSHA384, tls.ECDSAWithP384AndSHA384:
		return crypto.SHA384
	case tls.PKCS1WithSHA512, tls.ECDSAWithP521AndSHA512:
		return crypto.SHA512
	}
	return crypto.Hash(0) // Ed25519 hashes itself
}

// isHandshake reports whether TLS would sign this message. In TLS 1.3 it is a hash behind a fixed text. In TLS 1.2 a client
// signs all handshake messages, of which the first is ClientHello (RFC 5246, 7.4.8), and a server two random numbers and
// its share of the key exchange (RFC 8422, 5.4). Where the key sees the message and no digest, it can see that it does not
// sign a document or a certificate.
func isHandshake(message []byte, server bool) bool {
	tls13 := tls13Contexts[0]
	if server {
		tls13 = tls13Contexts[1]
	}
	if hash, ok := bytes.CutPrefix(message, tls13); ok {
		return len(hash) == crypto.SHA256.Size() || len(hash) == crypto.SHA384.Size()
	}
	if !server {
		return bytes.HasPrefix(message, []byte{1})
	}
	const randoms, namedCurve, head = 64, 3, 4 // bytes; the type of the parameters; type, curve and the length of the point
	return len(message) > randoms+head && message[randoms] == namedCurve &&
		len(message) == randoms+head+int(message[randoms+head-1])
}

// handleSign has a caller-held key answer.
func (c *Conn) handleSign(request *pb.SignRequest) {
	var signature []byte
	server := c.isServer()
	c.answer(question{signature: true, id: request.GetSignId()}, "crypto.Signer", request.GetDeadlineTime(), func(context.Context) (err error) {
		i := slices.IndexFunc(c.hooks.keys, func(k *callerKey) bool { return bytes.Equal(k.spki[:], request.GetSpkiSha256()) })
		if i < 0 {
			return errNoSuchKey
		}
		signature, err = c.hooks.keys[i].sign(request, server)
		return err
	}, func(err error) *pb.AttachRequest {
		answer := &pb.Signature{SignId: request.GetSignId(), Signature: signature}
		if err != nil || len(signature) == 0 {
			// Why stays here, as the cause of the dial's error: the key's own words are not for the service.
			answer.Signature, answer.Error = nil, "the caller's key did not sign"
		}
		return &pb.AttachRequest{Frame: &pb.AttachRequest_Signature{Signature: answer}}
	})
}
