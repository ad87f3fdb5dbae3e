package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"math/big"
	"net"
	"time"
)

// demoCA is a certificate authority that lives as long as the demo. Its key never leaves the process.
type demoCA struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
	now         time.Time
}

func newDemoCA(name string, now time.Time) (*demoCA, error) {
	ca := &demoCA{now: now}
	template := &x509.Certificate{
		Subject:               pkix.Name{CommonName: name},
		NotBefore:             now.Add(-time.Hour),
		NotAfter:              now.Add(time.Hour),
		BasicConstraintsValid: true,
		IsCA:                  true,
		KeyUsage:              x509.KeyUsageCertSign,
	}
	var err error
	ca.certificate, ca.key, err = ca.issue(template)
	return ca, err
}

// demoLeaf is what differs between leaves.
type demoLeaf struct {
	names   []string // DNS names and IP addresses
	expired bool
}

// leaf makes a server's certificate, with its key, as crypto/tls takes it.
func (ca *demoCA) leaf(wanted demoLeaf) (tls.Certificate, error) {
	template := &x509.Certificate{
		Subject:     pkix.Name{CommonName: "demo peer"},
		NotBefore:   ca.now.Add(-2 * time.Hour),
		NotAfter:    ca.now.Add(time.Hour),
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	if wanted.expired {
		template.NotAfter = ca.now.Add(-time.Minute)
	}
	for _, name := range wanted.names {
		if ip := net.ParseIP(name); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, name)
		}
	}
	leaf, key, err := ca.issue(template)
	if err != nil {
		return tls.Certificate{}, err
	}
	return tls.Certificate{Certificate: [][]byte{leaf.Raw}, PrivateKey: key}, nil
}

// issue signs the template with a new key in it; the first one signs itself.
func (ca *demoCA) issue(template *x509.Certificate) (*x509.Certificate, *ecdsa.PrivateKey, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, nil, err
	}
	template.SerialNumber = serial
	parent, signer := ca.certificate, ca.key
	if parent == nil {
		parent, signer = template, key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), signer)
	if err != nil {
		return nil, nil, errors.Join(errors.New("demo: a certificate cannot be made"), err)
	}
	certificate, err := x509.ParseCertificate(der)
	return certificate, key, err
}
