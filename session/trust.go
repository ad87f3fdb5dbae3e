package session

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"slices"

	"securesocket/tlsengine"
	"securesocket/tlsengine/truststore"
)

// Scope is a level of trust. The numbers are the wire's.
type Scope int32

// The scopes, from the nearest to the farthest.
const (
	ScopeSession  Scope = 1 // one session
	ScopeDefaults Scope = 2 // a caller's sessions
	ScopeService  Scope = 3 // everybody's
	ScopeSystem   Scope = 4 // the machine's; it cannot be changed
)

func (s Scope) String() string {
	switch s {
	case ScopeSession:
		return "session"
	case ScopeDefaults:
		return "defaults"
	case ScopeService:
		return "service"
	case ScopeSystem:
		return "system"
	}
	return "unknown"
}

// What a level of trust takes.
const (
	maxLevelCertificates = 2000
	maxLevelBytes        = 3 << 20
)

// TrustedCertificate is a certificate in effect at some level.
type TrustedCertificate struct {
	Cert    *x509.Certificate
	Trusted bool
	Scope   Scope // the level that it comes from
}

// trust holds the levels above the sessions'. Each follows the one above it, as
// truststore.Level says.
type trust struct {
	system func() (*truststore.Set, error)
	levels kept[truststore.Level]
}

func newTrust(r *Registry) trust {
	return trust{system: r.cfg.System, levels: kept[truststore.Level]{
		store: r.cfg.Store, bucket: "trust",
		count: func(owner string, from, to truststore.Level, forced bool) error {
			return r.takeGift(owner, large(giftOf(from.Own, nil)), large(giftOf(to.Own, nil)), forced)
		},
		decode: func(b []byte) (l truststore.Level, err error) {
			err = l.UnmarshalBinary(b)
			return l, err
		},
		encode: func(l truststore.Level) ([]byte, error) {
			if l.Own == nil && !l.Replaces {
				return nil, nil
			}
			return l.MarshalBinary()
		},
	}}
}

// nobody owns what is the service's, which counts for no caller.
const nobody = ""

// serviceKey and callerKey name levels in the store.
const serviceKey = "service"

func callerKey(owner string) string {
	if len(owner) > 256 {
		sum := sha256.Sum256([]byte(owner))
		return "hash:" + hex.EncodeToString(sum[:])
	}
	return "caller:" + owner
}

// checkLevel bounds what a caller may keep of certificates, as whose is said in
// the error.
func checkLevel(l truststore.Level, whose string, certificates, bytes int) error {
	if l.Own.Len() > certificates {
		return &LimitError{What: "certificates of " + whose, Limit: certificates}
	}
	total := 0
	for _, e := range l.Own.Entries() {
		total += len(e.Cert.Raw)
	}
	if total > bytes {
		return &LimitError{What: "bytes of the certificates of " + whose, Limit: bytes}
	}
	return nil
}

// scoped is a level and where it stands.
type scoped struct {
	truststore.Level
	scope Scope
}

// above returns the levels above a scope of an owner's, the farthest first: those
// that count, as none before one that replaces does.
func (t *trust) above(scope Scope, owner string) ([]scoped, error) {
	system, err := t.system()
	if err != nil {
		return nil, err
	}
	levels := []scoped{{truststore.Level{Own: system}, ScopeSystem}}
	for _, next := range []struct {
		scope      Scope
		owner, key string
	}{{ScopeService, nobody, serviceKey}, {ScopeDefaults, owner, callerKey(owner)}} {
		if next.scope <= scope {
			break
		}
		l, err := t.levels.get(next.owner, next.key)
		if err != nil {
			return nil, err
		}
		levels = follow(levels, scoped{l, next.scope})
	}
	return levels, nil
}

// follow puts a level below others, which end to count if it replaces them.
func follow(levels []scoped, l scoped) []scoped {
	if l.Replaces {
		levels = nil
	}
	return append(levels, l)
}

// effective is what counts below all of the levels, and the nearest one that has
// anchors of its own, or none on purpose.
func effective(levels []scoped) (*truststore.Set, Scope) {
	var set *truststore.Set
	scope := ScopeSystem
	for _, l := range levels {
		set = l.Over(set)
		if l.Replaces || slices.ContainsFunc(l.Own.Entries(), func(e truststore.Entry) bool { return e.Trusted }) {
			scope = l.scope
		}
	}
	return set, scope
}

// listed is every certificate that counts, each at the level that makes it what
// it is, the farthest level's first.
func listed(levels []scoped) []TrustedCertificate {
	var out []TrustedCertificate
	at := make(map[[sha256.Size]byte]int)
	for _, l := range levels {
		for _, e := range l.Own.Entries() {
			sum := sha256.Sum256(e.Cert.Raw)
			if i, have := at[sum]; have {
				if out[i].Trusted || !e.Trusted {
					continue
				}
				out[i].Cert = nil // newly trusted by a nearer level
			}
			at[sum] = len(out)
			out = append(out, TrustedCertificate{e.Cert, e.Trusted, l.scope})
		}
	}
	return slices.DeleteFunc(out, func(c TrustedCertificate) bool { return c.Cert == nil })
}

// below returns the levels that count below a base of an owner's.
func (t *trust) below(base TrustBase, owner string) ([]scoped, error) {
	switch base {
	case TrustNone:
		return nil, nil
	case TrustSystem:
		system, err := t.system()
		return []scoped{{truststore.Level{Own: system}, ScopeSystem}}, err
	}
	return t.above(ScopeSession, owner)
}

// levels returns those that count for the session, itself included.
func (s *Session) levels(base TrustBase) ([]scoped, error) {
	levels, err := s.reg.trust.below(base, s.owner)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	own := s.certificates
	s.mu.Unlock()
	if base == TrustNone && own.Own == nil {
		own.Replaces = true // it follows nothing, and says so by its name
	}
	return follow(levels, scoped{own, ScopeSession}), nil
}

// trust is what the connection's next chain is judged by.
func (c *connection) trust(base TrustBase) (tlsengine.Trust, error) {
	levels, err := c.s.levels(base)
	if err != nil {
		return tlsengine.Trust{}, err
	}
	c.trusting(levels)
	return trustOf(levels), nil
}

// trustOf gives the engine the system's anchors as a pool that all sessions
// share, and the others one by one: it bounds what those cost, which callers
// choose.
func trustOf(levels []scoped) tlsengine.Trust {
	set, scope := effective(levels)
	t := tlsengine.Trust{Name: scope.String(), SHA256: set.SHA256(), Intermediates: set.Intermediates()}
	own := levels
	if len(levels) > 0 && levels[0].scope == ScopeSystem {
		t.Roots, own = levels[0].Own.Pool(), levels[1:]
	}
	others, _ := effective(own)
	t.Anchors = others.Anchors()
	return t
}
