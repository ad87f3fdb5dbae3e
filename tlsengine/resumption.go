package tlsengine

import (
	"container/list"
	"crypto/sha256"
	"crypto/tls"
	"sync"
	"time"
)

// Bounds of what is kept for resumption. A session costs what its chain does, and some more.
const (
	maxSessionBytes      = 32 << 10 // a larger one is not kept
	maxOwnerSessionBytes = 4 << 20
	maxSessionsBytes     = 64 << 20
	sessionOverhead      = 2 << 10
)

// Sessions keeps TLS sessions for resumption, the most recently used ones. It may be used by many handshakes at once. The
// zero value is empty.
type Sessions struct {
	mu     sync.Mutex
	recent list.List // of *keptSession, the most recently used first
	byKey  map[string]*list.Element
	bytes  int
	owners map[string]int // bytes
}

type keptSession struct {
	key, owner string
	state      *tls.ClientSessionState
	bytes      int
	until      time.Time // what the chain rests on is good until then; zero: nobody knows
}

// SessionsOf is the part of a Sessions that one handshake uses: Config.Sessions. The key must tell apart everything that a
// TLS session may not cross: whose it is, the endpoint, the trust, the identities. Owners share the room fairly.
type SessionsOf struct {
	sessions *Sessions
	owner    string
	key      string

	// What this handshake has found, for the tickets that come during it and later.
	mu    sync.Mutex
	bytes int
	until time.Time
}

// For returns the part of the cache that belongs to an owner's key, for one handshake.
func (s *Sessions) For(owner string, key [sha256.Size]byte) *SessionsOf {
	return &SessionsOf{sessions: s, owner: owner, key: string(key[:])}
}

// judged notes what a ticket of this connection will be worth. A ticket brings back the chain and the staple of the day it
// was made: when one of them runs out, a full handshake may bring better ones.
func (k *SessionsOf) judged(r *Report, staple []byte) {
	size := sessionOverhead + len(staple)
	for _, cert := range r.PeerChain {
		size += 3 * len(cert.Raw) // the DER, what was parsed of it, and the verified chain
	}
	var until time.Time
	earlier := func(t time.Time) {
		if !t.IsZero() && (until.IsZero() || t.Before(until)) {
			until = t
		}
	}
	if r.Basis == BasisValidated {
		for _, cert := range r.VerifiedChain {
			earlier(cert.NotAfter)
		}
		if len(staple) > 0 && len(r.Revocation) > 0 {
			earlier(r.Revocation[0].NextUpdate)
		}
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.bytes, k.until = size, until
}

// view is a SessionsOf as crypto/tls takes it, with the clock of the handshake.
type view struct {
	*SessionsOf
	now func() time.Time
}

func (k view) Get(name string) (*tls.ClientSessionState, bool) {
	s := k.sessions
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.byKey[k.key+name]
	if e == nil {
		return nil, false
	}
	kept := e.Value.(*keptSession)
	if !kept.until.IsZero() && !k.now().Before(kept.until) {
		s.dropLocked(e)
		return nil, false
	}
	s.recent.MoveToFront(e)
	return kept.state, true
}

func (k view) Put(name string, state *tls.ClientSessionState) {
	k.mu.Lock()
	kept := &keptSession{key: k.key + name, owner: k.owner, state: state, bytes: k.bytes, until: k.until}
	k.mu.Unlock()
	s := k.sessions
	s.mu.Lock()
	defer s.mu.Unlock()
	if e := s.byKey[kept.key]; e != nil {
		s.dropLocked(e)
	}
	if state == nil || kept.bytes > maxSessionBytes {
		return
	}
	if s.byKey == nil {
		s.byKey, s.owners = make(map[string]*list.Element), make(map[string]int)
	}
	s.byKey[kept.key] = s.recent.PushFront(kept)
	s.bytes += kept.bytes
	s.owners[kept.owner] += kept.bytes
	for e := s.recent.Back(); e != nil && s.owners[kept.owner] > maxOwnerSessionBytes; {
		older := e.Prev()
		if e.Value.(*keptSession).owner == kept.owner {
			s.dropLocked(e)
		}
		e = older
	}
	for s.bytes > maxSessionsBytes {
		s.dropLocked(s.recent.Back())
	}
}

func (s *Sessions) dropLocked(e *list.Element) {
	kept := s.recent.Remove(e).(*keptSession)
	delete(s.byKey, kept.key)
	s.bytes -= kept.bytes
	if s.owners[kept.owner] -= kept.bytes; s.owners[kept.owner] <= 0 {
		delete(s.owners, kept.owner)
	}
}
