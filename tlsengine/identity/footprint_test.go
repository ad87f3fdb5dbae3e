package identity_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"securesocket/tlsengine/identity"
)

// What an identity is said to cost is near what the heap has of it, beside its chain.
func TestFootprintIsWhatTheHeapHas(t *testing.T) { //nolint:paralleltest // it measures the heap
	for name, generate := range map[string]func() (crypto.Signer, error){
		"RSA 2048": func() (crypto.Signer, error) { return rsa.GenerateKey(rand.Reader, 2048) },
		"RSA 4096": func() (crypto.Signer, error) { return rsa.GenerateKey(rand.Reader, 4096) },
		"P-256":    func() (crypto.Signer, error) { return ecdsa.GenerateKey(elliptic.P256(), rand.Reader) },
		"P-521":    func() (crypto.Signer, error) { return ecdsa.GenerateKey(elliptic.P521(), rand.Reader) },
		"Ed25519": func() (crypto.Signer, error) {
			_, key, err := ed25519.GenerateKey(rand.Reader)
			return key, err
		},
	} {
		t.Run(name, func(t *testing.T) { //nolint:paralleltest // as above
			key, err := generate()
			require.NoError(t, err)
			template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotAfter: time.Now().Add(time.Hour)}
			chain, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
			require.NoError(t, err)
			der, err := x509.MarshalPKCS8PrivateKey(key)
			require.NoError(t, err)

			const copies = 128
			kept := make([]*identity.Identity, copies)
			pair := identity.KeyPair{Chain: [][]byte{chain}, PrivateKey: der}
			certificates := make([]*x509.Certificate, copies)
			_, err = identity.FromKeyPair(pair) // what is made once is made
			require.NoError(t, err)
			start := heap()
			for i := range certificates {
				certificates[i], err = x509.ParseCertificate(chain)
				require.NoError(t, err)
			}
			chains := heap() - start
			runtime.KeepAlive(certificates)
			start = heap()
			for i := range kept {
				kept[i], err = identity.FromKeyPair(pair)
				require.NoError(t, err)
			}
			have := int(heap()-start-chains) / copies
			said := kept[0].Footprint()
			runtime.KeepAlive(kept)
			t.Logf("%d on the heap, %d said", have, said)
			require.GreaterOrEqual(t, said, have*9/10)
			require.LessOrEqual(t, said, 4*have+4<<10)
		})
	}
}

// heap is what lives on it.
func heap() int64 {
	for range 2 {
		runtime.GC()
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
