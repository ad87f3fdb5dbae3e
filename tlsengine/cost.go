package tlsengine

import (
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/x509"
	"time"
)

// What judging one chain may cost in signature checks. A signature of P-521 costs thirty of P-256, so that a number of
// checks alone bounds nothing. The times are those of a slow core; they are compared with each other, never with a clock.
const (
	maxCost       = 80 * time.Millisecond // of all together
	maxVerifyCost = 25 * time.Millisecond // of one call of Verify, which remembers nothing that it has checked
	maxSearchCost = 25 * time.Millisecond // of a search of ours
	rootsCost     = 60 * time.Microsecond // of the anchors of one name in a pool, which cannot be looked into
	maxChecks     = 100                   // signatures that Verify checks before it gives up
)

// checkCost estimates one signature check with the key of issuer.
func checkCost(issuer *x509.Certificate) time.Duration {
	switch key := issuer.PublicKey.(type) {
	case *ecdsa.PublicKey:
		switch bits := key.Curve.Params().BitSize; {
		case bits > 384:
			return 1800 * time.Microsecond
		case bits > 256:
			return 550 * time.Microsecond
		case bits < 256:
			return 160 * time.Microsecond // P-224 has no code of its own
		}
		return 60 * time.Microsecond
	case *rsa.PublicKey:
		n := time.Duration(key.N.BitLen())
		return max(60*time.Microsecond, 60*time.Microsecond*n*n/(2048*2048))
	}
	return 100 * time.Microsecond
}

// afford charges a call of Verify that may cost as much, and reports whether it may be made.
func (q *inquiry) afford(cost time.Duration) bool {
	if cost > maxVerifyCost || cost > q.left || q.stopped() {
		return false
	}
	q.left -= cost
	return true
}

// verifyCost bounds what Verify may spend on cert with those intermediates, by names alone: as if every signature were good.
func (q *inquiry) verifyCost(cert *x509.Certificate, bySubject map[string][]*x509.Certificate) time.Duration {
	var cost time.Duration
	checks := 0
	var walk func(path []*x509.Certificate)
	walk = func(path []*x509.Certificate) {
		child := path[len(path)-1]
		cost += q.anchorCost(child)
		for _, issuer := range bySubject[string(child.RawIssuer)] {
			if contains(path, issuer) {
				continue
			}
			if checks++; checks > maxChecks || cost > maxVerifyCost {
				return
			}
			cost += checkCost(issuer)
			walk(append(path[:len(path):len(path)], issuer))
		}
	}
	walk([]*x509.Certificate{cert})
	return cost
}

// anchorCost bounds what it costs to look for child's issuer among the anchors.
func (q *inquiry) anchorCost(child *x509.Certificate) time.Duration {
	cost := time.Duration(0)
	if q.base != nil {
		cost = rootsCost
	}
	for _, anchor := range q.anchors[string(child.RawIssuer)] {
		cost += checkCost(anchor)
	}
	return cost
}
