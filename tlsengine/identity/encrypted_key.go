package identity

import (
	"crypto"
	"crypto/x509/pkix"
	"errors"
)

// encryptedKey: RFC 5958, section 3.
type encryptedKey struct {
	Algorithm pkix.AlgorithmIdentifier
	Data      []byte
}

// openPKCS8 reads an encrypted PKCS#8 key.
func openPKCS8(der []byte, passphrase string) (crypto.Signer, error) {
	var e encryptedKey
	if err := unmarshal(der, &e); err != nil {
		return nil, keyError(err.Error())
	}
	if passphrase == "" {
		return nil, needsPassphrase(aKey)
	}
	plain, err := decrypt(e.Algorithm, e.Data, passphrase)
	if errors.Is(err, errWrongKey) {
		return nil, wrongPassphrase(aKey)
	}
	if err != nil {
		return nil, keyError(err.Error())
	}
	defer clear(plain)
	if kind, rest := sniff(plain); kind == unknownContainer || len(rest) > 0 {
		return nil, wrongPassphrase(aKey) // the padding fits by chance for one wrong passphrase in 256
	}
	return parsePlainKey(plain)
}
