package flashpolicy

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestOrigin(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		domain, origin string
		covers         bool
	}{
		{"*", "", true},
		{"*", "example.com", true},
		{"*", "192.0.2.1", true},
		{"example.com", "example.com", true},
		{"Example.COM.", "eXample.com", true},
		{"example.com", "example.com.", true},
		{"example.com", "www.example.com", false},
		{"www.example.com", "example.com", false},
		{"example.com", "", false},
		{"*.example.com", "www.example.com", true},
		{"*.example.com", "a.b.example.com", true},
		{"*.example.com", "example.com", true},
		{"*.example.com", "badexample.com", false},
		{"*.example.com", "example.com.evil.example", false},
		{"*.example.com", "", false},
		{"*.", "example.com", false},
		{"*..", "example.com", false},
		{"**", "example.com", false},
		{"*example.com", "www.example.com", false},
		{"www.*", "www.example.com", false},
		{"www.ex*.com", "www.example.com", false},
		{"http://example.com", "example.com", false},
		{"192.0.2.1", "192.0.2.1", true},
		{"::ffff:192.0.2.1", "192.0.2.1", true},
		{"192.0.2.1", "::ffff:192.0.2.1", true},
		{"2001:DB8:0::1", "2001:db8::1", true},
		{"*.2.1", "192.0.2.1", false},
		{"192.0.2.*", "192.0.2.1", false},
		{"192.0.2.1", "example.com", false},
	} {
		c, err := New(Config{Origin: tc.origin})
		require.NoError(t, err)
		f, err := parse([]byte(inside(`<allow-access-from domain="` + tc.domain + `" to-ports="5000"/>`)))
		require.NoError(t, err)
		require.Equal(t, tc.covers, f.allows(c.origin, masterPort, 5000), "%q for %q", tc.domain, tc.origin)
	}
}

// TestSecureOrigin: secure="true" is for an origin that is.
func TestSecureOrigin(t *testing.T) {
	t.Parallel()
	for secure, attribute := range map[bool]string{true: ` secure="true"`, false: ` secure="false"`} {
		f, err := parse([]byte(inside(`<allow-access-from domain="*" to-ports="*"` + attribute + `/>`)))
		require.NoError(t, err)
		for _, is := range []bool{false, true} {
			c, err := New(Config{SecureOrigin: is})
			require.NoError(t, err)
			require.Equal(t, is || !secure, f.allows(c.origin, masterPort, 443))
		}
	}
}
