package egress

import (
	"errors"
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"
)

// verdict names what an error of CheckName or CheckAddr says: "" is allowed.
func verdict(t require.TestingT, err error) string {
	if err == nil {
		return ""
	}
	var d *DeniedError
	require.True(t, errors.As(err, &d), "%v is no DeniedError", err)
	require.NotEmpty(t, d.Rule)
	require.NotEmpty(t, d.Subject)
	require.NotEmpty(t, d.Remedy)
	require.NotEmpty(t, d.Error())
	return d.Rule
}

// judge asks about an address that the caller gave as a literal.
func judge(t require.TestingT, p *Policy, addr netip.Addr, port uint16) string {
	return verdict(t, p.CheckAddr("", Target{Addr: addr}, netip.AddrPortFrom(addr, port)))
}

func policy(t *testing.T, cfg Config) *Policy {
	t.Helper()
	p, err := New(cfg)
	require.NoError(t, err)
	return p
}

func addr(s string) netip.Addr { return netip.MustParseAddr(s) }

// filePolicy adds a policy file to cfg.
func filePolicy(t *testing.T, cfg Config, text string) *Policy {
	t.Helper()
	f, err := ParseFile("policy.yaml", []byte(text))
	require.NoError(t, err)
	cfg.File = f
	return policy(t, cfg)
}
