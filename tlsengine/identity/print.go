package identity

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log/slog"
	"strconv"
)

// shown is the public half, for whoever prints an identity. It holds nothing that a certificate's subject could choose.
type shown struct {
	SPKISHA256   string `json:"spki_sha256"`
	Certificates int    `json:"certificates"`
	Ref          string `json:"identity_ref,omitempty"`
	CallerHeld   bool   `json:"caller_held,omitempty"`
}

func (i *Identity) shown() shown {
	if i == nil || len(i.chain) == 0 {
		return shown{}
	}
	sum := i.SPKISHA256()
	return shown{SPKISHA256: hex.EncodeToString(sum[:]), Certificates: len(i.chain), Ref: i.ref, CallerHeld: i.callerHeld}
}

// String returns the public half.
func (i *Identity) String() string {
	s := i.shown()
	return fmt.Sprintf("Identity{spki_sha256: %s, certificates: %d, identity_ref: %s, caller_held: %t}",
		s.SPKISHA256, s.Certificates, strconv.QuoteToASCII(s.Ref), s.CallerHeld)
}

// GoString returns the public half.
func (i *Identity) GoString() string { return i.String() }

// Format writes the public half, whatever the verb.
func (i *Identity) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(i.String())) }

// MarshalJSON returns the public half.
func (i *Identity) MarshalJSON() ([]byte, error) { return json.Marshal(i.shown()) }

// LogValue returns the public half.
func (i *Identity) LogValue() slog.Value {
	s := i.shown()
	return slog.GroupValue(slog.String("spki_sha256", s.SPKISHA256), slog.Int("certificates", s.Certificates),
		slog.String("identity_ref", s.Ref), slog.Bool("caller_held", s.CallerHeld))
}

// String tells how much there is of what, and nothing of it.
func (kp KeyPair) String() string {
	return fmt.Sprintf("KeyPair{certificates: %d, private_key: %t, passphrase: %t, pkcs12: %t}",
		len(kp.Chain), len(kp.PrivateKey) > 0, kp.Passphrase != "", len(kp.PKCS12) > 0)
}

// GoString is String.
func (kp KeyPair) GoString() string { return kp.String() }

// Format writes String, whatever the verb.
func (kp KeyPair) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(kp.String())) }

// MarshalJSON returns String: a key pair does not travel as JSON.
func (kp KeyPair) MarshalJSON() ([]byte, error) { return json.Marshal(kp.String()) }

// LogValue is String.
func (kp KeyPair) LogValue() slog.Value { return slog.StringValue(kp.String()) }
