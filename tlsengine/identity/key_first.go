package identity

import (
	"crypto/hmac"
	"encoding/asn1"
	"errors"

	"software.sslmate.com/src/go-pkcs12"
)

// keyFirst returns the file with the part that has the key before the encrypted one, to be cleared, or nil where it is so
// already. go-pkcs12 derives a key for a bag as
// soon as it meets it, and a bag among the encrypted ones names a cost that nobody could see before; but a second key is
// refused before anything is derived for it. Since the MAC covers the order, it is checked here, and made anew.
func (s *authSafe) keyFirst(der []byte, passphrase string) ([]byte, error) {
	if len(s.parts) < 2 || !s.encrypted[0] {
		return nil, nil //nolint:nilnil // there is nothing to do
	}
	if err := s.verifyMAC(der, passphrase); err != nil {
		return nil, err
	}
	content, err := asn1.Marshal([]contentInfo{s.parts[1], s.parts[0]})
	if err != nil {
		return nil, pkcs12Error("is damaged")
	}
	defer clear(content)
	octets, err := asn1.Marshal(content)
	if err != nil {
		return nil, pkcs12Error("is damaged")
	}
	defer clear(octets)
	mac, err := newPBMAC1(content, passphrase)
	if err != nil {
		return nil, pkcs12Error("is damaged")
	}
	der, err = asn1.Marshal(pfx{Version: 3, MAC: mac, AuthSafe: contentInfo{Type: oidData, Content: asn1.RawValue{
		Class: asn1.ClassContextSpecific, Tag: 0, IsCompound: true, Bytes: octets,
	}}})
	if err != nil {
		return nil, pkcs12Error("is damaged")
	}
	return der, nil
}

// verifyMAC checks the MAC over both parts.
func (s *authSafe) verifyMAC(der []byte, passphrase string) error {
	a := s.mac.MAC.Algorithm
	switch {
	case len(a.Algorithm) == 0:
		return nil // not opened with a passphrase
	case a.Algorithm.Equal(oidPBMAC1):
		digest, err := pbmac1(a, s.content, passphrase)
		if err != nil {
			return pkcs12Error(err.Error())
		}
		if !hmac.Equal(digest, s.mac.MAC.Digest) {
			return pkcs12Passphrase(passphrase)
		}
		return nil
	}
	// With these MACs DecodeTrustStore fails either by the MAC, or after it because there are two parts. It never gets as
	// far as to decrypt one.
	if _, err := pkcs12.DecodeTrustStore(der, passphrase); errors.Is(err, pkcs12.ErrIncorrectPassword) {
		return pkcs12Passphrase(passphrase)
	}
	return nil
}
