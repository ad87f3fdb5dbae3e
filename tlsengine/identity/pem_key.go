package identity

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"strings"
)

// parsePEMKey reads the one key of a PEM text (RFC 7468). What stands before a block is explanation; OpenSSL writes curve
// parameters beside an EC key; anything else is refused rather than passed over.
func parsePEMKey(data []byte, passphrase string) (crypto.Signer, error) {
	blocks, err := decodePEM(data)
	defer clearBlocks(blocks)
	if err != nil {
		return nil, keyError(err.Error())
	}
	var found *pem.Block
	for _, block := range blocks {
		switch block.Type {
		case "PRIVATE KEY", "ENCRYPTED PRIVATE KEY", "RSA PRIVATE KEY", "EC PRIVATE KEY", "DSA PRIVATE KEY":
			if found != nil {
				return nil, keyError("holds several keys")
			}
			found = block
		case "EC PARAMETERS":
		case "CERTIFICATE":
			return nil, keyError("holds a certificate beside the key, or instead of it")
		case "OPENSSH PRIVATE KEY":
			return nil, keyError("is in OpenSSH's own format: convert it to PKCS#8")
		default:
			return nil, keyError("holds a PEM block that is not a private key")
		}
	}
	if found == nil {
		return nil, keyError("holds no private key")
	}
	kind, rest := sniff(found.Bytes)
	switch {
	case found.Headers["DEK-Info"] != "":
		return openPEMBlock(found, passphrase)
	case kind == containerEncryptedPKCS8 && len(rest) > 0:
		return nil, keyError("has other bytes after the key")
	case kind == containerEncryptedPKCS8:
		return openPKCS8(found.Bytes, passphrase)
	}
	return parsePlainKey(found.Bytes)
}

// openPEMBlock opens a key that PEM itself encrypted (RFC 1421, section 4.6.1.3). There is no cost to bound: the key is
// derived by one round of MD5.
func openPEMBlock(block *pem.Block, passphrase string) (crypto.Signer, error) {
	if passphrase == "" {
		return nil, needsPassphrase(aKey)
	}
	password := []byte(passphrase)
	defer clear(password)
	der, err := x509.DecryptPEMBlock(block, password) //nolint:staticcheck // insecure by design, and what old tools wrote
	if errors.Is(err, x509.IncorrectPasswordError) {
		return nil, wrongPassphrase(aKey)
	}
	if err != nil {
		return nil, keyError("is encrypted in a way that is not supported, or damaged")
	}
	defer clear(der)
	if kind, rest := sniff(der); kind == unknownContainer || len(rest) > 0 {
		return nil, wrongPassphrase(aKey) // the padding fits by chance for one wrong passphrase in 256
	}
	return parsePlainKey(der)
}

var (
	errDamagedPEM  = errors.New("holds a PEM block that is damaged")
	errTrailingPEM = errors.New("has other text after the last PEM block")
)

// decodePEM returns all blocks, which are the caller's to clear, with an error too. pem.Decode passes over what it cannot
// read, so that half of a file could be missed.
func decodePEM(data []byte) ([]*pem.Block, error) {
	begins := bytes.Count(data, []byte("-----BEGIN "))
	var blocks []*pem.Block
	for {
		block, rest := pem.Decode(data)
		if block == nil {
			break
		}
		blocks, data = append(blocks, block), rest
	}
	if len(blocks) != begins {
		return blocks, errDamagedPEM
	}
	if strings.TrimSpace(string(data)) != "" {
		return blocks, errTrailingPEM
	}
	return blocks, nil
}

func clearBlocks(blocks []*pem.Block) {
	for _, block := range blocks {
		clear(block.Bytes)
	}
}
