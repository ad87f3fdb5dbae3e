package server

import (
	"crypto/x509"
	"sync"

	pb "securesocket/gen/securesocket/v1"
)

// maxConverted bounds what is kept of certificates: with the largest ones that is
// some MiB, with usual ones 200 KiB.
const maxConverted = 64

// converted has the messages of certificates that were sent lately. crypto/tls
// and the session have one x509.Certificate for the same DER, so many sessions to
// one peer, and the events and answers of each, ask for the same.
var converted convertedCertificates

// convertedCertificates may be used by several goroutines. The zero value is
// empty.
type convertedCertificates struct {
	mu   sync.Mutex
	kept map[*x509.Certificate]*pb.Certificate
}

func (cc *convertedCertificates) get(c *x509.Certificate) *pb.Certificate {
	cc.mu.Lock()
	m := cc.kept[c]
	cc.mu.Unlock()
	if m != nil {
		return m
	}
	m = convertCertificate(c) // outside the lock: a hostile one takes its time
	cc.mu.Lock()
	defer cc.mu.Unlock()
	if cc.kept == nil || len(cc.kept) >= maxConverted {
		cc.kept = make(map[*x509.Certificate]*pb.Certificate)
	}
	cc.kept[c] = m
	return m
}

// toLeaf is the peer's own certificate; nil: it showed none.
func toLeaf(chain []*x509.Certificate) *pb.Certificate {
	if len(chain) == 0 {
		return nil
	}
	return toCertificate(chain[0])
}
