package identity

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"errors"
	"strconv"
	"unicode/utf8"

	"software.sslmate.com/src/go-pkcs12"
)

func pkcs12Error(why string) *InputError { return &InputError{Field: fieldPKCS12, Why: why, Key: true} }

func pkcs12CertError(why string) *InputError { return &InputError{Field: fieldPKCS12, Why: why} }

// fromPKCS12 makes an identity of a PKCS#12 file (RFC 7292).
func fromPKCS12(der []byte, passphrase string) (*Identity, error) {
	if len(der) > maxPKCS12Bytes {
		return nil, pkcs12Error("is longer than " + strconv.Itoa(maxPKCS12Bytes) + " bytes")
	}
	if isPEM(der) {
		return nil, pkcs12Error("is PEM: give it in DER, or give certificate_chain and private_key")
	}
	for _, r := range passphrase {
		if r == utf8.RuneError || r > 0xffff {
			return nil, passphraseError("has characters that PKCS#12 does not know")
		}
	}
	safe, err := readPFX(der)
	if err != nil {
		return nil, err
	}
	defer clear(safe.content)
	if len(safe.mac.MAC.Algorithm.Algorithm) == 0 && passphrase != "" {
		return nil, pkcs12Error("has no MAC, so that the passphrase cannot be checked")
	}
	reordered, err := safe.keyFirst(der, passphrase)
	if err != nil {
		return nil, err
	}
	if reordered != nil {
		defer clear(reordered)
		der = reordered
	}
	opened, leaf, others, err := pkcs12.DecodeChain(der, passphrase)
	switch {
	case errors.Is(err, pkcs12.ErrIncorrectPassword):
		return nil, pkcs12Passphrase(passphrase)
	case err != nil:
		return nil, pkcs12Error("is damaged, has no certificate, or uses what is not supported") // err may quote it
	}
	key, err := signer(opened)
	if err != nil {
		return nil, inPKCS12(err)
	}
	certs := append([]*x509.Certificate{leaf}, others...)
	ders := make([][]byte, 0, len(certs))
	for _, cert := range certs {
		ders = append(ders, cert.Raw)
	}
	if err := boundChain(ders); err != nil {
		return nil, inPKCS12(err)
	}
	chain := order(certs, key)
	if chain == nil {
		return nil, pkcs12Error("holds no certificate that belongs to its private key")
	}
	return newIdentity(chain, key), nil
}

// pkcs12Passphrase is the error for a MAC that does not fit. A file may well be made with an empty passphrase.
func pkcs12Passphrase(passphrase string) error {
	if passphrase == "" {
		return needsPassphrase(aFile)
	}
	return wrongPassphrase(aFile)
}

// inPKCS12 gives an error about a part its field.
func inPKCS12(err error) error {
	e, ok := errors.AsType[*InputError](err)
	if !ok {
		return err
	}
	subject := "its private key "
	if !e.Key {
		subject = "its chain "
	}
	return &InputError{Field: fieldPKCS12, Why: subject + e.Why, Key: e.Key}
}

// order makes a chain of the certificates, which PKCS#12 keeps in none: the one that fits the key, the one that issued it,
// and so on; then those that are left, as they came. nil: none fits the key.
func order(certs []*x509.Certificate, key crypto.Signer) []*x509.Certificate {
	take := func(wanted func(*x509.Certificate) bool) *x509.Certificate {
		for n, cert := range certs {
			if wanted(cert) {
				certs = append(append([]*x509.Certificate(nil), certs[:n]...), certs[n+1:]...)
				return cert
			}
		}
		return nil
	}
	var chain []*x509.Certificate
	next := take(func(c *x509.Certificate) bool { return fits(key, c.PublicKey) })
	if next == nil {
		return nil
	}
	for next != nil {
		chain = append(chain, next)
		last := next
		next = take(func(c *x509.Certificate) bool { return bytes.Equal(c.RawSubject, last.RawIssuer) })
	}
	return append(chain, certs...)
}
