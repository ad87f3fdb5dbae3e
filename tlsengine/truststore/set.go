package truststore

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"maps"
	"slices"
	"sync"
)

// Entry is one certificate of a Set.
type Entry struct {
	// Cert is shared and must not be modified. An Entry without one is passed over.
	Cert *x509.Certificate
	// Trusted makes it an anchor; otherwise it only helps to build a chain.
	Trusted bool
	// Constraint, of an anchor, is asked about every chain that ends in it; its error discards the chain. nil: there is
	// none. It may be called from several goroutines at once, and cannot be stored by Level.MarshalBinary.
	Constraint func(chain []*x509.Certificate) error
}

// Set is an immutable ordered set of certificates, each there once by the SHA-256 of its DER. The zero value and nil are
// the empty set, which trusts nobody. It holds any number of any size: ParseBundle has the bounds.
type Set struct {
	entries []Entry
	sums    [][sha256.Size]byte       // of the entries
	index   map[[sha256.Size]byte]int // into the entries; nil: they are few
	base    *Set                      // all of its anchors are among ours; nil: none is known

	poolOnce sync.Once
	pool     *x509.CertPool
	hashOnce sync.Once
	hash     [sha256.Size]byte
}

// NewSet returns the set of these, as Add does on an empty one.
func NewSet(entries ...Entry) *Set {
	s, _ := new(Set).Add(entries...)
	return s
}

// Len is the number of certificates.
func (s *Set) Len() int {
	if s == nil {
		return 0
	}
	return len(s.entries)
}

// Entries returns all certificates in their order. The slice is shared and must not be modified.
func (s *Set) Entries() []Entry {
	if s == nil {
		return nil
	}
	return s.entries[:len(s.entries):len(s.entries)]
}

// Anchors returns what is trusted, in a slice of the caller's own. Their constraints are only in Entries and in Pool.
func (s *Set) Anchors() []*x509.Certificate { return s.certificates(true) }

// Intermediates returns what is not trusted, in a slice of the caller's own.
func (s *Set) Intermediates() []*x509.Certificate { return s.certificates(false) }

func (s *Set) certificates(trusted bool) []*x509.Certificate {
	var out []*x509.Certificate
	for _, e := range s.Entries() {
		if e.Trusted == trusted {
			out = append(out, e.Cert)
		}
	}
	return out
}

// Add returns the set with these behind its own, and how many of them are new or newly trusted. A certificate that is
// there already changes nothing, except that a trusted one makes it an anchor; an anchor keeps its constraint, or that it
// has none. When nothing changes the answer is s itself.
func (s *Set) Add(entries ...Entry) (*Set, int) {
	sums := make([][sha256.Size]byte, len(entries))
	for i, e := range entries {
		if e.Cert != nil {
			sums[i] = sha256.Sum256(e.Cert.Raw)
		}
	}
	return s.add(entries, sums)
}

func (s *Set) add(entries []Entry, sums [][sha256.Size]byte) (out *Set, count int) {
	out = s
	for i, e := range entries {
		at, have := out.find(sums[i])
		if e.Cert == nil || have && (out.entries[at].Trusted || !e.Trusted) {
			continue
		}
		if out == s {
			out = s.clone(len(entries) - i)
		}
		if !e.Trusted {
			e.Constraint = nil // should it become an anchor, whoever makes it one says under which constraint
		}
		if have {
			out.entries[at] = e
			if at >= s.Len() {
				continue // new in this call, and counted
			}
		} else {
			if out.index != nil {
				out.index[sums[i]] = len(out.entries)
			}
			out.entries = append(out.entries, e)
			out.sums = append(out.sums, sums[i])
		}
		count++
	}
	return out, count
}

func (s *Set) find(sum [sha256.Size]byte) (at int, ok bool) {
	if s == nil {
		return 0, false
	}
	if s.index == nil {
		at = slices.Index(s.sums, sum)
		return max(at, 0), at >= 0
	}
	at, ok = s.index[sum]
	return at, ok
}

// few certificates are found without an index, which costs more than they do: a
// session has one or two.
const few = 8

// clone copies the set, with room for more.
func (s *Set) clone(more int) *Set {
	out := &Set{
		entries: make([]Entry, s.Len(), s.Len()+more),
		sums:    make([][sha256.Size]byte, s.Len(), s.Len()+more),
	}
	if s.Len()+more > few {
		out.index = make(map[[sha256.Size]byte]int, more)
	}
	if s.Len() == 0 {
		return out
	}
	copy(out.entries, s.entries)
	copy(out.sums, s.sums)
	switch {
	case s.index != nil:
		out.index = maps.Clone(s.index)
	case out.index != nil:
		for i, sum := range s.sums {
			out.index[sum] = i
		}
	}
	out.base = s.base
	if out.base == nil {
		out.base = s // and never s when it has a base itself: a long history of changes would be kept alive
	}
	return out
}

// Pool returns the anchors with their constraints, for x509.Verify. It is made once and shared: it must not be modified,
// only cloned. It is never nil, which Verify would take for the machine's.
func (s *Set) Pool() *x509.CertPool {
	if s == nil {
		return x509.NewCertPool()
	}
	s.poolOnce.Do(func() {
		s.pool = x509.NewCertPool()
		if s.base != nil {
			s.pool = s.base.Pool().Clone() // cheaper than to hash each certificate again
		}
		for i, e := range s.entries {
			if at, have := s.base.find(s.sums[i]); !e.Trusted || have && s.base.entries[at].Trusted {
				continue
			}
			s.pool.AddCertWithConstraint(e.Cert, e.Constraint)
		}
	})
	return s.pool
}

// SHA256 names the anchors: it is the SHA-256 of the SHA-256 hashes of their DER, sorted bytewise and put one behind the
// other; without anchors it is the SHA-256 of nothing. Order, intermediates and constraints play no part.
func (s *Set) SHA256() [sha256.Size]byte {
	if s == nil {
		return sha256.Sum256(nil)
	}
	s.hashOnce.Do(func() {
		var sums [][sha256.Size]byte
		for i, e := range s.entries {
			if e.Trusted {
				sums = append(sums, s.sums[i])
			}
		}
		slices.SortFunc(sums, func(a, b [sha256.Size]byte) int { return bytes.Compare(a[:], b[:]) })
		h := sha256.New()
		for _, sum := range sums {
			h.Write(sum[:])
		}
		h.Sum(s.hash[:0])
	})
	return s.hash
}
