package tlsengine

import (
	"crypto"
	_ "crypto/sha256" // the hashes of Binding
	_ "crypto/sha512"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
)

// ErrNoMaterial says that a connection has no keying material of the kind that was asked for.
var ErrNoMaterial = errors.New("this connection has none")

// Binding is a channel binding. The numbers are the contract's.
type Binding uint8

// The channel bindings.
const (
	BindingExporter       Binding = iota + 1 // RFC 9266
	BindingServerEndPoint                    // RFC 5929, section 4
	BindingUnique                            // RFC 5929, section 3
)

// exporterLabel and its length are RFC 9266's.
const (
	exporterLabel  = "EXPORTER-Channel-Binding"
	exporterLength = 32
)

// ExportKeyingMaterial returns length bytes by RFC 5705 or RFC 8446, section 7.5. A nil context is none, which under
// TLS 1.2 differs from an empty one. The error wraps ErrNoMaterial under TLS 1.2 without the extended master secret,
// where the material would not be bound to the connection, and for labels that TLS uses itself.
func (c *Conn) ExportKeyingMaterial(label string, context []byte, length int) ([]byte, error) {
	cs := c.tls.ConnectionState()
	material, err := cs.ExportKeyingMaterial(label, context, length)
	if err != nil {
		return nil, fmt.Errorf("tlsengine: keying material: %w: %w", ErrNoMaterial, err)
	}
	return material, nil
}

// ChannelBinding returns the data of a channel binding. The error wraps ErrNoMaterial where this connection has none:
// tls-unique under TLS 1.3, tls-server-end-point of a certificate whose signature has no hash of its own.
func (c *Conn) ChannelBinding(b Binding) ([]byte, error) {
	switch b {
	case BindingExporter:
		return c.ExportKeyingMaterial(exporterLabel, []byte{}, exporterLength)
	case BindingServerEndPoint:
		return slices.Clone(c.endPoint.data), c.endPoint.err
	case BindingUnique:
		if cs := c.tls.ConnectionState(); cs.Version < tls.VersionTLS13 && len(cs.TLSUnique) > 0 {
			return cs.TLSUnique, nil
		}
	}
	return nil, fmt.Errorf("tlsengine: channel binding: %w", ErrNoMaterial)
}

// endPoint is the tls-server-end-point of a connection, which may outlive the certificate.
type endPoint struct {
	data []byte
	err  error
}

// endPointOf hashes the certificate by its signature's hash, and by SHA-256 where that is MD5 or SHA-1.
func endPointOf(leaf *x509.Certificate) endPoint {
	hash, ok := endPointHashes[leaf.SignatureAlgorithm]
	if !ok {
		return endPoint{err: fmt.Errorf("tlsengine: tls-server-end-point of %s: %w", leaf.SignatureAlgorithm, ErrNoMaterial)}
	}
	h := hash.New()
	h.Write(leaf.Raw)
	return endPoint{data: h.Sum(nil)}
}

var endPointHashes = map[x509.SignatureAlgorithm]crypto.Hash{
	x509.MD5WithRSA:       crypto.SHA256,
	x509.SHA1WithRSA:      crypto.SHA256,
	x509.ECDSAWithSHA1:    crypto.SHA256,
	x509.SHA256WithRSA:    crypto.SHA256,
	x509.SHA256WithRSAPSS: crypto.SHA256,
	x509.ECDSAWithSHA256:  crypto.SHA256,
	x509.SHA384WithRSA:    crypto.SHA384,
	x509.SHA384WithRSAPSS: crypto.SHA384,
	x509.ECDSAWithSHA384:  crypto.SHA384,
	x509.SHA512WithRSA:    crypto.SHA512,
	x509.SHA512WithRSAPSS: crypto.SHA512,
	x509.ECDSAWithSHA512:  crypto.SHA512,
}
