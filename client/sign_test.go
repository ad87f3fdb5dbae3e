package client_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"

	"securesocket/client"
	pb "securesocket/gen/securesocket/v1"
	"securesocket/tlsengine/tlstest"
)

func (s *fakeStream) askToSign(request *pb.SignRequest) {
	s.frame(&pb.AttachResponse{Frame: &pb.AttachResponse_SignRequest{SignRequest: request}})
}

// signs is a script that asks for one signature, tells what came, and is content with anything but a refusal.
func signs(request *pb.SignRequest, answer chan<- *pb.Signature) func(*fakeStream) error {
	return func(s *fakeStream) error {
		s.attached()
		s.askToSign(request)
		got, err := s.Recv()
		if err != nil {
			return err
		}
		answer <- got.GetSignature()
		if len(got.GetSignature().GetSignature()) == 0 {
			s.failed(pb.Phase_PHASE_HANDSHAKE, codes.FailedPrecondition, pb.ErrorReason_ERROR_REASON_SIGNATURE_FAILED)
			return nil
		}
		return echoes(s)
	}
}

// faultySigner has the public key of another signer, and does something else instead of signing.
type faultySigner struct {
	crypto.Signer
	sign func() ([]byte, error)
}

func (s faultySigner) Sign(io.Reader, []byte, crypto.SignerOpts) ([]byte, error) { return s.sign() }

func spki(t *testing.T, cert tls.Certificate) []byte {
	leaf, err := x509.ParseCertificate(cert.Certificate[0])
	require.NoError(t, err)
	hash := sha256.Sum256(leaf.RawSubjectPublicKeyInfo)
	return hash[:]
}

// clientVerify is what a TLS 1.3 client signs.
var clientVerify = append(append(bytes.Repeat([]byte{' '}, 64), "TLS 1.3, client CertificateVerify\x00"...), make([]byte, 32)...)

func TestCallerHeldKeySigns(t *testing.T) {
	t.Parallel()
	ca := tlstest.NewCA(t)
	keys := map[string]tls.Certificate{
		"RSA":     ca.Leaf(tlstest.RSA(2048)).Certificate(),
		"P-256":   ca.Leaf().Certificate(),
		"P-384":   ca.Leaf(tlstest.ECDSA(elliptic.P384())).Certificate(),
		"Ed25519": ca.Leaf(tlstest.Ed25519()).Certificate(),
	}
	digest := func(h crypto.Hash) []byte { return bytes.Repeat([]byte{7}, h.Size()) }
	pss := func(key crypto.PublicKey, h crypto.Hash, signature []byte) bool {
		options := &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash}
		return rsa.VerifyPSS(key.(*rsa.PublicKey), h, digest(h), signature, options) == nil
	}
	pkcs1 := func(key crypto.PublicKey, h crypto.Hash, signature []byte) bool {
		return rsa.VerifyPKCS1v15(key.(*rsa.PublicKey), h, digest(h), signature) == nil
	}
	ec := func(key crypto.PublicKey, h crypto.Hash, signature []byte) bool {
		return ecdsa.VerifyASN1(key.(*ecdsa.PublicKey), digest(h), signature)
	}
	for _, tc := range []struct {
		key    string
		scheme tls.SignatureScheme
		hash   crypto.Hash
		verify func(crypto.PublicKey, crypto.Hash, []byte) bool
	}{
		{"RSA", tls.PSSWithSHA256, crypto.SHA256, pss},
		{"RSA", tls.PSSWithSHA384, crypto.SHA384, pss},
		{"RSA", tls.PSSWithSHA512, crypto.SHA512, pss},
		{"RSA", tls.PKCS1WithSHA256, crypto.SHA256, pkcs1},
		{"RSA", tls.PKCS1WithSHA384, crypto.SHA384, pkcs1},
		{"RSA", tls.PKCS1WithSHA512, crypto.SHA512, pkcs1},
		{"P-256", tls.ECDSAWithP256AndSHA256, crypto.SHA256, ec},
		{"P-384", tls.ECDSAWithP256AndSHA256, crypto.SHA256, ec}, // TLS 1.2
		{"P-384", tls.ECDSAWithP384AndSHA384, crypto.SHA384, ec},
		{"Ed25519", tls.Ed25519, 0, func(key crypto.PublicKey, _ crypto.Hash, signature []byte) bool {
			return ed25519.Verify(key.(ed25519.PublicKey), clientVerify, signature)
		}},
	} {
		t.Run(tc.key+" "+tc.scheme.String(), func(t *testing.T) {
			t.Parallel()
			cert := keys[tc.key]
			held, err := client.CallerHeldIdentity(cert)
			require.NoError(t, err)
			other, err := client.CallerHeldIdentity(ca.Leaf().Certificate())
			require.NoError(t, err)
			request := &pb.SignRequest{
				SignId: 3, SignatureScheme: int32(tc.scheme), Input: clientVerify, SpkiSha256: spki(t, cert),
			}
			if tc.hash != 0 {
				request.Input, request.Prehashed = digest(tc.hash), true
			}
			answer := make(chan *pb.Signature, 1)
			c, _ := startFake(t, signs(request, answer))
			d := client.Dialer{Client: c, Identities: []*client.Identity{other, held}}
			conn, err := d.Dial(t.Context(), "tcp", "example.com:443")
			require.NoError(t, err)
			require.NoError(t, conn.Close())
			got := <-answer
			require.EqualValues(t, 3, got.GetSignId())
			require.Empty(t, got.GetError())
			require.True(t, tc.verify(cert.PrivateKey.(crypto.Signer).Public(), tc.hash, got.GetSignature()))
		})
	}
}

// TestCallerHeldKeyDeclines: what is not a TLS client's signature with this very key is not made.
func TestCallerHeldKeyDeclines(t *testing.T) {
	t.Parallel()
	ca := tlstest.NewCA(t)
	ec, rsaKey := ca.Leaf().Certificate(), ca.Leaf(tlstest.RSA(2048)).Certificate()
	ed := ca.Leaf(tlstest.Ed25519()).Certificate()
	limited := rsaKey
	limited.SupportedSignatureAlgorithms = []tls.SignatureScheme{tls.PSSWithSHA256}
	broken, locked := ec, errors.New("locked")
	broken.PrivateKey = faultySigner{ec.PrivateKey.(crypto.Signer), func() ([]byte, error) { return nil, locked }}
	panics := ec
	panics.PrivateKey = faultySigner{ec.PrivateKey.(crypto.Signer), func() ([]byte, error) { panic(locked) }}
	mute := ec
	mute.PrivateKey = faultySigner{ec.PrivateKey.(crypto.Signer), func() ([]byte, error) { return nil, nil }}
	sum := make([]byte, 32)
	for name, tc := range map[string]struct {
		cert      tls.Certificate
		scheme    tls.SignatureScheme
		input     []byte
		prehashed bool
		spki      []byte
	}{
		"another key":        {ec, tls.ECDSAWithP256AndSHA256, sum, true, spki(t, ed)},
		"no key":             {ec, tls.ECDSAWithP256AndSHA256, sum, true, nil},
		"scheme of RSA":      {ec, tls.PSSWithSHA256, sum, true, spki(t, ec)},
		"scheme of ECDSA":    {rsaKey, tls.ECDSAWithP256AndSHA256, sum, true, spki(t, rsaKey)},
		"SHA-1":              {rsaKey, tls.PKCS1WithSHA1, make([]byte, 20), true, spki(t, rsaKey)},
		"scheme not offered": {limited, tls.PKCS1WithSHA256, sum, true, spki(t, rsaKey)},
		"unknown scheme":     {rsaKey, 0, sum, true, spki(t, rsaKey)},
		"digest too short":   {ec, tls.ECDSAWithP256AndSHA256, sum[:31], true, spki(t, ec)},
		"digest too long":    {rsaKey, tls.PSSWithSHA256, make([]byte, 33), true, spki(t, rsaKey)},
		"no digest":          {ec, tls.ECDSAWithP256AndSHA256, sum, false, spki(t, ec)},
		"empty":              {ec, tls.ECDSAWithP256AndSHA256, nil, true, spki(t, ec)},
		"Ed25519 digest":     {ed, tls.Ed25519, clientVerify, true, spki(t, ed)},
		"Ed25519 empty":      {ed, tls.Ed25519, nil, false, spki(t, ed)},
		"Ed25519 document":   {ed, tls.Ed25519, []byte("I owe you"), false, spki(t, ed)},
		"Ed25519 server": {ed, tls.Ed25519, bytes.Replace(clientVerify, []byte("client"), []byte("server"), 1), false,
			spki(t, ed)},
		"Ed25519 more behind": {ed, tls.Ed25519, append(clientVerify[:len(clientVerify):len(clientVerify)], 0), false, spki(t, ed)},
		"Ed25519 too much":    {ed, tls.Ed25519, append([]byte{1}, make([]byte, 1<<20)...), false, spki(t, ed)},
		"broken":              {broken, tls.ECDSAWithP256AndSHA256, sum, true, spki(t, ec)},
		"panics":              {panics, tls.ECDSAWithP256AndSHA256, sum, true, spki(t, ec)},
		"mute":                {mute, tls.ECDSAWithP256AndSHA256, sum, true, spki(t, ec)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			held, err := client.CallerHeldIdentity(tc.cert)
			require.NoError(t, err)
			answer := make(chan *pb.Signature, 1)
			c, _ := startFake(t, signs(&pb.SignRequest{
				SignId: 1, SignatureScheme: int32(tc.scheme), Input: tc.input, Prehashed: tc.prehashed, SpkiSha256: tc.spki,
			}, answer))
			_, err = (&client.Dialer{Client: c, Identities: []*client.Identity{held}}).Dial(t.Context(), "tcp", "example.com:443")
			e := requireError(t, err, pb.ErrorReason_ERROR_REASON_SIGNATURE_FAILED)
			require.Error(t, e.Unwrap(), "why, on this side")
			require.Equal(t, name == "broken" || name == "panics", errors.Is(err, locked))
			got := <-answer
			require.EqualValues(t, 1, got.GetSignId())
			require.Empty(t, got.GetSignature())
			require.NotEmpty(t, got.GetError())
			require.LessOrEqual(t, len(got.GetError()), 256)
			require.NotContains(t, got.GetError(), locked.Error())
		})
	}
}
