package tlsengine

import (
	"bytes"
	"crypto/ed25519"
	"crypto/x509"
	"encoding/binary"
	"slices"
	"time"
)

// standInCost is what one copy costs to sign, or one of its signatures to check.
const standInCost = 100 * time.Microsecond

// copies are those of the path, on which nothing is wrong but what edit leaves on them: for explaining alone. Keys that
// cost no more than any other stand in for theirs, whose signatures are known to be good: else the peer could, by the curve
// that it chooses, put what is asked about copies beyond what may be spent.
func (d *diagnosis) copies(edit func(depth int, c *x509.Certificate)) []*x509.Certificate {
	copies := make([]*x509.Certificate, len(d.certs))
	key, id := standIn(0)
	for depth, cert := range d.certs {
		issuer, issuerID := standIn(depth + 1)
		c := neutral(cert, d.now)
		c.PublicKeyAlgorithm, c.PublicKey, c.RawSubjectPublicKeyInfo = x509.Ed25519, key.Public(), id
		c.SubjectKeyId, c.AuthorityKeyId = id, issuerID // of one name, the right one is tried first
		c.SignatureAlgorithm, c.RawTBSCertificate, c.Signature = x509.PureEd25519, nil, ed25519.Sign(issuer, nil)
		if depth > 0 {
			c.BasicConstraintsValid, c.IsCA, c.MaxPathLen, c.MaxPathLenZero = true, true, -1, false
			c.KeyUsage = 0
		}
		edit(depth, c)
		copies[depth] = c
		key, id = issuer, issuerID
	}
	return copies
}

// standIn is the key of the copy at that depth. It keeps no secret: no copy is ever an anchor of anything.
func standIn(depth int) (key ed25519.PrivateKey, id []byte) {
	id = make([]byte, ed25519.SeedSize)
	binary.BigEndian.PutUint32(id, uint32(depth)) //nolint:gosec // less than maxChecks
	return ed25519.NewKeyFromSeed(id), id
}

// affordCopies charges one call of Verify about copies, and reports whether it may be made.
func (d *diagnosis) affordCopies() bool {
	n := len(d.certs)
	checks := 0
	for _, child := range d.certs[:n-1] {
		for _, issuer := range d.certs[1:] {
			if bytes.Equal(child.RawIssuer, issuer.RawSubject) {
				checks++
			}
		}
	}
	return d.afford(time.Duration(n+min(checks, maxChecks)) * standInCost)
}

// verifyCopies runs Verify on copies and returns its error.
func (d *diagnosis) verifyCopies(edit func(depth int, c *x509.Certificate)) error {
	opts := d.options(x509.NewCertPool())
	opts.KeyUsages = []x509.ExtKeyUsage{x509.ExtKeyUsageAny}
	copies := d.copies(edit)
	top := len(copies) - 1
	opts.Roots.AddCert(copies[top])
	for _, c := range copies[1:top] {
		opts.Intermediates.AddCert(c)
	}
	_, err := copies[0].Verify(opts)
	return err
}

// leaveOut says that something was not checked, which makes the chain one that nobody can accept: what would have been
// found may be worse than what was.
func (d *diagnosis) leaveOut(what string) { d.problems = withIncomplete(d.problems, what) }

func withIncomplete(problems []Problem, what string) []Problem {
	if slices.ContainsFunc(problems, isIncomplete) {
		return problems
	}
	return append(problems, tooLarge("the chain could not be judged completely: "+what))
}

// isIncomplete reports whether a problem says that there may be others.
func isIncomplete(p Problem) bool { return p.Code == ChainTooLarge }
