package identity

import "strconv"

const maxPEMBytes = 2 * maxChainBytes // base64 and line ends, with some text

// FromPEM reads an identity of the operator's: the chain, leaf first, and its key, which may be encrypted. ref is the name
// that callers know it by and may not be empty. Nothing of the bytes is kept or modified. The error is an *InputError.
func FromPEM(ref string, certPEM, keyPEM []byte, passphrase string) (*Identity, error) {
	if ref == "" {
		return nil, &InputError{Field: fieldRef, Why: "is empty"}
	}
	if len(certPEM) > maxPEMBytes {
		return nil, chainError("is longer than " + strconv.Itoa(maxPEMBytes) + " bytes")
	}
	blocks, err := decodePEM(certPEM)
	if err != nil {
		clearBlocks(blocks) // a key may be among them
		return nil, chainError(err.Error())
	}
	var chain [][]byte
	for _, block := range blocks {
		if block.Type != "CERTIFICATE" {
			clearBlocks(blocks)
			return nil, chainError("holds a PEM block that is not a certificate")
		}
		chain = append(chain, block.Bytes)
	}
	i, err := FromKeyPair(KeyPair{Chain: chain, PrivateKey: keyPEM, Passphrase: passphrase})
	if err != nil {
		return nil, err
	}
	i.ref = ref
	return i, nil
}
