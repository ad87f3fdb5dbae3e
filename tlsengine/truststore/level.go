package truststore

import "crypto/x509"

// Level is one layer of trust: the service's, a caller's defaults, a session's. It follows the level above, later
// changes of that one included, until its anchors are replaced. The zero value follows and has nothing of its own. Like a
// Set it is immutable; a copy is as good as the original.
//
// The set that counts is made from the top: session.Over(defaults.Over(service.Over(system))).
type Level struct {
	// Own is what was added or set at this level; nil is nothing. When the level follows, it lies on top of what the
	// level above gives.
	Own *Set
	// Replaces says that the anchors were set: nothing of the levels above counts.
	Replaces bool
}

// Over returns what counts at this level, below parent. When the level has nothing of its own that is parent itself, with
// the pool that it has made.
func (l Level) Over(parent *Set) *Set {
	switch {
	case l.Replaces && l.Own == nil:
		return new(Set)
	case l.Replaces || parent.Len() == 0 && l.Own != nil:
		return l.Own
	case l.Own.Len() == 0:
		return parent
	}
	out, _ := parent.add(l.Own.entries, l.Own.sums)
	return out
}

// Add extends the level by these, and says how many are new to it or newly trusted. Whether it follows does not change.
func (l Level) Add(entries ...Entry) (Level, int) {
	own, n := l.Own.Add(entries...)
	return Level{Own: own, Replaces: l.Replaces}, n
}

// Replace sets the anchors: these and no others, of this level or from above. Its own intermediates stay. Without
// anchors nobody is trusted.
func (l Level) Replace(anchors []*x509.Certificate) Level {
	entries := make([]Entry, 0, len(anchors)+l.Own.Len())
	for _, cert := range anchors {
		entries = append(entries, Entry{Cert: cert, Trusted: true})
	}
	for _, cert := range l.Own.Intermediates() {
		entries = append(entries, Entry{Cert: cert})
	}
	return Level{Own: NewSet(entries...), Replaces: true}
}

// Reset returns a level that follows again and has nothing of its own: intermediates are forgotten with the anchors, so
// that it is exactly as before anything was added or set.
func (l Level) Reset() Level { return Level{} }
