package session

import (
	"context"
	"errors"
	"net/netip"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"securesocket/session/proxy"
)

type noProxy struct{ everywhere }

func (noProxy) CheckName(_ string, t Target) error {
	if t.Name == "proxy.test" {
		return errors.New("denied")
	}
	return nil
}

type countingResolver struct{ n atomic.Int32 }

func (r *countingResolver) LookupNetIP(context.Context, string, string) ([]netip.Addr, error) {
	r.n.Add(1)
	return []netip.Addr{netip.MustParseAddr("127.0.0.1")}, nil
}

// What the policy refuses by its name alone is refused before a packet leaves: of a proxy too.
func TestRefusedProxyAsksNoNameServer(t *testing.T) {
	t.Parallel()
	names := new(countingResolver)
	r := NewRegistry(Config{Egress: noProxy{}, Resolver: names})
	t.Cleanup(r.Close)
	s, _, _, err := r.Create("owner", Settings{Proxy: &Proxy{Target: Target{Name: "proxy.test", Port: 3128}, Config: proxy.Config{Kind: proxy.HTTPConnect}}}, false, Request{})
	require.NoError(t, err)
	a, err := s.Begin(ConnectArgs{Target: Target{Name: "secret-target.test", Port: 443}}, Request{}, false)
	require.NoError(t, err)
	require.ErrorAs(t, a.Wait(t.Context()), new(*PolicyError))
	require.Zero(t, names.n.Load(), "the target's name was asked for")
}
