package server_test

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/netip"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	pb "securesocket/gen/securesocket/v1"
	"securesocket/server"
	"securesocket/server/servertest"
	"securesocket/session"
	"securesocket/tlsengine/tlstest"
)

// specialIPv4 are the blocks of IANA's special-purpose registry that are not
// globally reachable, and what is as bad.
var specialIPv4 = []string{
	"0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/29",
	"192.0.0.8/32", "192.0.0.170/31", "192.0.2.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24",
	"203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4", "255.255.255.255/32", "192.88.99.2/32", "168.63.129.16/32", "100.100.100.200/32",
}

var specialIPv6 = []string{
	"::/128", "::1/128", "::ffff:0:0/96", "100:0:0:1::/64", "2001::/23", "2001:10::/28", "64:ff9b:1::/48", "100::/64", "2001::/32", "2001:2::/48", "2001:db8::/32",
	"2002::/16", "3fff::/20", "5f00::/16", "fc00::/7", "fe80::/10", "fec0::/10", "ff00::/8", "fd00:ec2::254/128",
}

func firstAndLast(cidr string) []netip.Addr {
	p := netip.MustParsePrefix(cidr)
	b := p.Addr().AsSlice()
	for i := p.Bits(); i < p.Addr().BitLen(); i++ {
		b[i/8] |= 0x80 >> (i % 8)
	}
	last, _ := netip.AddrFromSlice(b)
	return []netip.Addr{p.Addr(), last}
}

// embeddings writes an IPv4 address in every way that IPv6 has for it.
func embeddings(v4 netip.Addr) []string {
	a := v4.As4()
	hex := fmt.Sprintf("%02x%02x:%02x%02x", a[0], a[1], a[2], a[3])
	inverted := fmt.Sprintf("%02x%02x:%02x%02x", ^a[0], ^a[1], ^a[2], ^a[3])
	return []string{
		"::ffff:" + v4.String(),          // mapped
		"::" + v4.String(),               // compatible
		"::ffff:0:" + hex,                // SIIT
		"64:ff9b::" + hex,                // NAT64
		"64:ff9b:1::" + hex,              // local NAT64
		"2002:" + hex + "::1",            // 6to4
		"2001:0:808:808:0:0:" + inverted, // Teredo's client
		"2600:1f00::5efe:" + hex,         // ISATAP
	}
}

// refuse asks for a target and requires that the policy refuses it before
// anything is dialled.
func refuse(t *testing.T, c pb.SecureSocketServiceClient, host string) {
	t.Helper()
	k := start(t.Context(), t, c, openFrame(&pb.Open{Host: host, Port: 443, AttachSeq: 1}))
	require.NoError(t, k.end(), host)
	require.Equal(t, []string{"security_error", "closed"}, without(k.kinds(), "HOST_LOOKUP", "UNCONNECTED"), host)
	require.Equal(t, pb.ErrorReason_ERROR_REASON_EGRESS_DENIED, k.events[len(k.events)-1].GetClosed().GetFailure().GetReason(), host)
	require.Equal(t, pb.CloseCause_CLOSE_CAUSE_POLICY, k.closed().GetCause())
	require.NotEmpty(t, k.event("security_error").GetSecurityError().GetRuleId())
}

func without(in []string, drop ...string) (out []string) {
	for _, s := range in {
		keep := true
		for _, d := range drop {
			keep = keep && s != d
		}
		if keep {
			out = append(out, s)
		}
	}
	return out
}

func TestSpecialAddressesAreRefusedInEverySpelling(t *testing.T) {
	t.Parallel()
	var dials atomic.Int64
	c := servertest.Start(t, servertest.AllowEgress(t), func(sc *session.Config, _ *server.Config) {
		sc.Dial = func(context.Context, *net.Dialer, string) (net.Conn, error) {
			dials.Add(1)
			return nil, net.ErrClosed
		}
	}).Client(t)
	for _, cidr := range specialIPv4 {
		for _, a := range firstAndLast(cidr) {
			refuse(t, c, a.String())
			for _, e := range embeddings(a) {
				refuse(t, c, e)
			}
		}
	}
	for _, cidr := range specialIPv6 {
		for _, a := range firstAndLast(cidr) {
			refuse(t, c, a.StringExpanded())
		}
	}
	refuse(t, c, "localhost")
	refuse(t, c, "LocalHost")
	refuse(t, c, "sub.localhost")
	refuse(t, c, "metadata.google.internal")
	require.Zero(t, dials.Load())
	for _, spelling := range []string{"127.1", "2130706433", "0177.0.0.1", "0x7f.1", "0x7f000001", "127.0.0.1.", "１２７.0.0.1", "127。0。0。1"} {
		k := start(t.Context(), t, c, openFrame(&pb.Open{Host: spelling, Port: 443, AttachSeq: 1}))
		require.Equal(t, nameOf(pb.ErrorReason_ERROR_REASON_HOST_SYNTAX), reasonOf(t, k.end()), spelling)
	}
}

// The last check is on the address that the socket is about to connect to, wherever it
// comes from.
func TestWhatIsDialledIsJudged(t *testing.T) {
	t.Parallel()
	for name, sources := range map[string]session.Sources{"from anywhere": {}, "from the operator's address": fromSource} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			addr, dialled := countingPeer(t)
			c := servertest.Start(t, servertest.AllowEgress(t), func(sc *session.Config, _ *server.Config) {
				sc.Sources, sc.Resolver = sources, addressList{"93.184.216.34"}
				sc.Dial = func(ctx context.Context, d *net.Dialer, judged string) (net.Conn, error) {
					if judged != "93.184.216.34:443" {
						t.Errorf("judged %s", judged)
					}
					return d.DialContext(ctx, "tcp", addr) // as if the address had changed meanwhile
				}
			}).Client(t)
			k := start(t.Context(), t, c, openFrame(&pb.Open{Host: "outside.example", Port: 443}))
			require.NoError(t, k.end())
			require.Equal(t, pb.ErrorReason_ERROR_REASON_EGRESS_DENIED, k.closed().GetFailure().GetReason())
			require.Contains(t, k.kinds(), "security_error")
			require.Zero(t, dialled.Load())
		})
	}
}

// countingPeer counts who dials it.
func countingPeer(tb testing.TB) (string, *atomic.Int64) {
	tb.Helper()
	var dialled atomic.Int64
	addr := tlstest.ServeRaw(tb, func(c net.Conn) { dialled.Add(1); _ = c.Close() })
	return addr, &dialled
}

func TestNamesThatLeadInsideAreRefusedWithoutDialling(t *testing.T) {
	t.Parallel()
	addr, dialled := countingPeer(t)
	_, port := hostPort(t, addr)
	answers := map[string][]string{
		"inside.example": {"127.0.0.1"},
		"mixed.example":  {"93.184.216.34", "127.0.0.1"},
		"mapped.example": {"::ffff:127.0.0.1"},
		"nat64.example":  {"64:ff9b::7f00:1"},
	}
	ns := serveDNS(t, func(name string, nth int64) []string {
		if name == "rebind.example" {
			return []string{[]string{"93.184.216.34", "127.0.0.1"}[nth%2]}
		}
		return answers[name]
	})
	c := servertest.Start(t, servertest.AllowEgress(t), func(sc *session.Config, _ *server.Config) {
		sc.Resolver = ns.resolver()
		sc.Dial = func(ctx context.Context, d *net.Dialer, addr string) (net.Conn, error) {
			if !netip.MustParseAddrPort(addr).Addr().IsLoopback() {
				return nil, net.ErrClosed // a test leaves this machine alone
			}
			return d.DialContext(ctx, "tcp", addr)
		}
	}).Client(t)
	for name := range answers {
		k := start(t.Context(), t, c, openFrame(&pb.Open{Host: name, Port: port, AttachSeq: 1}))
		require.NoError(t, k.end())
		failure := k.closed().GetFailure()
		require.Equal(t, pb.ErrorReason_ERROR_REASON_EGRESS_DENIED, failure.GetReason(), name)
		for key, value := range failure.GetMetadata() {
			require.NotContains(t, value, "127.0.0.1", "%s tells about the inside", key)
		}
		require.Empty(t, without(k.kinds(), "HOST_LOOKUP", "UNCONNECTED", "security_error", "closed"))
	}
	// A name that leads outside at first is asked once, and judged by that.
	for range 4 {
		k := start(t.Context(), t, c, openFrame(&pb.Open{Host: "rebind.example", Port: port, Settings: &pb.SessionSettings{
			Tcp: &pb.TcpSettings{AddressFamily: pb.AddressFamily_ADDRESS_FAMILY_IPV4},
		}}))
		require.NoError(t, k.end())
	}
	require.Positive(t, ns.queries.Load())
	require.Zero(t, dialled.Load())
}

func TestAllowedNameLeadsInside(t *testing.T) {
	t.Parallel()
	ca := tlstest.NewCA(t)
	addr := tlstest.Serve(t, serverConfig(ca.Leaf(tlstest.Names("inside.example"))), tlstest.Echo)
	_, port := hostPort(t, addr)
	ns := serveDNS(t, func(string, int64) []string { return []string{"127.0.0.1"} })
	svc := servertest.Start(t, servertest.AllowEgress(t, "inside.example"),
		func(sc *session.Config, _ *server.Config) { sc.Resolver = ns.resolver() })
	k := open(t, svc.Client(t), net.JoinHostPort("inside.example", fmt.Sprint(port)), ca)
	require.Equal(t, "inside.example", k.secure().GetTls().GetServerName())

	// Another name at the same address is not allowed with it.
	k = start(t.Context(), t, svc.Client(t), openFrame(&pb.Open{Host: "other.example", Port: port, AttachSeq: 1}))
	require.NoError(t, k.end())
	require.Equal(t, pb.ErrorReason_ERROR_REASON_EGRESS_DENIED, k.closed().GetFailure().GetReason())
}

func serverConfig(id *tlstest.Identity) *tls.Config {
	return &tls.Config{Certificates: []tls.Certificate{id.Certificate()}}
}
