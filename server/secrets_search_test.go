package server_test

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// sieve finds many secrets in much text at once: nine bytes of one are enough, in any of the spellings.
type sieve struct {
	names   []string
	needles map[[headLength]byte][]needle
}

// headLength is less than any spelling of nine bytes has.
const headLength = 8

type needle struct {
	text   string
	secret int // in names
}

// add makes a secret one to be found. What is public beside it, as in the DER of a key, is not to be among its bytes.
func (s *sieve) add(name string, secret []byte) {
	if s.needles == nil {
		s.needles = map[[headLength]byte][]needle{}
	}
	s.names = append(s.names, name)
	const window, stride, kept = 9, 12, 3 // as in shows
	for i := range max(0, len(secret)-window+1) {
		if i%stride >= kept {
			continue
		}
		part := secret[i : i+window]
		for _, text := range append(spellings(part), strings.Trim(strings.TrimPrefix(fmt.Sprintf("%#v", part), "[]byte"), "{}")) {
			head := [headLength]byte([]byte(text))
			s.needles[head] = append(s.needles[head], needle{text, len(s.names) - 1})
		}
	}
}

// find returns the names of the secrets that show in a text, over line breaks too.
func (s *sieve) find(text []byte) (found []string) {
	seen := map[int]bool{}
	for _, read := range [][]byte{text, unbroken(text)} {
		for i := range max(0, len(read)-headLength+1) {
			for _, n := range s.needles[[headLength]byte(read[i:])] {
				if !seen[n.secret] && bytes.HasPrefix(read[i:], []byte(n.text)) {
					seen[n.secret] = true
					found = append(found, s.names[n.secret])
				}
			}
		}
	}
	return found
}

// unbroken is a text without its line breaks, written out or as escapes, of which PEM has some in the middle of anything.
func unbroken(text []byte) []byte {
	for _, breaks := range []string{"\n", "\r", `\n`, `\r`, "\t"} {
		text = bytes.ReplaceAll(text, []byte(breaks), nil)
	}
	return text
}

// The test of the test: of a hundred canaries each is found, however it is spelled, and the others are not.
func TestAPlantedCanaryIsFound(t *testing.T) {
	t.Parallel()
	hoard := newHoard(t)
	s := hoard.sieve
	require.GreaterOrEqual(t, len(s.names), 100)
	require.Empty(t, s.find(nil))
	noise := bytes.Repeat([]byte("time=now level=DEBUG msg=\"nothing to see\" count=[1 2 3] sum=0badcafe\n"), 200)
	require.Empty(t, s.find(noise))
	planted := func(name string, texts map[string]string) {
		t.Helper()
		for how, text := range texts {
			where := append(bytes.Clone(noise), text...)
			require.Equal(t, []string{name}, s.find(append(where, noise...)), "%s: %s", name, how)
		}
	}
	for name, secret := range hoard.secrets {
		b := secret[:min(len(secret), 32)]
		url := base64.URLEncoding.EncodeToString
		planted(name, map[string]string{
			"raw": string(b), "hex": hex.EncodeToString(b), "HEX": fmt.Sprintf("%X", b), "quoted": fmt.Sprintf("%q", b),
			"numbers": fmt.Sprint(b), "Go": fmt.Sprintf("%#v", b), "a third": string(b[:len(b)/3+12]),
			"base64": base64.StdEncoding.EncodeToString(b), "shifted by one": url(append([]byte("x"), b...)), "shifted by two": url(append([]byte("xy"), b...)),
		})
	}
	for _, k := range hoard.keys {
		der := pkcs8Of(t, k.key)
		found := s.find(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
		require.Contains(t, found, k.name, "PEM")
		require.Contains(t, s.find([]byte(strings.ReplaceAll(string(pem.EncodeToMemory(&pem.Block{Bytes: der})), "\n", `\n`))), k.name, "PEM in JSON")
	}
}
