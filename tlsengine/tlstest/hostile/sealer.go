package hostile

import (
	"crypto"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	_ "crypto/sha512" // SHA-384
	"crypto/tls"
	"encoding/binary"
	"fmt"

	"golang.org/x/crypto/chacha20poly1305"
)

// Content types (RFC 8446, section 5.1).
const (
	ChangeCipherSpec byte = 20
	Alert            byte = 21
	Handshake        byte = 22
	ApplicationData  byte = 23
)

const headerLen = 5

// sealer protects, or opens, one direction of a connection.
type sealer struct {
	version uint16
	suite   uint16
	secret  []byte // of TLS 1.3: its keys are derived from it
	aead    cipher.AEAD
	iv      []byte
	seq     uint64
}

// newSealer13 takes a traffic secret of TLS 1.3.
func newSealer13(suite uint16, secret []byte) (*sealer, error) {
	s := &sealer{version: tls.VersionTLS13, suite: suite, secret: secret}
	return s, s.rekey()
}

// newSealer12 takes what the server, or the client, of TLS_ECDHE_*_WITH_AES_128_GCM_SHA256 writes with from the master
// secret (RFC 5246, section 6.3). Its Finished was the first record.
func newSealer12(master, clientRandom, serverRandom []byte, server bool) (*sealer, error) {
	const keyLen, saltLen = 16, 4
	block := prf12(master, append(append([]byte("key expansion"), serverRandom...), clientRandom...), 2*(keyLen+saltLen))
	at := 0
	if server {
		at = 1
	}
	s := &sealer{version: tls.VersionTLS12, iv: block[2*keyLen+at*saltLen:][:saltLen], seq: 1}
	return s, s.gcm(block[at*keyLen:][:keyLen])
}

// prf12 is P_SHA256 (RFC 5246, section 5).
func prf12(secret, seed []byte, length int) (out []byte) {
	sum := func(parts ...[]byte) []byte {
		mac := hmac.New(sha256.New, secret)
		for _, p := range parts {
			mac.Write(p)
		}
		return mac.Sum(nil)
	}
	for a := sum(seed); len(out) < length; a = sum(a) {
		out = append(out, sum(a, seed)...)
	}
	return out[:length]
}

func (s *sealer) gcm(key []byte) error {
	block, err := aes.NewCipher(key)
	if err == nil {
		s.aead, err = cipher.NewGCM(block)
	}
	return err
}

// rekey derives the keys from the secret.
func (s *sealer) rekey() (err error) {
	s.seq = 0
	if s.iv, err = s.expand("iv", 12); err != nil {
		return err
	}
	size := map[uint16]int{tls.TLS_AES_128_GCM_SHA256: 16, tls.TLS_AES_256_GCM_SHA384: 32, tls.TLS_CHACHA20_POLY1305_SHA256: 32}[s.suite]
	if size == 0 {
		return fmt.Errorf("hostile: no suite of TLS 1.3: %s", tls.CipherSuiteName(s.suite))
	}
	key, err := s.expand("key", size)
	switch {
	case err != nil:
		return err
	case s.suite == tls.TLS_CHACHA20_POLY1305_SHA256:
		s.aead, err = chacha20poly1305.New(key)
		return err
	}
	return s.gcm(key)
}

// update is what follows a KeyUpdate (RFC 8446, section 7.2).
func (s *sealer) update() (err error) {
	if s.secret, err = s.expand("traffic upd", len(s.secret)); err == nil {
		err = s.rekey()
	}
	return err
}

// expand is HKDF-Expand-Label without a context.
func (s *sealer) expand(label string, length int) ([]byte, error) {
	hash := crypto.SHA256
	if s.suite == tls.TLS_AES_256_GCM_SHA384 {
		hash = crypto.SHA384
	}
	label = "tls13 " + label
	info := append([]byte{byte(length >> 8), byte(length), byte(len(label))}, label+"\x00"...)
	return hkdf.Expand(hash.New, s.secret, string(info), length)
}

// seal makes the next record. Only TLS 1.3 has padding.
func (s *sealer) seal(contentType byte, content []byte, padding int) []byte {
	if s.version == tls.VersionTLS12 {
		explicit := binary.BigEndian.AppendUint64(nil, s.seq)
		aad := append(explicit[:8:8], contentType, 3, 3, byte(len(content)>>8), byte(len(content)))
		n := len(explicit) + len(content) + s.aead.Overhead()
		out := append([]byte{contentType, 3, 3, byte(n >> 8), byte(n)}, explicit...)
		s.seq++
		return s.aead.Seal(out, append(s.iv[:4:4], explicit...), content, aad)
	}
	inner := make([]byte, len(content)+1+padding)
	copy(inner, content)
	inner[len(content)] = contentType
	n := len(inner) + s.aead.Overhead()
	header := []byte{ApplicationData, 3, 3, byte(n >> 8), byte(n)}
	return s.aead.Seal(header, s.nonce(), inner, header)
}

// open takes the next record of TLS 1.3 apart.
func (s *sealer) open(record []byte) (contentType byte, content []byte, err error) {
	inner, err := s.aead.Open(nil, s.nonce(), record[headerLen:], record[:headerLen])
	if err != nil {
		return 0, nil, err
	}
	for len(inner) > 1 && inner[len(inner)-1] == 0 {
		inner = inner[:len(inner)-1]
	}
	return inner[len(inner)-1], inner[:len(inner)-1], nil
}

// nonce is the next record's under TLS 1.3 (RFC 8446, section 5.3).
func (s *sealer) nonce() []byte {
	nonce := append([]byte(nil), s.iv...)
	last := nonce[len(nonce)-8:]
	binary.BigEndian.PutUint64(last, binary.BigEndian.Uint64(last)^s.seq)
	s.seq++
	return nonce
}
