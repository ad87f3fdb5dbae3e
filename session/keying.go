package session

import (
	"errors"

	"securesocket/tlsengine"
)

// ExportKeyingMaterial asks the connection of a generation, 0 = the current, for
// keying material. The error is ErrNotFound, a StateError unless it is encrypted,
// or an UnsupportedError about what where it has none.
func (s *Session) ExportKeyingMaterial(generation int64, what string, export func(*tlsengine.Conn) ([]byte, error)) ([]byte, error) {
	s.mu.Lock()
	if err := s.checkGenerationLocked("keying material", generation); err != nil {
		s.mu.Unlock()
		return nil, err
	}
	s.claimLocked()
	c := s.conn
	if c == nil || c.ended || c.tls == nil {
		defer s.mu.Unlock()
		return nil, &StateError{Op: "keying material", Have: s.state.String(), Want: "encrypted"}
	}
	conn := c.tls
	s.mu.Unlock()
	material, err := export(conn)
	if errors.Is(err, tlsengine.ErrNoMaterial) {
		return nil, &UnsupportedError{Field: what, Why: "this connection has none"}
	}
	return material, err
}
