package load

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"math/big"
	"net"
	"time"
)

// ServerName is the name in a peer's certificate, beside 127.0.0.1.
const ServerName = "localhost"

// identityLife is more than any run takes.
const identityLife = 24 * time.Hour

// Identity is a peer's certificate with its key, and the authority that vouches for it, whose key is gone by then.
type Identity struct {
	// CA is the authority's certificate, in DER.
	CA []byte

	leaf tls.Certificate
}

// NewIdentity makes an authority and one ECDSA P-256 certificate of it, good for a day.
func NewIdentity() (*Identity, error) {
	now := time.Now()
	authority := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Benchmark CA"},
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(identityLife),
		BasicConstraintsValid: true, IsCA: true, KeyUsage: x509.KeyUsageCertSign,
	}
	leaf := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "benchmark peer"},
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(identityLife),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		DNSNames: []string{ServerName}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	signer, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	ca, err := x509.CreateCertificate(rand.Reader, authority, authority, signer.Public(), signer)
	if err != nil {
		return nil, fmt.Errorf("the peer's authority: %w", err)
	}
	der, err := x509.CreateCertificate(rand.Reader, leaf, authority, key.Public(), signer)
	if err != nil {
		return nil, fmt.Errorf("the peer's certificate: %w", err)
	}
	return &Identity{CA: ca, leaf: tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}}, nil
}

// ClientConfig is what a crypto/tls client needs for a peer with that authority, in DER, and what every other way is
// configured alike to.
func ClientConfig(ca []byte) (*tls.Config, error) {
	certificate, err := x509.ParseCertificate(ca)
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	roots.AddCert(certificate)
	return &tls.Config{
		RootCAs: roots, ServerName: ServerName,
		MinVersion: tls.VersionTLS13, CurvePreferences: []tls.CurveID{tls.X25519},
	}, nil
}
