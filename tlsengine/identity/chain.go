package identity

import (
	"bytes"
	"crypto/x509"
	"fmt"
	"strings"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

// Bounds on a chain: what the peer side of this service would judge at most.
const (
	maxChain      = 16
	maxChainBytes = 128 << 10
)

// parseChain reads the certificates, leaf first. Whether each issued the one before is the peer's to judge: it may have
// paths of its own.
func parseChain(ders [][]byte) ([]*x509.Certificate, error) {
	if err := boundChain(ders); err != nil {
		return nil, err
	}
	chain := make([]*x509.Certificate, 0, len(ders))
	for n, der := range ders {
		if isPEM(der) {
			return nil, chainError(fmt.Sprintf("certificate %d is PEM: give each certificate in DER", n))
		}
		if kind, _ := sniff(der); kind != unknownContainer {
			return nil, chainError(fmt.Sprintf("element %d is a private key, not a certificate", n))
		}
		cert, err := x509.ParseCertificate(der)
		if err != nil {
			return nil, chainError(fmt.Sprintf("certificate %d cannot be parsed%s", n, parseReason(err)))
		}
		chain = append(chain, cert)
	}
	return chain, nil
}

func boundChain(ders [][]byte) error {
	if len(ders) == 0 {
		return chainError("there is no certificate")
	}
	if len(ders) > maxChain {
		return chainError(fmt.Sprintf("has %d certificates, at most %d are taken", len(ders), maxChain))
	}
	total := 0
	for _, der := range ders {
		total += len(der)
	}
	if total > maxChainBytes {
		return chainError(fmt.Sprintf("has more than %d bytes", maxChainBytes))
	}
	return nil
}

// parseReason returns what x509 found wrong, if its text is nothing but short words: where it quotes the input, that could
// be anything, even a key in the wrong field.
func parseReason(err error) string {
	reason, ok := strings.CutPrefix(err.Error(), "x509: ")
	if !ok || len(reason) > 80 {
		return ""
	}
	for word := range strings.FieldsSeq(reason) {
		word = strings.TrimSuffix(word, ":")
		if len(word) > 16 || strings.ContainsFunc(word, func(r rune) bool { return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') }) {
			return ""
		}
	}
	return ": " + reason
}

// isPEM tells PEM from DER, in which the same text may stand somewhere.
func isPEM(data []byte) bool {
	s := cryptobyte.String(data)
	return !s.SkipASN1(asn1.SEQUENCE) && bytes.Contains(data, []byte("-----BEGIN"))
}
