package tlsengine

import (
	"crypto/tls"
	"fmt"
)

// Group is a key exchange group.
type Group struct {
	ID   uint16 // IANA's number
	Name string // IANA's name, such as "x25519"
	// Hybrid groups join a classic key exchange and ML-KEM; TLS 1.3 alone has them.
	Hybrid bool
}

// groups are those that crypto/tls offers by default, most preferred first.
var groups = []Group{
	{uint16(tls.X25519MLKEM768), "X25519MLKEM768", true},
	{uint16(tls.SecP256r1MLKEM768), "SecP256r1MLKEM768", true},
	{uint16(tls.SecP384r1MLKEM1024), "SecP384r1MLKEM1024", true},
	{uint16(tls.X25519), "x25519", false},
	{uint16(tls.CurveP256), "secp256r1", false},
	{uint16(tls.CurveP384), "secp384r1", false},
	{uint16(tls.CurveP521), "secp521r1", false},
}

// Groups lists every group that can be negotiated, most preferred first. The slice is the caller's.
func Groups() []Group { return append([]Group(nil), groups...) }

// GroupByName finds a group by IANA's name.
func GroupByName(name string) (Group, bool) {
	for _, g := range groups {
		if g.Name == name {
			return g, true
		}
	}
	return Group{}, false
}

// GroupByID finds a group by IANA's number.
func GroupByID(id uint16) (Group, bool) {
	for _, g := range groups {
		if g.ID == id {
			return g, true
		}
	}
	return Group{}, false
}

func (s *settings) setGroups(ids []uint16) error {
	if ids == nil {
		return nil
	}
	usable := false
	for _, id := range ids {
		g, ok := GroupByID(id)
		if !ok {
			return &ConfigError{"Groups", fmt.Sprintf("0x%04x is not implemented", id)}
		}
		usable = usable || !g.Hybrid || s.max >= tls.VersionTLS13
		s.groups = append(s.groups, tls.CurveID(id))
	}
	if !usable {
		return &ConfigError{"Groups", "has none for the protocol versions that are allowed"}
	}
	return nil
}
