package tlsengine

import (
	"crypto/sha256"
	"crypto/tls"
)

// Sessions keeps TLS sessions for resumption, the most recently used ones. It may be used by many handshakes at once.
type Sessions struct{ lru tls.ClientSessionCache }

// NewSessions keeps up to capacity TLS sessions in memory.
func NewSessions(capacity int) *Sessions {
	return &Sessions{lru: tls.NewLRUClientSessionCache(capacity)}
}

// For returns the part of the cache that belongs to key, which must tell apart everything that a TLS session may not
// cross: whose it is, the endpoint, the trust, the identities. It fits Config.Sessions.
func (s *Sessions) For(key [sha256.Size]byte) tls.ClientSessionCache {
	return keyedSessions{string(key[:]), s.lru}
}

type keyedSessions struct {
	prefix string
	lru    tls.ClientSessionCache
}

func (k keyedSessions) Get(name string) (*tls.ClientSessionState, bool) {
	return k.lru.Get(k.prefix + name)
}

func (k keyedSessions) Put(name string, cs *tls.ClientSessionState) { k.lru.Put(k.prefix+name, cs) }
