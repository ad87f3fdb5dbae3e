package tlsengine_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"math/big"
	"net"
	"net/url"
	"runtime"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"securesocket/tlsengine"
)

// What a report is said to cost is near what the heap has of it, however the peer chose
// its certificate: neither may it be small and cost much, nor is a usual one overcharged.
func TestFootprintIsWhatTheHeapHas(t *testing.T) { //nolint:paralleltest // it measures the heap
	many := func(n int, add func(i int)) {
		for i := range n {
			add(i)
		}
	}
	shapes := map[string]func(*x509.Certificate){
		"usual": func(c *x509.Certificate) {
			c.DNSNames = []string{"example.com", "www.example.com"}
			c.OCSPServer, c.IssuingCertificateURL = []string{"http://ocsp.example.com"}, []string{"http://ca.example.com/ca"}
		},
		"names":      func(c *x509.Certificate) { many(4000, func(int) { c.DNSNames = append(c.DNSNames, "abcd.e") }) },
		"tiny names": func(c *x509.Certificate) { many(8000, func(int) { c.DNSNames = append(c.DNSNames, "a") }) },
		"URIs": func(c *x509.Certificate) {
			many(5000, func(int) { c.URIs = append(c.URIs, &url.URL{Scheme: "a", Opaque: "b"}) })
		},
		"addresses": func(c *x509.Certificate) {
			many(5000, func(int) { c.IPAddresses = append(c.IPAddresses, net.IPv4(192, 0, 2, 1)) })
		},
		"usages": func(c *x509.Certificate) {
			many(5000, func(i int) { c.UnknownExtKeyUsage = append(c.UnknownExtKeyUsage, asn1.ObjectIdentifier{1, 2, i % 100}) })
		},
		"policies": func(c *x509.Certificate) {
			many(3000, func(i int) {
				oid, err := x509.OIDFromInts([]uint64{1, 2, uint64(i)})
				require.NoError(t, err)
				c.Policies = append(c.Policies, oid)
			})
		},
		"extensions": func(c *x509.Certificate) {
			many(2000, func(i int) {
				c.ExtraExtensions = append(c.ExtraExtensions, pkix.Extension{Id: asn1.ObjectIdentifier{1, 2, i}, Critical: true, Value: []byte{}})
			})
		},
		"attributes": func(c *x509.Certificate) {
			many(1500, func(i int) {
				c.Subject.ExtraNames = append(c.Subject.ExtraNames, pkix.AttributeTypeAndValue{Type: asn1.ObjectIdentifier{2, 5, 4, i % 90}, Value: "x"})
			})
		},
		"subnets": func(c *x509.Certificate) {
			many(2000, func(i int) {
				c.PermittedIPRanges = append(c.PermittedIPRanges, &net.IPNet{IP: net.IPv4(10, 0, byte(i), 0).To4(), Mask: net.CIDRMask(24, 32)})
			})
		},
		"key": func(c *x509.Certificate) {
			c.ExtraExtensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{1, 2, 3}, Value: make([]byte, 30<<10)}}
		},
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	for name, shape := range shapes {
		t.Run(name, func(t *testing.T) { //nolint:paralleltest // as above
			template := &x509.Certificate{
				SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "peer " + strconv.Quote(name)}, NotBefore: time.Now(), NotAfter: time.Now().Add(time.Hour),
				IsCA: true, BasicConstraintsValid: true,
			}
			shape(template)
			der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
			require.NoError(t, err)
			copies := max(32, 1<<20/len(der)) // megabytes, beside which nobody else's garbage counts
			kept := make([]*tlsengine.Report, copies)
			before := heap()
			for i := range kept {
				cert, err := x509.ParseCertificate(append([]byte(nil), der...))
				require.NoError(t, err)
				kept[i] = &tlsengine.Report{PeerChain: []*x509.Certificate{cert}}
			}
			have := int(heap()-before) / copies
			said := kept[0].Footprint()
			runtime.KeepAlive(kept)
			t.Logf("%d bytes of DER: %d on the heap, %d said", len(der), have, said)
			require.GreaterOrEqual(t, said, have*9/10)
			require.LessOrEqual(t, said, have*5/2+3*len(der), "three times for what crypto/tls has of it")
			given := tlsengine.CertificateFootprint(kept[0].PeerChain[0])
			require.GreaterOrEqual(t, given, have*9/10)
			require.LessOrEqual(t, given, have*5/2+2*len(der))
			led := &tlsengine.Report{JudgedPath: kept[0].PeerChain}
			require.Equal(t, given, led.Footprint(), "a path keeps what it leads through")
			led.PeerChain = kept[0].PeerChain
			require.Equal(t, said, led.Footprint(), "and what the peer sent counts once")
		})
	}
	require.Zero(t, (*tlsengine.Report)(nil).Footprint())
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
