package session

import (
	"crypto/sha256"
	"crypto/x509"
	"runtime"
	"sync"
	"weak"
)

// parsed has the certificates that somebody in the process holds, so that those who bring the same one share it: callers
// send theirs with every session. Certificates are never modified. What nobody holds any more is forgotten.
var parsed certificates

// certificates finds certificates by the SHA-256 of their DER.
type certificates struct{ found sync.Map }

func (c *certificates) get(key [sha256.Size]byte) *x509.Certificate {
	if p, ok := c.found.Load(key); ok {
		return p.(weak.Pointer[x509.Certificate]).Value() //nolint:forcetypeassert // the map holds nothing else
	}
	return nil
}

// share is put for a certificate whose hash nobody has at hand.
func (c *certificates) share(cert *x509.Certificate) *x509.Certificate {
	return c.put(sha256.Sum256(cert.Raw), cert)
}

// put returns cert, or the same certificate of whoever came first.
func (c *certificates) put(key [sha256.Size]byte, cert *x509.Certificate) *x509.Certificate {
	own := weak.Make(cert)
	for {
		p, loaded := c.found.LoadOrStore(key, own)
		if !loaded {
			runtime.AddCleanup(cert, func(key [sha256.Size]byte) { c.found.CompareAndDelete(key, own) }, key)
			return cert
		}
		if first := p.(weak.Pointer[x509.Certificate]).Value(); first != nil { //nolint:forcetypeassert // as above
			return first
		}
		c.found.CompareAndDelete(key, p)
	}
}
