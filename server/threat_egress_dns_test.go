package server_test

import (
	"net/netip"
	"runtime/metrics"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/net/dns/dnsmessage"

	pb "securesocket/gen/securesocket/v1"
	"securesocket/server"
	"securesocket/server/egress"
	"securesocket/server/servertest"
	"securesocket/server/servertest/hostiledns"
	"securesocket/session"
	"securesocket/session/proxy/proxytest"
)

// The two sides of a name that is rebound.
const (
	outsideAddr = "93.184.216.34"
	insideAddr  = "127.0.0.1"
)

// reasonsOf connects one session after the other, by several callers beside each
// other, and counts what came of it.
func reasonsOf(t *testing.T, c pb.SecureSocketServiceClient, connects int, settings *pb.SessionSettings, host string, port int32) map[string]int {
	t.Helper()
	const callers = 8
	var mu sync.Mutex
	reasons := make(map[string]int)
	var wg sync.WaitGroup
	for i := range callers {
		host := strconv.Itoa(i) + "." + host // those who ask about one name at once share the answer
		s := newIdle(t.Context(), t, c, nil, settings)
		wg.Go(func() {
			for range connects / callers {
				_, err := c.Connect(t.Context(), &pb.ConnectRequest{SessionId: s.id, Host: host, Port: port, Plain: true})
				reason := infoReason(err)
				mu.Lock()
				reasons[reason]++
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	return reasons
}

// Threat 7. A name that leads outside and inside in turn, 10,000 times: each connect
// asks once and dials what it judged. No socket is about to reach the inside, and a
// listener there hears of nobody.
func TestThreat07Rebinding(t *testing.T) {
	t.Parallel()
	connects := 10_000
	if raceEnabled {
		connects = 2_000
	}
	heard, connections := countingPeer(t)
	_, port := hostPort(t, heard)
	ns := hostiledns.Start(t, func(hostiledns.Question) hostiledns.Reply {
		return hostiledns.Alternating([]string{outsideAddr}, []string{insideAddr})
	})
	w, watched := watchSockets(func(ap netip.AddrPort) bool { return ap.Addr().IsLoopback() })
	c := servertest.Start(t, servertest.AllowEgress(t), watched, resolvedBy(ns)).Client(t)
	one := &pb.SessionSettings{Tcp: &pb.TcpSettings{AddressFamily: pb.AddressFamily_ADDRESS_FAMILY_IPV4}}
	reasons := reasonsOf(t, c, connects, one, "rebound.example", port)
	require.Equal(t, connects/2, reasons["EGRESS_DENIED"], "%v", reasons)
	require.EqualValues(t, connects, ns.Queries(), "one question for a connect")
	outside := netip.AddrPortFrom(netip.MustParseAddr(outsideAddr), uint16(port)) //nolint:gosec // a port
	require.Equal(t, connects/2, w.passedTo(outside))
	require.Equal(t, connects/2, w.attempts())
	w.requireNothingInside(t, notPublic)
	require.Zero(t, connections.Load())
}

// The same with both families, whose answers come in any order: A outside and AAAA
// inside are a mixed answer.
func TestThreat07RebindingOfBothFamilies(t *testing.T) {
	t.Parallel()
	heard, connections := countingPeer(t)
	_, port := hostPort(t, heard)
	var nth atomic.Int64
	ns := hostiledns.Start(t, func(hostiledns.Question) hostiledns.Reply {
		return hostiledns.Addresses([][]string{
			{outsideAddr, "2606:4700::1111"}, {insideAddr, "::1"}, {outsideAddr, "::ffff:127.0.0.1"}, {"10.0.0.1", "64:ff9b::7f00:1"},
		}[nth.Add(1)*7%4]...)
	})
	w, watched := watchSockets(func(ap netip.AddrPort) bool { return ap.Addr().IsLoopback() })
	c := servertest.Start(t, servertest.AllowEgress(t), watched, resolvedBy(ns)).Client(t)
	require.Positive(t, reasonsOf(t, c, 1_000, nil, "rebound.example", port)["EGRESS_DENIED"])
	w.requireNothingInside(t, notPublic)
	require.Zero(t, connections.Load())
}

// Threat 8. A name with addresses inside and outside.
func TestThreat08MixedAnswers(t *testing.T) {
	t.Parallel()
	many := []string{"10.0.0.1", "::1", insideAddr, "192.168.0.1", "fd00::1", "169.254.169.254"}
	for i := range 30 {
		many = append(many, netip.AddrFrom4([4]byte{10, 1, 1, byte(i)}).String())
	}
	replies := map[string]hostiledns.Reply{
		"mixed.example":  hostiledns.Addresses(outsideAddr, insideAddr, "fd00::1"),
		"last.example":   hostiledns.OverTCP(hostiledns.Addresses(append(many, outsideAddr)...)),
		"inside.example": hostiledns.Addresses(insideAddr, "::1"),
		"alias.example":  hostiledns.CNAMEChain(3, insideAddr, outsideAddr),
	}
	ns := hostiledns.Start(t, func(q hostiledns.Question) hostiledns.Reply { return replies[q.Name] })
	outside := netip.MustParseAddrPort(outsideAddr + ":443")
	for text, lenient := range map[string]bool{"{}": false, "mixed_answers: deny": false, "mixed_answers: first_allowed": true} {
		t.Run(text, func(t *testing.T) {
			t.Parallel()
			w, watched := watchSockets(nil)
			_, policy := underPolicy(policyOf(t, text))
			svc := servertest.Start(t, policy, watched, resolvedBy(ns))
			all, d := ways(t, svc), pb.NewDiagnosticServiceClient(svc.Dial(t))
			reached := 0
			for _, host := range []string{"mixed.example", "last.example", "alias.example", "inside.example"} {
				allowed := lenient && host != "inside.example"
				for _, way := range []string{"Connect", "Open", "Probe", "as a proxy"} {
					require.Equal(t, allowed, all[way](host, 443) != "EGRESS_DENIED", "%s %s", way, host)
				}
				if allowed {
					reached += 4
				}
				resp, err := d.ExplainPolicy(t.Context(), &pb.ExplainPolicyRequest{Host: host, Port: 443})
				require.NoError(t, err)
				require.Equal(t, allowed, resp.GetAllowed(), "%s: what is explained is what is done", host)
			}
			require.Equal(t, reached, w.passedTo(outside))
			require.Equal(t, reached, w.attempts(), "what is refused is not tried")
		})
	}
}

// A caller is not told of the addresses that were left out; the proxy neither.
func TestThreat08LeftOutIsNotTold(t *testing.T) {
	t.Parallel()
	p := proxytest.StartSOCKS5(t)
	w, watched := watchSockets(func(ap netip.AddrPort) bool { return ap.String() == p.Addr() })
	_, policy := underPolicy(policyOf(t, "mixed_answers: first_allowed", func(c *egress.Config) { c.Allow = []string{p.Addr()} }))
	ns := hostiledns.Start(t, func(hostiledns.Question) hostiledns.Reply { return hostiledns.Addresses("10.7.7.7", "192.0.2.77") })
	c := servertest.Start(t, policy, watched, resolvedBy(ns)).Client(t)
	k := start(t.Context(), t, c, openFrame(&pb.Open{Host: "inside.example", Port: 443, AttachSeq: 1, Settings: proxyKind{kind: pb.ProxySettings_KIND_SOCKS5}.via(t, p.Addr())}))
	require.NoError(t, k.end())
	require.Equal(t, pb.ErrorReason_ERROR_REASON_EGRESS_DENIED, k.closed().GetFailure().GetReason())
	require.NotContains(t, k.kinds(), "host_found")
	require.Empty(t, p.Targets())

	k = start(t.Context(), t, c, openFrame(&pb.Open{Host: "inside.example", Port: 443, AttachSeq: 1}))
	require.NoError(t, k.end())
	for _, e := range k.events {
		require.NotContains(t, e.String(), "10.7.7.7")
	}
	require.Zero(t, w.attempts())
}

// Threat 9. What a name server can do, and what callers are told of it. Nothing of
// it is waited for beyond the DNS clock.
func TestThreat09HostileNameServer(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		reply   hostiledns.Reply
		reason  string
		sockets int // at most, where nothing is denied
	}{
		"NXDOMAIN":             {hostiledns.Code(dnsmessage.RCodeNameError), "HOST_NOT_FOUND", 0},
		"SERVFAIL":             {hostiledns.Code(dnsmessage.RCodeServerFailure), "DNS_FAILURE", 0},
		"REFUSED":              {hostiledns.Code(dnsmessage.RCodeRefused), "DNS_FAILURE", 0},
		"no address":           {hostiledns.Addresses(), "HOST_NOT_FOUND", 0},
		"CNAME loop":           {hostiledns.CNAMELoop(), "HOST_NOT_FOUND", 0},
		"compression loop":     {hostiledns.PointerLoop(), "DNS_FAILURE", 0},
		"broken off":           {hostiledns.BrokenOff(), "DNS_FAILURE", 0},
		"silence":              {nil, "CONNECT_TIMEOUT", 0},
		"garbage":              {hostiledns.Garbage(), "CONNECT_TIMEOUT", 0},
		"wrong ID":             {hostiledns.WrongID(hostiledns.Addresses(insideAddr)), "CONNECT_TIMEOUT", 0},
		"wrong question":       {hostiledns.WrongQuestion(hostiledns.Addresses(insideAddr)), "CONNECT_TIMEOUT", 0},
		"truncated for ever":   {hostiledns.Truncated(), "HOST_NOT_FOUND", 0},
		"too late":             {hostiledns.Late(time.Hour, hostiledns.Addresses(outsideAddr)), "CONNECT_TIMEOUT", 0},
		"forged before it":     {hostiledns.Flood(50, hostiledns.Addresses(outsideAddr)), "NETWORK_UNREACHABLE", 1},
		"64 KiB":               {hostiledns.Huge(outsideAddr), "NETWORK_UNREACHABLE", 1},
		"a thousand addresses": {hostiledns.Many(1000), "NETWORK_UNREACHABLE", 16},
		"a hundred aliases":    {hostiledns.CNAMEChain(100, outsideAddr), "NETWORK_UNREACHABLE", 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ns := hostiledns.Start(t, func(hostiledns.Question) hostiledns.Reply { return tc.reply })
			w, watched := watchSockets(nil)
			clock := patience // for an answer
			if tc.reason == "CONNECT_TIMEOUT" {
				clock = 500 * time.Millisecond
			}
			c := servertest.Start(t, servertest.AllowEgress(t), watched, resolvedBy(ns), dnsClock(clock)).Client(t)
			s := newIdle(t.Context(), t, c, nil)
			_, err := c.Connect(t.Context(), &pb.ConnectRequest{SessionId: s.id, Host: "flood.example", Port: 443})
			reason, metadata := infoOf(t, err)
			require.Equal(t, tc.reason, reason)
			if tc.sockets == 0 {
				require.Equal(t, "dns", metadata["phase"])
			}
			require.LessOrEqual(t, w.attempts(), tc.sockets)
			require.Equal(t, tc.sockets > 0, w.attempts() > 0)
			require.Positive(t, ns.Queries())
		})
	}
}

// dnsClock gives name servers less than the default: a test has no time.
func dnsClock(d time.Duration) servertest.Option {
	return func(sc *session.Config, _ *server.Config) { sc.DNSTimeout = d }
}

// Control characters of a name server's reach neither the caller nor the log.
func TestThreat09ControlCharacters(t *testing.T) {
	t.Parallel()
	ns := hostiledns.Start(t, func(hostiledns.Question) hostiledns.Reply { return hostiledns.ControlCharacters(outsideAddr) })
	_, watched := watchSockets(nil)
	log, logged := noted()
	c := servertest.Start(t, servertest.AllowEgress(t), watched, resolvedBy(ns), logged).Client(t)
	k := start(t.Context(), t, c, openFrame(&pb.Open{Host: "flood.example", Port: 443, AttachSeq: 1}))
	require.NoError(t, k.end())
	for _, e := range k.events {
		require.NotContains(t, e.String(), "[2J")
	}
	require.Eventually(t, func() bool { return log.has("connection closed") }, patience, time.Millisecond)
	require.False(t, log.has("[2J") || log.has("\x1b"))
}

// What the answers of a thousand questions hold is let go: 64 KiB each.
func TestThreat09MemoryIsBounded(t *testing.T) { //nolint:paralleltest // it measures the heap
	ns := hostiledns.Start(t, func(hostiledns.Question) hostiledns.Reply { return hostiledns.Huge(outsideAddr) })
	_, watched := watchSockets(nil)
	c := servertest.Start(t, servertest.AllowEgress(t), watched, resolvedBy(ns)).Client(t)
	reasonsOf(t, c, 80, nil, "flood.example", 443) // what is allocated once
	before := heap()
	alive := liveHeap()
	var most atomic.Uint64
	stop := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			most.Store(max(most.Load(), liveHeap()))
			select {
			case <-stop:
				return
			case <-time.After(5 * time.Millisecond):
			}
		}
	})
	reasonsOf(t, c, 1_000, nil, "flood.example", 443)
	close(stop)
	wg.Wait()
	require.Less(t, most.Load(), alive+64<<20, "at its highest")
	require.Less(t, heap(), before+8<<20, "afterwards")
}

// liveHeap is what the last collection found to be in use.
func liveHeap() uint64 {
	sample := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}
