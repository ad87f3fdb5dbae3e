package tlsengine

import (
	"crypto/sha256"
	"slices"
)

// checkPins wants one of the pinned keys on the path. Who pins an authority's key trusts what it issues, so that any depth
// is good, but only with good signatures below it: those are problems of their own.
func (d *diagnosis) checkPins() {
	pins := d.settings.Pins
	if len(pins) == 0 {
		return
	}
	for _, cert := range d.certs {
		if slices.Contains(pins, sha256.Sum256(cert.RawSubjectPublicKeyInfo)) {
			return
		}
	}
	d.add(PinMismatch, 0, "server: use a pinned key; caller: pin the new one, if it is the server's",
		"none of the %d keys that are pinned is in the chain", len(pins))
}
