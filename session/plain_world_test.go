package session

import (
	"net"
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"
)

// everywhere lets callers dial and listen wherever they want.
type everywhere struct{}

func (everywhere) CheckName(string, Target) error                 { return nil }
func (everywhere) FirstAllowed() bool                             { return false }
func (everywhere) Revision() string                               { return "" }
func (everywhere) CheckAddr(string, Target, netip.AddrPort) error { return nil }
func (everywhere) CheckListen(netip.AddrPort) error               { return nil }
func (everywhere) ListenPorts(netip.Addr) []PortRange             { return []PortRange{{1, 65535}} }

// plainSession is one that is connected in plain mode, and its peer.
func plainSession(t *testing.T, set Settings) (*Session, net.Conn) {
	t.Helper()
	r := NewRegistry(Config{Egress: everywhere{}, Listening: everywhere{}})
	t.Cleanup(r.Close)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	s, _, _, err := r.Create("owner", set, false, Request{})
	require.NoError(t, err)
	ap := netip.MustParseAddrPort(l.Addr().String())
	a, err := s.Begin(ConnectArgs{Target: Target{Addr: ap.Addr(), Port: int(ap.Port())}, Plain: true}, Request{}, false)
	require.NoError(t, err)
	peer, err := l.Accept()
	require.NoError(t, err)
	t.Cleanup(func() { _ = peer.Close() })
	require.NoError(t, a.Wait(t.Context()))
	return s, peer
}

func listening(t *testing.T, set Settings) (*Registry, *Listener) {
	t.Helper()
	r := NewRegistry(Config{Egress: everywhere{}, Listening: everywhere{}})
	t.Cleanup(r.Close)
	l, _, err := r.Listen(t.Context(), "owner", ListenArgs{Addr: netip.MustParseAddrPort("127.0.0.1:0"), Settings: set}, Request{})
	require.NoError(t, err)
	return r, l
}

func dialListener(t *testing.T, l *Listener) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", l.local.String())
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}
