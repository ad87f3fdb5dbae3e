package client_test

import (
	"crypto"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"securesocket/client"
	pb "securesocket/gen/securesocket/v1"
	"securesocket/tlsengine/tlstest"
)

func TestIdentityOnTheWire(t *testing.T) {
	t.Parallel()
	cert := tlstest.NewCA(t).Intermediate().Leaf().Certificate()
	require.Greater(t, len(cert.Certificate), 1)
	chain := [][]byte{append([]byte(nil), cert.Certificate[0]...), append([]byte(nil), cert.Certificate[1]...)}
	uploaded, err := client.UploadedIdentity(cert)
	require.NoError(t, err)
	held, err := client.CallerHeldIdentity(cert)
	require.NoError(t, err)
	cert.Certificate[0][0]++ // theirs is a copy
	got := make(chan []*pb.Identity, 1)
	c, _ := startFake(t, func(s *fakeStream) error {
		got <- s.open.GetSettings().GetTls().GetIdentities()
		return echoes(s)
	})
	settings := &pb.SessionSettings{Tls: &pb.TlsSettings{Identities: []*pb.Identity{client.OperatorHeldIdentity("below").Proto()}}}
	d := client.Dialer{Client: c, Settings: settings, Identities: []*client.Identity{uploaded, held, client.OperatorHeldIdentity("bank")}}
	conn, err := d.Dial(t.Context(), "tcp", "example.com:443")
	require.NoError(t, err)
	require.NoError(t, conn.Close())
	require.Equal(t, "below", settings.GetTls().GetIdentities()[0].GetIdentityRef(), "not changed")

	sent := <-got
	require.Len(t, sent, 3)
	pair := sent[0].GetKeyPair()
	require.Equal(t, chain, pair.GetCertificateChain())
	key, err := x509.ParsePKCS8PrivateKey(pair.GetPrivateKey())
	require.NoError(t, err)
	require.True(t, cert.PrivateKey.(*ecdsa.PrivateKey).Equal(key.(crypto.PrivateKey)))
	require.True(t, proto.Equal(&pb.CallerSigner{CertificateChain: chain, SignatureSchemes: []int32{0x0403, 0x0503, 0x0603}}, sent[1].GetCallerSigner()))
	require.Equal(t, "bank", sent[2].GetIdentityRef())
	for _, identity := range d.Identities {
		require.NotContains(t, fmt.Sprintf("%v %+v %#v %s", identity, identity, identity, identity), "[")
	}

	d.Identities = []*client.Identity{nil}
	_, err = d.Dial(t.Context(), "tcp", "example.com:443")
	requireError(t, err, pb.ErrorReason_ERROR_REASON_INVALID_FIELD)
}

func TestIdentityIsRefused(t *testing.T) {
	t.Parallel()
	ca := tlstest.NewCA(t)
	good, other := ca.Leaf().Certificate(), ca.Leaf().Certificate()
	p224, err := ecdsa.GenerateKey(elliptic.P224(), rand.Reader)
	require.NoError(t, err)
	noSigner, err := ecdh.X25519().GenerateKey(rand.Reader)
	require.NoError(t, err)
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	const badCertificate, badKey = pb.ErrorReason_ERROR_REASON_INVALID_CERTIFICATE, pb.ErrorReason_ERROR_REASON_INVALID_PRIVATE_KEY
	for name, tc := range map[string]struct {
		cert   tls.Certificate
		reason pb.ErrorReason
	}{
		"nothing":        {tls.Certificate{}, badCertificate},
		"no certificate": {tls.Certificate{PrivateKey: good.PrivateKey}, badCertificate},
		"no DER":         {tls.Certificate{Certificate: [][]byte{{1}}, PrivateKey: good.PrivateKey}, badCertificate},
		"no key":         {tls.Certificate{Certificate: good.Certificate}, badKey},
		"no signer":      {tls.Certificate{Certificate: good.Certificate, PrivateKey: noSigner}, badKey},
		"another's key":  {tls.Certificate{Certificate: good.Certificate, PrivateKey: other.PrivateKey}, badKey},
		"another kind":   {tls.Certificate{Certificate: good.Certificate, PrivateKey: ed}, badKey},
		"curve":          {tls.Certificate{Certificate: good.Certificate, PrivateKey: p224}, badKey},
	} {
		_, err := client.CallerHeldIdentity(tc.cert)
		requireError(t, err, tc.reason)
		_, err = client.UploadedIdentity(tc.cert)
		require.NotNil(t, requireError(t, err, tc.reason), name)
	}
	good.SupportedSignatureAlgorithms = []tls.SignatureScheme{tls.Ed25519}
	_, err = client.CallerHeldIdentity(good)
	requireError(t, err, badKey)
	// A key that does not come out can be held, not sent.
	good.SupportedSignatureAlgorithms, good.PrivateKey = nil, faultySigner{Signer: good.PrivateKey.(crypto.Signer)}
	_, err = client.CallerHeldIdentity(good)
	require.NoError(t, err)
	_, err = client.UploadedIdentity(good)
	requireError(t, err, badKey)
}
