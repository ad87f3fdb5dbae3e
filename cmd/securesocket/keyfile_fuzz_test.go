package main

import (
	"bytes"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"securesocket/tlsengine/tlstest"
)

// Whatever stands around a private key in a file: the key is not part of what is sent.
func FuzzKeyInAFile(f *testing.F) {
	ca := tlstest.NewCA(f)
	key := ca.Leaf().KeyPEM()
	block, _ := privateKey(key)
	f.Add([]byte("a comment\n"), []byte("-----BEGIN"))
	f.Add([]byte("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"), []byte{})
	f.Add([]byte("-----BEGIN CERTIFICATE-----\n"), []byte("-----END CERTIFICATE-----\n"))
	f.Add([]byte("-----BEGIN X509 CRL-----\nA: "), []byte("\n\nMAA=\n-----END X509 CRL-----\n"))
	f.Fuzz(func(t *testing.T, before, after []byte) {
		content := slices.Concat(before, key, after)
		var sent [][]byte
		for _, parse := range []func() ([][]byte, error){
			func() ([][]byte, error) { return parseChain("file", content) },
			func() ([][]byte, error) { return parseAnchors(content) },
			func() ([][]byte, error) { return parseDER(content, "X509 CRL") },
			func() ([][]byte, error) { return parseDER(content, "OCSP RESPONSE") },
			func() ([][]byte, error) { return chainOf(content) },
		} {
			if found, err := parse(); err == nil {
				sent = append(sent, found...)
			} else {
				require.NotContains(t, err.Error(), string(block.Bytes))
			}
		}
		for _, der := range sent {
			require.False(t, bytes.Contains(der, block.Bytes))
		}
	})
}
