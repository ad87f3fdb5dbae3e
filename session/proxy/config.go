package proxy

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"strings"

	"securesocket/tlsengine/secret"
)

// Kind is what a proxy speaks. The numbers are the wire's; zero is none.
type Kind int32

// The kinds.
const (
	HTTPConnect Kind = 1 // RFC 9110, section 9.3.6
	SOCKS5      Kind = 2 // RFC 1928
)

func (k Kind) String() string {
	switch k {
	case HTTPConnect:
		return "HTTP"
	case SOCKS5:
		return "SOCKS5"
	}
	return "unknown"
}

// maxCredential is RFC 1929's, which has one byte for the length. It holds for
// HTTP too, where a limit is ours to choose.
const maxCredential = 255

// Config is how a proxy is asked. It prints neither its username, which with some
// providers is the key, nor its password.
type Config struct {
	// Kind is what the proxy speaks. Required.
	Kind Kind
	// Username, and Password with it, are for the proxy: HTTP's Basic (RFC 7617) or
	// SOCKS's (RFC 1929). Empty: none are sent. At most 255 bytes each; HTTP takes
	// no control characters, and no colon in the username; SOCKS takes no empty
	// password.
	Username string
	Password secret.Bytes // as Username says
}

// Validate returns a [ConfigError], or nil if the proxy can be asked in this way.
func (c Config) Validate() error {
	if c.Kind != HTTPConnect && c.Kind != SOCKS5 {
		return &ConfigError{"kind", "there is no such kind of proxy"}
	}
	for _, f := range []struct {
		name  string
		value []byte
	}{{"username", []byte(c.Username)}, {"password", c.Password.Expose()}} {
		if len(f.value) > maxCredential {
			return &ConfigError{f.name, fmt.Sprintf("is longer than %d bytes", maxCredential)}
		}
		// RFC 7617, section 2.
		if c.Kind == HTTPConnect && bytes.ContainsFunc(f.value, func(r rune) bool { return r < ' ' || r == 0x7f }) {
			return &ConfigError{f.name, "has a control character"}
		}
	}
	switch {
	case c.Kind == HTTPConnect && strings.Contains(c.Username, ":"):
		return &ConfigError{"username", "has a colon, which ends the username (RFC 7617)"}
	case c.Username == "" && c.Password.Len() > 0:
		return &ConfigError{"username", "is missing; a password alone is not sent"}
	case c.Kind == SOCKS5 && c.Username != "" && c.Password.Len() == 0:
		return &ConfigError{"password", "is missing; SOCKS has no empty one (RFC 1929)"}
	}
	return nil
}

// basic is the credentials as HTTP has them, to be cleared.
func (c Config) basic() []byte {
	plain := slices.Concat([]byte(c.Username), []byte(":"), c.Password.Expose())
	defer clear(plain)
	return base64.StdEncoding.AppendEncode(nil, plain)
}

// echoed says whether s, from which outer spaces may be gone, holds the password,
// which a proxy may have put there.
func (c Config) echoed(s string) bool {
	if c.Password.Len() == 0 {
		return false
	}
	basic := c.basic()
	defer clear(basic)
	return bytes.Contains([]byte(s), bytes.TrimSpace(c.Password.Expose())) || bytes.Contains([]byte(s), basic)
}

// String tells which credentials there are, and nothing of them.
func (c Config) String() string {
	return fmt.Sprintf("Config{kind: %s, username: %t, password: %t}", c.Kind, c.Username != "", c.Password.Len() > 0)
}

// GoString is String.
func (c Config) GoString() string { return c.String() }

// Format writes String, whatever the verb.
func (c Config) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(c.String())) }

// MarshalJSON returns String: a Config does not travel as JSON.
func (c Config) MarshalJSON() ([]byte, error) { return json.Marshal(c.String()) }

// LogValue is String.
func (c Config) LogValue() slog.Value { return slog.StringValue(c.String()) }
