package truststore

import (
	"bytes"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"strings"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

// Bounds of a bundle. Verifying by a certificate is work that whoever brought it has chosen, so the size of an RSA key,
// which decides how much, is bounded too.
const (
	MaxBundleBytes        = 2 << 20
	MaxBundleCertificates = 2000 // the same one again counts
	MaxCertificateBytes   = 32 << 10
	MaxRSABits            = 8192
)

// BundleError reports a bundle that is refused as a whole.
type BundleError struct {
	Index int    // of the certificate that is to blame, counted from 0; -1: it is the bundle
	Why   string // short, and never with bytes of the bundle
}

func (e *BundleError) Error() string {
	if e.Index < 0 {
		return "truststore: the bundle " + e.Why
	}
	return fmt.Sprintf("truststore: certificate %d of the bundle %s", e.Index, e.Why)
}

// ParseBundle reads the certificates of a bundle, in their order, each once: PEM (RFC 7468) with any text between the
// blocks, or one DER certificate behind the other. It is all or nothing: what cannot be read, blocks of other types and
// an empty bundle are refused. The certificates do not share memory with b. The error is a *BundleError.
func ParseBundle(b []byte) ([]*x509.Certificate, error) {
	if len(b) > MaxBundleBytes {
		return nil, &BundleError{-1, fmt.Sprintf("has %d bytes, at most %d are read", len(b), MaxBundleBytes)}
	}
	p := bundleParser{seen: make(map[[sha256.Size]byte]bool)}
	read := p.pem
	if looksLikeDER(b) {
		read = p.der
	}
	if err := read(b); err != nil {
		return nil, err
	}
	if len(p.certs) == 0 {
		why := "has no certificate"
		if bytes.Contains(b, beginMark) {
			why += ": a PEM block has to begin at the start of a line"
		}
		return nil, &BundleError{-1, why}
	}
	return p.certs, nil
}

// looksLikeDER tells a SEQUENCE with a length of several bytes, as every certificate is, from text: a line may begin
// with "0", which is SEQUENCE's tag, but no text has the second byte.
func looksLikeDER(b []byte) bool {
	return len(b) >= 2 && b[0] == byte(asn1.SEQUENCE) && b[1]&0x80 != 0
}

type bundleParser struct {
	certs []*x509.Certificate
	seen  map[[sha256.Size]byte]bool
	n     int // certificates so far, the same one again included
}

func (p *bundleParser) der(b []byte) error {
	for rest := cryptobyte.String(b); !rest.Empty(); {
		var element cryptobyte.String
		if !rest.ReadASN1Element(&element, asn1.SEQUENCE) {
			return &BundleError{p.n, "is not DER"}
		}
		if err := p.add(element); err != nil {
			return err
		}
	}
	return nil
}

var beginMark = []byte("-----BEGIN ")

// pem looks for the blocks itself: pem.Decode passes over a damaged block as if it were text, and the bundle would
// lose a certificate without a word.
func (p *bundleParser) pem(b []byte) error {
	if bytes.Contains(b, []byte("PRIVATE KEY-----")) { // also in a block that is damaged
		return &BundleError{-1, secret}
	}
	rest := bytes.TrimPrefix(b, []byte("\xef\xbb\xbf")) // the mark that some editors put before UTF-8
	start := nextBlock(rest, 0)
	for start < len(rest) {
		end := nextBlock(rest, start+1)
		block, _ := pem.Decode(rest[start:end])
		start = end
		switch {
		case block == nil:
			return &BundleError{p.n, "is damaged: its PEM block cannot be read"}
		case block.Type != "CERTIFICATE":
			return &BundleError{-1, "has " + blockName(block.Type) + "; only blocks of type CERTIFICATE belong there"}
		case len(block.Headers) != 0:
			return &BundleError{p.n, "has PEM headers"}
		}
		if err := p.add(block.Bytes); err != nil {
			return err
		}
	}
	return nil
}

// nextBlock returns where the next line begins that begins a block, at or after from, or len(b).
func nextBlock(b []byte, from int) int {
	for from < len(b) {
		i := bytes.Index(b[from:], beginMark)
		if i < 0 {
			break
		}
		from += i
		if from == 0 || b[from-1] == '\n' {
			return from
		}
		from++
	}
	return len(b)
}

// blockName names the types that people mistake for a certificate. Others are not repeated: they may hold anything.
func blockName(pemType string) string {
	switch pemType {
	case "TRUSTED CERTIFICATE", "X509 CERTIFICATE", "CERTIFICATE REQUEST", "NEW CERTIFICATE REQUEST", "X509 CRL", "PKCS7",
		"CMS", "PUBLIC KEY", "RSA PUBLIC KEY", "EC PARAMETERS", "DH PARAMETERS":
		return "a block of type " + pemType
	}
	return "a block of another type"
}

func (p *bundleParser) add(der []byte) error {
	if p.n == MaxBundleCertificates {
		return &BundleError{-1, fmt.Sprintf("has more than %d certificates", MaxBundleCertificates)}
	}
	if looksSecret(der) {
		return &BundleError{-1, secret}
	}
	sum := sha256.Sum256(der)
	if !p.seen[sum] {
		cert, why := parseCertificate(der)
		if why != "" {
			return &BundleError{p.n, why}
		}
		p.seen[sum] = true
		p.certs = append(p.certs, cert)
	}
	p.n++
	return nil
}

// parseCertificate reads one certificate within the bounds, or says why not.
func parseCertificate(der []byte) (cert *x509.Certificate, why string) {
	if len(der) > MaxCertificateBytes {
		return nil, fmt.Sprintf("has %d bytes, at most %d are read", len(der), MaxCertificateBytes)
	}
	cert, err := x509.ParseCertificate(bytes.Clone(der)) // it keeps what it is given
	if err != nil {
		return nil, "is malformed" + harmless(err.Error())
	}
	if key, ok := cert.PublicKey.(*rsa.PublicKey); ok && key.N.BitLen() > MaxRSABits {
		return nil, fmt.Sprintf("has an RSA key of %d bits, at most %d are accepted", key.N.BitLen(), MaxRSABits)
	}
	return cert, ""
}

// harmless passes on what crypto/x509 says when it is one of its fixed texts: others quote the certificate.
func harmless(text string) string {
	for _, fixed := range []string{"x509: malformed ", "x509: invalid version", "x509: trailing data", "x509: negative serial"} {
		other := func(r rune) bool {
			return r != ' ' && r != ':' && (r < '0' || r > '9') && (r|0x20 < 'a' || r|0x20 > 'z')
		}
		if strings.HasPrefix(text, fixed) && len(text) < 80 && !strings.ContainsFunc(text, other) {
			return " (" + text + ")"
		}
	}
	return ""
}

const secret = "holds a private key, which does not belong there: whoever could read it may have it now, replace it"

// looksSecret tells the DER forms of private keys from a certificate, which begins with a SEQUENCE within a SEQUENCE:
// PKCS #1 and SEC 1 (RFC 8017, 5915), PKCS #8 plain and encrypted (RFC 5958), and PKCS #12 (RFC 7292).
func looksSecret(der []byte) bool {
	outer, body := cryptobyte.String(der), cryptobyte.String(nil)
	if !outer.ReadASN1(&body, asn1.SEQUENCE) {
		return false
	}
	var version int
	if body.PeekASN1Tag(asn1.INTEGER) {
		if !body.ReadASN1Integer(&version) || version < 0 || version > 3 {
			return false
		}
		switch {
		case version == 3:
			return body.SkipASN1(asn1.SEQUENCE) // PKCS #12
		case body.PeekASN1Tag(asn1.INTEGER) || body.PeekASN1Tag(asn1.OCTET_STRING):
			return true
		}
	}
	return body.SkipASN1(asn1.SEQUENCE) && body.PeekASN1Tag(asn1.OCTET_STRING)
}
