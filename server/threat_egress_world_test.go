package server_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	pb "securesocket/gen/securesocket/v1"
	"securesocket/server"
	"securesocket/server/egress"
	"securesocket/server/servertest"
	"securesocket/server/servertest/hostiledns"
	"securesocket/session"
	"securesocket/session/quota"
)

// socketWatch sees every socket that the service is about to connect, behind the
// product's own check of it, and connects none but what a test lets through.
type socketWatch struct {
	through func(netip.AddrPort) bool // nil: nothing

	mu      sync.Mutex
	dialled map[netip.AddrPort]int // was asked of session.Config.Dial
	passed  map[netip.AddrPort]int // was let through by the last check
	refused map[netip.AddrPort]int // was not
}

// errHeld keeps a socket from connecting: a test leaves the world alone.
var errHeld = errors.New("held back by the test")

// watchSockets is a service whose sockets are watched, and whose callers may turn
// to as many destinations as they like.
func watchSockets(through func(netip.AddrPort) bool) (*socketWatch, servertest.Option) {
	w := &socketWatch{
		through: through,
		dialled: make(map[netip.AddrPort]int), passed: make(map[netip.AddrPort]int), refused: make(map[netip.AddrPort]int),
	}
	return w, func(sc *session.Config, _ *server.Config) {
		sc.Dial = w.dial
		sc.Destinations = quota.Limit{PerSecond: 1 << 30}
		sc.DestinationsPerOwner = quota.Limit{PerSecond: 1 << 30}
	}
}

func (w *socketWatch) dial(ctx context.Context, d *net.Dialer, addr string) (net.Conn, error) {
	w.count(w.dialled, addr)
	watched, judge := *d, d.ControlContext
	watched.ControlContext = func(ctx context.Context, network, address string, raw syscall.RawConn) error {
		if err := judge(ctx, network, address, raw); err != nil {
			w.count(w.refused, address)
			return err
		}
		w.count(w.passed, address)
		if w.through != nil && w.through(netip.MustParseAddrPort(address)) {
			return nil
		}
		return errHeld
	}
	return watched.DialContext(ctx, "tcp", addr)
}

func (w *socketWatch) count(in map[netip.AddrPort]int, address string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	in[netip.MustParseAddrPort(address)]++
}

// passedTo returns how many sockets an address was given.
func (w *socketWatch) passedTo(addr netip.AddrPort) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.passed[addr]
}

// attempts returns how often Dial was asked.
func (w *socketWatch) attempts() (n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, times := range w.dialled {
		n += times
	}
	return n
}

// requireNothingInside requires that no socket was about to reach what is inside.
func (w *socketWatch) requireNothingInside(tb testing.TB, inside func(netip.Addr) bool) {
	tb.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	for addr := range w.passed {
		require.False(tb, inside(addr.Addr()), "%s", addr)
	}
}

// notPublic is what a test of names calls inside.
func notPublic(a netip.Addr) bool {
	return !a.IsGlobalUnicast() || a.IsPrivate()
}

// ways are the ways in which a caller can name a target. Each returns the reason
// why it is not reached.
func ways(tb testing.TB, svc *servertest.Service) map[string]func(host string, port int32) string {
	tb.Helper()
	c, d := svc.Client(tb), pb.NewDiagnosticServiceClient(svc.Dial(tb))
	connect := func(s *pb.SessionSettings, change func(*pb.ConnectRequest)) func(string, int32) string {
		return func(host string, port int32) string {
			settings := &pb.SessionSettings{}
			if s != nil {
				settings = s
			}
			idle := newIdle(tb.Context(), tb, c, nil, settings)
			req := &pb.ConnectRequest{SessionId: idle.id, Host: host, Port: port}
			change(req)
			_, err := c.Connect(tb.Context(), req)
			reason := reasonOf(tb, err)
			_, err = c.DeleteSession(tb.Context(), &pb.DeleteSessionRequest{SessionId: idle.id})
			require.NoError(tb, err)
			return reason
		}
	}
	outside := &pb.ProxySettings{Kind: pb.ProxySettings_KIND_SOCKS5, Host: "93.184.216.34", Port: 1080}
	return map[string]func(string, int32) string{
		"Connect":         connect(nil, func(*pb.ConnectRequest) {}),
		"plain Connect":   connect(nil, func(m *pb.ConnectRequest) { m.Plain = true }),
		"STARTTLS":        connect(nil, func(m *pb.ConnectRequest) { m.StartTlsProtocol = "smtp" }),
		"through a proxy": connect(&pb.SessionSettings{Proxy: outside}, func(m *pb.ConnectRequest) {}),
		"Open":            func(host string, port int32) string { return openReason(tb, c, &pb.Open{Host: host, Port: port}) },
		"plain Open": func(host string, port int32) string {
			return openReason(tb, c, &pb.Open{Host: host, Port: port, Plain: true})
		},
		"Probe": func(host string, port int32) string {
			return probeReason(tb, d, &pb.ProbeRequest{Host: host, Port: port})
		},
		"Probe by STARTTLS": func(host string, port int32) string {
			return probeReason(tb, d, &pb.ProbeRequest{Host: host, Port: port, StartTlsProtocol: "imap"})
		},
		"as a proxy": func(host string, port int32) string {
			settings := &pb.SessionSettings{Proxy: &pb.ProxySettings{Kind: pb.ProxySettings_KIND_HTTP_CONNECT, Host: host, Port: port}}
			return openReason(tb, c, &pb.Open{Host: "93.184.216.35", Port: 443, Settings: settings})
		},
	}
}

// openReason is how a stream ends that opens a session.
func openReason(tb testing.TB, c pb.SecureSocketServiceClient, m *pb.Open) string {
	tb.Helper()
	m.AttachSeq = 1
	k := start(tb.Context(), tb, c, openFrame(m))
	defer k.cancel()
	if err := k.end(); err != nil {
		return reasonOf(tb, err)
	}
	return nameOf(k.closed().GetFailure().GetReason())
}

func probeReason(tb testing.TB, d pb.DiagnosticServiceClient, m *pb.ProbeRequest) string {
	tb.Helper()
	resp, err := d.Probe(tb.Context(), m)
	if err != nil {
		return reasonOf(tb, err)
	}
	return nameOf(resp.GetFailure().GetReason())
}

// resolvedBy resolves by a hostile name server.
func resolvedBy(ns *hostiledns.Server) servertest.Option {
	return func(sc *session.Config, _ *server.Config) { sc.Resolver = ns.Resolver() }
}

// policyOf reads a policy file of a test.
func policyOf(tb testing.TB, text string, change ...func(*egress.Config)) *egress.Policy {
	tb.Helper()
	f, err := egress.ParseFile("policy.yaml", []byte(text))
	require.NoError(tb, err)
	cfg := egress.Config{File: f}
	for _, c := range change {
		c(&cfg)
	}
	p, err := egress.New(cfg)
	require.NoError(tb, err)
	return p
}

// underPolicy is a service with a policy that the test can replace.
func underPolicy(p *egress.Policy) (*egress.Live, servertest.Option) {
	live := new(egress.Live)
	live.Store(p)
	return live, func(sc *session.Config, sv *server.Config) { sc.Egress, sv.Policy = server.Egress(live), live }
}

// countingResolver knows no name, and keeps those that it was asked for.
type countingResolver struct {
	mu    sync.Mutex
	names []string
}

func (r *countingResolver) LookupNetIP(_ context.Context, _, host string) ([]netip.Addr, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.names = append(r.names, host)
	return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
}

func (r *countingResolver) asked() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.names)
}

// notes is a log that can be asked for what is in it.
type notes struct {
	mu   sync.Mutex
	text bytes.Buffer
}

// noted is a service with a log, access lines included.
func noted() (*notes, servertest.Option) {
	n := &notes{}
	log := slog.New(slog.NewTextHandler(n, &slog.HandlerOptions{Level: slog.LevelDebug}))
	return n, func(sc *session.Config, sv *server.Config) { sc.Logger, sv.Logger = log, log }
}

func (n *notes) Write(p []byte) (int, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.text.Write(p)
}

// lines are the log's lines that hold all of some texts.
func (n *notes) lines(texts ...string) (out []string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for line := range strings.Lines(n.text.String()) {
		if !slices.ContainsFunc(texts, func(s string) bool { return !strings.Contains(line, s) }) {
			out = append(out, line)
		}
	}
	return out
}

func (n *notes) has(text string) bool { return len(n.lines(text)) > 0 }
