package main

import (
	"bytes"
	"crypto/x509"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
)

// readChain reads the certificates of a file, PEM or DER, in their order. A private key in it is a mistake, and the file
// is not sent. Errors name the file and show nothing of it.
func readChain(file string) ([][]byte, error) {
	content, err := readBounded(file)
	if err != nil {
		return nil, usagef("%q cannot be read: %w", file, err)
	}
	return parseChain(file, content)
}

func parseChain(file string, content []byte) ([][]byte, error) {
	if !bytes.Contains(content, []byte("-----BEGIN")) {
		certificates, err := x509.ParseCertificates(content)
		if err != nil || len(certificates) == 0 {
			return nil, usagef("%q has no certificate: give a chain in PEM or DER, leaf first", file)
		}
		var chain [][]byte
		for _, c := range certificates {
			chain = append(chain, c.Raw)
		}
		return chain, nil
	}
	var chain [][]byte
	for {
		var block *pem.Block
		block, content = pem.Decode(content)
		switch {
		case block == nil && bytes.Contains(content, []byte("PRIVATE KEY-----")):
			return nil, errKeyInside(file)
		case block == nil && bytes.Contains(content, []byte("-----BEGIN")):
			return nil, usagef("%q has a PEM block that cannot be read: it is cut off or damaged", file)
		case block == nil && len(chain) == 0:
			return nil, usagef("%q has no certificate: give a chain in PEM or DER, leaf first", file)
		case block == nil:
			return chain, nil
		case strings.Contains(block.Type, "PRIVATE KEY"):
			return nil, errKeyInside(file)
		case block.Type != "CERTIFICATE":
			return nil, usagef("%q has a PEM block %q; leave only CERTIFICATE in it (a CRL goes to --crl)", file, block.Type)
		}
		// What cannot be read is for the service to judge: that is what this is for.
		chain = append(chain, block.Bytes)
	}
}

func errKeyInside(file string) error {
	return usagef("%q has a private key; nothing was sent. Take the key out: a chain is judged without it", file)
}

// readCRLs reads revocation lists, one or more a file.
func readCRLs(files []string) (crls [][]byte, err error) {
	for _, file := range files {
		found, err := readDER(file, "X509 CRL")
		if err != nil {
			return nil, usagef("--crl %q %w", file, err)
		}
		crls = append(crls, found...)
	}
	return crls, nil
}

// readStaple reads an OCSP response; nil for no file.
func readStaple(file string) ([]byte, error) {
	if file == "" {
		return nil, nil
	}
	found, err := readDER(file, "OCSP RESPONSE")
	switch {
	case err != nil:
		return nil, usagef("--staple %q %w", file, err)
	case len(found) != 1:
		return nil, usagef("--staple %q has %d responses; give one", file, len(found))
	}
	return found[0], nil
}

// readDER reads PEM blocks of that type, or the DER that the file is.
func readDER(file, kind string) (found [][]byte, err error) {
	content, err := readBounded(file)
	if err != nil {
		return nil, fmt.Errorf("cannot be read: %w", err)
	}
	return parseDER(content, kind)
}

func parseDER(content []byte, kind string) (found [][]byte, err error) {
	if !bytes.Contains(content, []byte("-----BEGIN")) {
		found = [][]byte{content}
	}
	for len(found) == 0 || content != nil && bytes.Contains(content, []byte("-----BEGIN")) {
		var block *pem.Block
		block, content = pem.Decode(content)
		if block == nil || block.Type != kind {
			return nil, errors.New("must have " + kind + " and nothing else, in PEM or DER")
		}
		found = append(found, block.Bytes)
	}
	for _, der := range found {
		var value asn1.RawValue
		rest, err := asn1.Unmarshal(der, &value)
		if err != nil || len(rest) > 0 || value.Tag != asn1.TagSequence {
			return nil, errors.New("is no " + kind + " in PEM or DER")
		}
		if _, err := x509.ParseCertificate(der); err == nil {
			return nil, errors.New("is a certificate, not " + kind)
		}
	}
	return found, nil
}
