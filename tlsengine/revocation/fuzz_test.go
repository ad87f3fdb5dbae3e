package revocation

import (
	"bytes"
	"crypto/x509"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/ocsp"
)

// FuzzOCSP: whatever comes as a response, nothing crashes, and nothing that was not signed is definite.
func FuzzOCSP(f *testing.F) {
	ca := newAuthority(f)
	l := ca.leaf(nil)
	s, err := newSubject([]*x509.Certificate{l.Certificate, ca.Certificate}, 0, ca.now)
	require.NoError(f, err)
	signed := [][]byte{ca.ocsp(l, nil), ca.ocsp(l, revokedOCSP)}
	by := ca.leaf(responder)
	signed = append(signed, ca.ocspBy(l, by.Certificate, by.key, nil))
	for _, der := range signed {
		f.Add(der)
		f.Add(der[:len(der)/2])
	}
	f.Add(ocsp.TryLaterErrorResponse)
	f.Fuzz(func(t *testing.T, der []byte) {
		a, err := readOCSP(der, s)
		if err != nil {
			require.Nil(t, a)
			return
		}
		for _, known := range signed {
			if sameBasic(der, known) {
				return
			}
		}
		t.Fatalf("accepted: %x", der)
	})
}

// sameBasic says whether both have the same signed part: what is around it may differ.
func sameBasic(a, b []byte) bool {
	x, errX := parseOCSP(a)
	y, errY := parseOCSP(b)
	return errX == nil && errY == nil && bytes.Equal(x.tbs, y.tbs)
}

// FuzzCRL: whatever comes as a list, nothing crashes, and nothing that was not signed is used.
func FuzzCRL(f *testing.F) {
	ca := newAuthority(f)
	l := ca.leaf(nil)
	signed := [][]byte{
		ca.crl(nil), ca.crl(nil, l, ca.leaf(nil)),
		ca.crl(func(list *x509.RevocationList) { list.NextUpdate = ca.now.Add(30 * 24 * time.Hour) }),
	}
	for _, der := range signed {
		f.Add(der)
		f.Add(der[:len(der)/2])
	}
	f.Fuzz(func(t *testing.T, der []byte) {
		room := &room{of: &budget{}}
		scan := &crlScan{serials: []string{"\x01"}, room: room}
		list, err := scan.read(t.Context(), bytes.NewReader(der), []*x509.Certificate{ca.Certificate})
		if err != nil {
			require.Nil(t, list)
			require.Zero(t, room.of.used)
			return
		}
		for _, known := range signed {
			if n := bytes.Index(der, known[4:len(known)-80]); n >= 0 {
				return
			}
		}
		t.Fatalf("accepted: %x", der)
	})
}

// FuzzPoints: the extensions that certificates and lists bring are refused or read.
func FuzzPoints(f *testing.F) {
	f.Add([]byte{0x30, 12, 0x30, 10, 0xa0, 8, 0xa0, 6, 0x86, 4, 'h', 't', 't', 'p'})
	f.Add([]byte{0x30, 6, 0xa0, 4, 0xa1, 2, 0x31, 0})
	f.Add([]byte{0x30, 3, 0x81, 1, 0xff})
	f.Fuzz(func(t *testing.T, der []byte) {
		points, ok := readDistributionPoints(der, "")
		require.True(t, ok || points == nil)
		p, err := readIssuingPoint(der, "")
		require.Equal(t, err != nil, p == nil)
		_, _ = canonicalName(der)
		_, _ = readExtensions(der)
	})
}
