package server_test

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"math/big"
	"net"
	"net/url"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
	"google.golang.org/protobuf/proto"

	pb "securesocket/gen/securesocket/v1"
	"securesocket/server/servertest"
	"securesocket/tlsengine/forge"
	"securesocket/tlsengine/tlstest"
)

// fullLeaf is a leaf of an RSA authority that has something in every field that a Certificate shows.
func fullLeaf(tb testing.TB, ca *tlstest.CA) *tlstest.Identity {
	tb.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(tb, err)
	uri, err := url.Parse("spiffe://house/leaf")
	require.NoError(tb, err)
	subject, err := asn1.Marshal(pkix.RDNSequence{
		{{Type: asn1.ObjectIdentifier{2, 5, 4, 6}, Value: "CH"}},
		{{Type: asn1.ObjectIdentifier{2, 5, 4, 8}, Value: "Bern"}},
		{{Type: asn1.ObjectIdentifier{2, 5, 4, 7}, Value: "Thun"}},
		{{Type: asn1.ObjectIdentifier{2, 5, 4, 10}, Value: "House"}},
		{{Type: asn1.ObjectIdentifier{2, 5, 4, 11}, Value: "first"}},
		{{Type: asn1.ObjectIdentifier{2, 5, 4, 11}, Value: "second"}},
		{{Type: asn1.ObjectIdentifier{2, 5, 4, 3}, Value: "leaf"}},
	})
	require.NoError(tb, err)
	now := time.Now().Truncate(time.Second)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(0xabc), RawSubject: subject, NotBefore: now.Add(-time.Hour), NotAfter: now.Add(time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		DNSNames: []string{"localhost"}, EmailAddresses: []string{"leaf@house.example"},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, URIs: []*url.URL{uri},
		SignatureAlgorithm: x509.SHA256WithRSA,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, ca.Certificate, key.Public(), ca.Key)
	require.NoError(tb, err)
	leaf, err := x509.ParseCertificate(withUniqueIDs(tb, der, ca.Key))
	require.NoError(tb, err)
	return &tlstest.Identity{Identity: &forge.Identity{Chain: [][]byte{leaf.Raw}, Leaf: leaf, Key: key}}
}

// withUniqueIDs puts both unique identifiers into a certificate, which crypto/x509 cannot, and signs it again.
func withUniqueIDs(tb testing.TB, der []byte, key crypto.Signer) []byte {
	tb.Helper()
	input := cryptobyte.String(der)
	var cert, tbs, algorithm, element cryptobyte.String
	var tag cbasn1.Tag
	require.True(tb, input.ReadASN1(&cert, cbasn1.SEQUENCE) && cert.ReadASN1(&tbs, cbasn1.SEQUENCE) &&
		cert.ReadASN1Element(&algorithm, cbasn1.SEQUENCE))
	var b cryptobyte.Builder
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		for range 7 { // version to subjectPublicKeyInfo
			require.True(tb, tbs.ReadAnyASN1Element(&element, &tag))
			b.AddBytes(element)
		}
		b.AddASN1(cbasn1.Tag(1).ContextSpecific(), func(b *cryptobyte.Builder) { b.AddBytes([]byte{0, 0xaa}) })
		b.AddASN1(cbasn1.Tag(2).ContextSpecific(), func(b *cryptobyte.Builder) { b.AddBytes([]byte{0, 0xbb, 0xcc}) })
		b.AddBytes(tbs)
	})
	signed := b.BytesOrPanic()
	digest := sha256.Sum256(signed)
	signature, err := key.Sign(rand.Reader, digest[:], crypto.SHA256)
	require.NoError(tb, err)
	var out cryptobyte.Builder
	out.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddBytes(signed)
		b.AddBytes(algorithm)
		b.AddASN1BitString(signature)
	})
	return out.BytesOrPanic()
}

// Every field of a certificate arrives: from the peer, in the report, and in the answer to adding it.
func TestCertificateIsShownWhole(t *testing.T) {
	t.Parallel()
	ca := tlstest.NewCA(t, tlstest.RSA(2048), tlstest.CommonName("Authority"))
	id := fullLeaf(t, ca)
	addr := serveChain(t, id)
	c := servertest.Start(t).Client(t)
	s := newIdle(t.Context(), t, c, ca)
	require.Nil(t, getSession(t.Context(), t, c, s).GetPeerCertificate(), "before a connection")
	m := connectTo(t.Context(), t, c, s, addr).GetSession().GetPeerCertificate()

	sum := sha256.Sum256(id.Leaf.Raw)
	require.Equal(t, id.Leaf.Raw, m.GetDer())
	require.Equal(t, sum[:], m.GetSha256())
	require.EqualValues(t, 3, m.GetVersion())
	require.Equal(t, "0abc", m.GetSerialNumber())
	require.True(t, id.Leaf.NotBefore.Equal(m.GetNotBeforeTime().AsTime()))
	require.True(t, id.Leaf.NotAfter.Equal(m.GetNotAfterTime().AsTime()))
	require.Equal(t, "1.2.840.113549.1.1.11", m.GetSignatureAlgorithmOid())
	require.Equal(t, []byte{5, 0}, m.GetSignatureAlgorithmParams())
	require.Equal(t, "1.2.840.113549.1.1.1", m.GetSubjectPublicKeyAlgorithmOid())
	require.Equal(t, x509.MarshalPKCS1PublicKey(id.Key.Public().(*rsa.PublicKey)), m.GetSubjectPublicKey())
	require.EqualValues(t, 2048, m.GetSubjectPublicKeyBits())
	require.Equal(t, []byte{0xaa}, m.GetIssuerUniqueId())
	require.Equal(t, []byte{0xbb, 0xcc}, m.GetSubjectUniqueId())
	require.Equal(t, []string{"localhost"}, m.GetDnsNames())
	require.Equal(t, []string{"127.0.0.1"}, m.GetIpAddresses())
	require.Equal(t, []string{"leaf@house.example"}, m.GetEmailAddresses())
	require.Equal(t, []string{"spiffe://house/leaf"}, m.GetUris())
	require.False(t, m.GetIsCa())

	subject := m.GetSubject()
	require.Equal(t, "leaf", subject.GetCommonName())
	require.Equal(t, "CH", subject.GetCountryName())
	require.Equal(t, "Thun", subject.GetLocalityName())
	require.Equal(t, "House", subject.GetOrganizationName())
	require.Equal(t, "first", subject.GetOrganizationalUnitName(), "the first of two")
	require.Equal(t, "Bern", subject.GetStateOrProvinceName())
	require.Equal(t, "CN=leaf,OU=second,OU=first,O=House,L=Thun,ST=Bern,C=CH", subject.GetText())
	require.Equal(t, id.Leaf.RawSubject, subject.GetDer())
	require.Len(t, subject.GetAttributes(), 7, "both units are there")
	requireSame(t, &pb.Attribute{Oid: "2.5.4.11", ShortName: "OU", Value: "second"}, subject.GetAttributes()[5], "in their order")
	require.Equal(t, "Authority", m.GetIssuer().GetCommonName())
	require.Equal(t, id.Leaf.RawIssuer, m.GetIssuer().GetDer())
	require.Empty(t, m.GetIssuer().GetCountryName(), "absent")

	report := certificateStatus(t, c, s).GetReport()
	require.True(t, proto.Equal(m, report.GetPeerChain()[0]))
	require.True(t, proto.Equal(m, report.GetVerifiedChain()[0]))
	require.True(t, report.GetVerifiedChain()[1].GetIsCa())
	added, err := c.AddCertificate(t.Context(), &pb.AddCertificateRequest{SessionId: s.id, Certificate: id.Leaf.Raw})
	require.NoError(t, err)
	require.True(t, proto.Equal(m, added.GetCertificate()))

	// A refused certificate is shown as well, and only by the report.
	s = newIdle(t.Context(), t, c, nil)
	_, err = tryConnect(t.Context(), t, c, s, addr)
	require.Equal(t, "CERTIFICATE_UNTRUSTED_SIGNERS", reasonOf(t, err))
	require.Nil(t, getSession(t.Context(), t, c, s).GetPeerCertificate())
	require.True(t, proto.Equal(m, certificateStatus(t, c, s).GetReport().GetPeerChain()[0]))
}
