package secret

import (
	"crypto/subtle"
	"fmt"
	"log/slog"
)

// Redacted is shown in the place of a secret, whatever its length, and of none.
const Redacted = "[redacted]"

// Bytes is a secret. The zero value is none. Copies of a Bytes share its bytes; two that compare equal with == are such
// copies, or both none.
type Bytes struct {
	box *box // nil: none
}

// box has the bytes in a closure, into which neither fmt nor a package that dumps values looks. A pointer alone would not
// do: fmt follows it where the verb does not fit.
type box struct{ content func() []byte }

// New makes a secret of b, which is its own from then on. An empty b is none.
func New(b []byte) Bytes {
	if len(b) == 0 {
		return Bytes{}
	}
	return Bytes{&box{func() []byte { return b }}}
}

// Copy makes a secret of a copy of b, which stays the caller's to clear.
func Copy(b []byte) Bytes { return New(append([]byte(nil), b...)) }

// FromString makes a secret of a copy of s, which nobody can clear.
func FromString(s string) Bytes { return New([]byte(s)) }

// Expose returns the bytes themselves: not to be modified, to be kept no longer than the secret, and all zero once Clear
// was called. None has nil.
func (b Bytes) Expose() []byte {
	if b.box == nil {
		return nil
	}
	return b.box.content()
}

// Len is how many bytes there are; it remains after Clear.
func (b Bytes) Len() int { return len(b.Expose()) }

// Equal compares with bytes from outside, in a time that depends on the lengths alone.
func (b Bytes) Equal(other []byte) bool { return subtle.ConstantTimeCompare(b.Expose(), other) == 1 }

// Clear overwrites the bytes with zeros, for all copies of this Bytes. It may be called again.
func (b Bytes) Clear() { clear(b.Expose()) }

// String returns Redacted.
func (b Bytes) String() string { return Redacted }

// GoString returns Redacted.
func (b Bytes) GoString() string { return Redacted }

// Format writes Redacted, whatever the verb.
func (b Bytes) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(Redacted)) }

// MarshalText returns Redacted: a secret does not travel as text, nor as YAML or the key of a map.
func (b Bytes) MarshalText() ([]byte, error) { return []byte(Redacted), nil }

// MarshalJSON returns Redacted as a JSON string.
func (b Bytes) MarshalJSON() ([]byte, error) { return []byte(`"` + Redacted + `"`), nil }

// LogValue returns Redacted.
func (b Bytes) LogValue() slog.Value { return slog.StringValue(Redacted) }
