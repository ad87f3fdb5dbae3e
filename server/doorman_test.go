package server_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"net"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/youmark/pkcs8"
	"software.sslmate.com/src/go-pkcs12"

	pb "securesocket/gen/securesocket/v1"
	"securesocket/tlsengine/tlstest"
)

// clientRSA is one for all tests: making one takes long.
var clientRSA = sync.OnceValues(func() (*rsa.PrivateKey, error) { return rsa.GenerateKey(rand.Reader, 2048) })

// eachKey runs a test with a client's key of each kind.
func eachKey(t *testing.T, f func(t *testing.T, key crypto.Signer)) {
	t.Helper()
	rsaKey, err := clientRSA()
	require.NoError(t, err)
	ecKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	_, edKey, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	for name, key := range map[string]crypto.Signer{"RSA": rsaKey, "P-256": ecKey, "Ed25519": edKey} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f(t, key)
		})
	}
}

// clientLeaf is a client's certificate.
func clientLeaf(ca *tlstest.CA, opts ...tlstest.Option) *tlstest.Identity {
	return ca.Leaf(append(opts, tlstest.ExtKeyUsage(x509.ExtKeyUsageClientAuth))...)
}

// encounter is a handshake as a server saw it that asks for a certificate.
type encounter struct {
	chain []*x509.Certificate // as shown; empty: none was
	err   error
}

// doorman is an echo server that asks its clients for a certificate of an
// authority.
type doorman struct {
	addr       string
	ca         *tlstest.CA // of its own certificate
	encounters chan encounter
}

func serveDoorman(tb testing.TB, version uint16, auth tls.ClientAuthType, clients *tlstest.CA, change ...func(*tls.Config)) doorman {
	tb.Helper()
	ctx := tb.Context()
	d := doorman{ca: tlstest.NewCA(tb), encounters: make(chan encounter, 16)}
	pool := x509.NewCertPool()
	pool.AddCert(clients.Certificate)
	config := &tls.Config{
		Certificates: []tls.Certificate{d.ca.Leaf().Certificate()}, MinVersion: version, MaxVersion: version,
		ClientAuth: auth, ClientCAs: pool, SessionTicketsDisabled: true,
	}
	for _, f := range change {
		f(config)
	}
	d.addr = tlstest.ServeRaw(tb, func(raw net.Conn) {
		conn := tls.Server(raw, config)
		err := conn.HandshakeContext(ctx)
		d.encounters <- encounter{conn.ConnectionState().PeerCertificates, err}
		if err == nil {
			tlstest.Echo(conn)
		}
	})
	return d
}

func (d doorman) next(tb testing.TB) encounter {
	tb.Helper()
	select {
	case v := <-d.encounters:
		return v
	case <-patienceOf(tb):
	}
	require.Fail(tb, "nobody came")
	return encounter{}
}

// admits sees that the door opened for an identity.
func (d doorman) admits(tb testing.TB, id *tlstest.Identity) {
	tb.Helper()
	v := d.next(tb)
	require.NoError(tb, v.err)
	require.Len(tb, v.chain, len(id.Chain))
	for i, cert := range v.chain {
		require.Equal(tb, id.Chain[i], cert.Raw)
	}
}

// having are settings with identities.
func having(ids ...*pb.Identity) *pb.SessionSettings {
	return &pb.SessionSettings{Tls: &pb.TlsSettings{Identities: ids, Revocation: pb.RevocationMode_REVOCATION_MODE_OFF}}
}

func keyPair(k *pb.KeyPair) *pb.Identity {
	return &pb.Identity{Source: &pb.Identity_KeyPair{KeyPair: k}}
}

func identityRef(name string) *pb.Identity {
	return &pb.Identity{Source: &pb.Identity_IdentityRef{IdentityRef: name}}
}

func pkcs8Of(tb testing.TB, key any) []byte {
	tb.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(tb, err)
	return der
}

func pemOf(label string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: label, Bytes: der})
}

func encryptedPKCS8(tb testing.TB, key any, passphrase string) []byte {
	tb.Helper()
	der, err := pkcs8.MarshalPrivateKey(key, []byte(passphrase), &pkcs8.Opts{
		Cipher: pkcs8.AES256CBC, KDFOpts: pkcs8.PBKDF2Opts{SaltSize: 8, IterationCount: 2048, HMACHash: crypto.SHA256},
	})
	require.NoError(tb, err)
	return der
}

func pkcs12Of(tb testing.TB, id *tlstest.Identity, passphrase string) []byte {
	tb.Helper()
	file, err := pkcs12.Modern.Encode(id.Key, id.Leaf, nil, passphrase)
	require.NoError(tb, err)
	return file
}

const passphrase = "sesame, open"

// formsOf are the ways to hand an identity over.
func formsOf(tb testing.TB, id *tlstest.Identity) map[string]*pb.KeyPair {
	tb.Helper()
	der := pkcs8Of(tb, id.Key)
	encrypted := encryptedPKCS8(tb, id.Key, passphrase)
	forms := map[string]*pb.KeyPair{
		"PKCS#8":                 {CertificateChain: id.Chain, PrivateKey: der},
		"PKCS#8 in PEM":          {CertificateChain: id.Chain, PrivateKey: pemOf("PRIVATE KEY", der)},
		"PKCS#8 encrypted":       {CertificateChain: id.Chain, PrivateKey: encrypted, Passphrase: passphrase},
		"PKCS#8 encrypted, PEM":  {CertificateChain: id.Chain, PrivateKey: pemOf("ENCRYPTED PRIVATE KEY", encrypted), Passphrase: passphrase},
		"PKCS#12":                {Pkcs12: pkcs12Of(tb, id, passphrase), Passphrase: passphrase},
		"PKCS#12, no passphrase": {Pkcs12: pkcs12Of(tb, id, "")},
	}
	switch key := id.Key.(type) {
	case *rsa.PrivateKey:
		der := x509.MarshalPKCS1PrivateKey(key)
		forms["PKCS#1"] = &pb.KeyPair{CertificateChain: id.Chain, PrivateKey: der}
		forms["PKCS#1 in PEM"] = &pb.KeyPair{CertificateChain: id.Chain, PrivateKey: pemOf("RSA PRIVATE KEY", der)}
	case *ecdsa.PrivateKey:
		der, err := x509.MarshalECPrivateKey(key)
		require.NoError(tb, err)
		forms["SEC 1"] = &pb.KeyPair{CertificateChain: id.Chain, PrivateKey: der}
		forms["SEC 1 in PEM"] = &pb.KeyPair{CertificateChain: id.Chain, PrivateKey: pemOf("EC PRIVATE KEY", der)}
	}
	return forms
}
