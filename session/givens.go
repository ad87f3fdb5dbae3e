package session

import (
	"crypto/x509"
	"slices"
	"sync"

	"securesocket/tlsengine"
	"securesocket/tlsengine/identity"
	"securesocket/tlsengine/truststore"
)

// freeGift is what the certificates and identities that one session, listener or level of
// trust was given may cost, in bytes, before they count for buffered: more than an
// authority and an identity do. Beyond it they count whole.
const freeGift = 32 << 10

// gift is what was given together: sets of certificates and identities, each once. Both
// are immutable.
type gift struct {
	sets       []*truststore.Set
	identities []*identity.Identity
}

// giftOf leaves out the operator's identities, which are there anyway.
func giftOf(set *truststore.Set, ids []*identity.Identity) gift {
	var g gift
	g.add(set, ids)
	return g
}

func (g *gift) add(set *truststore.Set, ids []*identity.Identity) {
	if set.Len() > 0 && !slices.Contains(g.sets, set) {
		g.sets = append(g.sets, set)
	}
	for _, id := range ids {
		if id.Ref() == "" && !slices.Contains(g.identities, id) {
			g.identities = append(g.identities, id)
		}
	}
}

func (g *gift) empty() bool { return len(g.sets) == 0 && len(g.identities) == 0 }

// small: it is within freeGift, as if it shared nothing.
func (g *gift) small() bool {
	cost := int64(0)
	for _, set := range g.sets {
		for _, e := range set.Entries() {
			if cost += entryCost + certificateCost(e.Cert); cost > freeGift {
				return false
			}
		}
	}
	for _, id := range g.identities {
		cost += int64(id.Footprint())
		for _, cert := range id.Chain() {
			cost += certificateCost(cert)
		}
	}
	return cost <= freeGift
}

const (
	entryCost = 192 // bytes of a set for each certificate, with its index
	foundCost = 384 // bytes of parsed and of givens for a certificate
)

func certificateCost(cert *x509.Certificate) int64 {
	return foundCost + int64(tlsengine.CertificateFootprint(cert))
}

// givens count what an owner's sessions, listeners and defaults were given of certificates
// and keys, in his budget and in that of all. Who brings the same DER with every session
// has one certificate for it, and accepted sessions have their listener's sets and
// identities: whatever several of his hold counts once, until the last lets it go. What
// two owners share each of them is charged for, and so is who takes the certificates of a
// bundle of the operator's.
//
// A small gift is not among them. It may share what is.
type givens struct {
	own, all *budget

	mu           sync.Mutex
	sets         map[*truststore.Set]int // how many hold it
	identities   map[*identity.Identity]int
	certificates map[*x509.Certificate]int
}

func newGivens(own, all *budget) *givens {
	return &givens{own: own, all: all, sets: make(map[*truststore.Set]int),
		identities: make(map[*identity.Identity]int), certificates: make(map[*x509.Certificate]int)}
}

// replace counts one gift in the place of another. The error is a LimitError: what is
// more finds no room, and nothing has changed. Where it is there already, however that
// came, forced counts it all the same.
func (g *givens) replace(from, to gift, forced bool) error {
	if from.empty() && to.empty() {
		return nil
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	more := g.holdLocked(to, 1) + g.holdLocked(from, -1)
	if more > 0 && !forced {
		if err := g.roomLocked(more); err != nil {
			g.holdLocked(from, 1)
			g.holdLocked(to, -1)
			return err
		}
	}
	g.own.held.Add(more)
	g.all.held.Add(more)
	return nil
}

// roomLocked says whose budget has no room for so many bytes. To wait does not help: what
// was given before stays until it is taken back.
func (g *givens) roomLocked(more int64) error {
	for _, b := range []struct {
		*budget
		what string
	}{{g.own, "buffered bytes for given certificates of a caller"}, {g.all, "buffered bytes for given certificates"}} {
		if b.held.Load()+more > b.limit {
			return &LimitError{What: b.what, Limit: int(b.limit)}
		}
	}
	return nil
}

// holdLocked has a gift held once more or, by -1, once less, and returns by how many bytes
// that makes a difference.
func (g *givens) holdLocked(of gift, by int) (more int64) {
	for _, set := range of.sets {
		if held(g.sets, set, by) {
			for _, e := range set.Entries() {
				more += int64(by)*entryCost + g.certificateLocked(e.Cert, by)
			}
		}
	}
	for _, id := range of.identities {
		if held(g.identities, id, by) {
			more += int64(by) * int64(id.Footprint())
			for _, cert := range id.Chain() {
				more += g.certificateLocked(cert, by)
			}
		}
	}
	return more
}

func (g *givens) certificateLocked(cert *x509.Certificate, by int) int64 {
	if held(g.certificates, cert, by) {
		return int64(by) * certificateCost(cert)
	}
	return 0
}

// held counts who holds something, and says whether it is the first, or was the last.
func held[T comparable](by map[T]int, what T, n int) bool {
	before := by[what]
	if by[what] = before + n; before+n == 0 {
		delete(by, what)
	}
	return before == 0 || before+n == 0
}

// wouldGive is how many bytes would be free without a gift that is held.
func (g *givens) wouldGive(of gift) int64 {
	g.mu.Lock()
	defer g.mu.Unlock()
	less := -g.holdLocked(of, -1)
	g.holdLocked(of, 1)
	return less
}

func (g *givens) empty() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.sets) == 0 && len(g.identities) == 0
}
