package truststore

import (
	"bytes"
	"crypto/sha256"
	"fmt"

	"golang.org/x/crypto/cryptobyte"
)

// Bounds of a level that is stored.
const (
	MaxLevelBytes        = 4<<20 - 64
	MaxLevelCertificates = 4000
)

// The form of a stored level, numbers big-endian:
//
//	byte    version, 1
//	byte    1 if the level replaces, or 0
//	uint32  number of entries, and for each
//	    byte    1 if it is trusted, or 0
//	    uint24  length of the DER, and the DER
//	[32]byte SHA-256 of all the above: an anchor with a flipped bit may still parse
const levelVersion = 1

// LevelError reports a level that cannot be stored, or bytes that are not a stored level.
type LevelError struct{ Why string }

func (e *LevelError) Error() string { return "truststore: the level " + e.Why }

// MarshalBinary returns the level in a form for UnmarshalBinary, in at most MaxLevelBytes. What could not be read back is
// refused: more certificates than MaxLevelCertificates, one that ParseBundle would not take, and an anchor with a
// constraint, which would come back without it. The error is a *LevelError.
func (l Level) MarshalBinary() ([]byte, error) {
	if l.Own.Len() > MaxLevelCertificates {
		return nil, &LevelError{fmt.Sprintf("has %d certificates, at most %d are stored", l.Own.Len(), MaxLevelCertificates)}
	}
	b := cryptobyte.NewBuilder(nil)
	b.AddUint8(levelVersion)
	b.AddUint8(flag(l.Replaces))
	b.AddUint32(uint32(l.Own.Len()))
	size := 1 + 1 + 4 + sha256.Size
	for i, e := range l.Own.Entries() {
		if e.Constraint != nil {
			return nil, &LevelError{fmt.Sprintf("has an anchor with a constraint, entry %d, which cannot be stored", i)}
		}
		if _, why := parseCertificate(e.Cert.Raw); why != "" {
			return nil, &LevelError{fmt.Sprintf("cannot be stored: entry %d %s", i, why)}
		}
		if size += 1 + 3 + len(e.Cert.Raw); size > MaxLevelBytes {
			return nil, &LevelError{fmt.Sprintf("has more than %d bytes", MaxLevelBytes)}
		}
		b.AddUint8(flag(e.Trusted))
		b.AddUint24LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes(e.Cert.Raw) })
	}
	out, err := b.Bytes()
	if err != nil {
		return nil, &LevelError{"cannot be encoded"}
	}
	sum := sha256.Sum256(out)
	return append(out, sum[:]...), nil
}

// UnmarshalBinary reads what MarshalBinary wrote. It keeps nothing of b. The error is a *LevelError, and leaves the level
// as it was.
func (l *Level) UnmarshalBinary(b []byte) error {
	if len(b) > MaxLevelBytes {
		return &LevelError{fmt.Sprintf("has %d bytes, at most %d are read", len(b), MaxLevelBytes)}
	}
	if len(b) < sha256.Size {
		return &LevelError{"is cut short"}
	}
	body, want := b[:len(b)-sha256.Size], b[len(b)-sha256.Size:]
	if sum := sha256.Sum256(body); !bytes.Equal(sum[:], want) {
		return &LevelError{"is damaged: its hash does not match"}
	}
	s := cryptobyte.String(body)
	var version, replaces uint8
	var n uint32
	switch {
	case !s.ReadUint8(&version) || !s.ReadUint8(&replaces) || !s.ReadUint32(&n):
		return &LevelError{"is cut short"}
	case version != levelVersion:
		return &LevelError{fmt.Sprintf("has form %d, which this version does not read", version)}
	case replaces > 1 || n > MaxLevelCertificates:
		return &LevelError{"is malformed"}
	}
	entries := make([]Entry, 0, min(int(n), len(s)/64)) // no certificate is that short
	for i := range n {
		var trusted uint8
		var der cryptobyte.String
		if !s.ReadUint8(&trusted) || trusted > 1 || !s.ReadUint24LengthPrefixed(&der) {
			return &LevelError{fmt.Sprintf("is malformed at entry %d", i)}
		}
		cert, why := parseCertificate(der)
		if why != "" {
			return &LevelError{fmt.Sprintf("is malformed: entry %d %s", i, why)}
		}
		entries = append(entries, Entry{Cert: cert, Trusted: trusted == 1})
	}
	own := NewSet(entries...)
	if !s.Empty() || own.Len() != len(entries) {
		return &LevelError{"is malformed: bytes are left over, or a certificate is there twice"}
	}
	*l = Level{Own: own, Replaces: replaces == 1}
	return nil
}

func flag(set bool) uint8 {
	if set {
		return 1
	}
	return 0
}
