package server_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	pb "securesocket/gen/securesocket/v1"
	"securesocket/server"
	"securesocket/server/servertest"
	"securesocket/session"
	"securesocket/session/quota"
	"securesocket/tlsengine/tlstest"
	"securesocket/tlsengine/truststore"
)

// abortWorld is a service, and peers at which sessions come to every state.
type abortWorld struct {
	svc         *servertest.Service
	c           abortConn // which stays
	ctx         context.Context
	descriptors *quota.Descriptors
	lapse       time.Duration // how long what nobody holds is kept: until it is aborted, on a machine that is slow
	reached     atomic.Int64
	socket      string
	given       []*pb.ExtraCertificate // to every session, and to listeners

	silent, talking, secure, flawed, full string   // addresses
	peers                                 sync.Map // the peers' ends, by their way
}

// abortConn is an HTTP/2 connection.
type abortConn struct {
	c   pb.SecureSocketServiceClient
	lc  pb.ListenerServiceClient
	cut func()
}

// abortData is what waits, in either direction.
const abortData = 100 << 10

// noAnswer is a resolver that has no answer.
type noAnswer struct{}

func (noAnswer) LookupNetIP(ctx context.Context, _, _ string) ([]netip.Addr, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

// newAbortWorld has peers whose certificates have those options.
func newAbortWorld(tb testing.TB, lapse time.Duration, leaf ...tlstest.Option) *abortWorld {
	tb.Helper()
	w := &abortWorld{ctx: tb.Context(), lapse: lapse, full: fullBacklog(tb), descriptors: quota.NewDescriptors(quota.DescriptorsConfig{Soft: 100_000, InUse: 1})}
	ca := tlstest.NewCA(tb)
	trusted := truststore.NewSet(truststore.Entry{Cert: ca.Root().Certificate, Trusted: true})
	// peer is one that can be told to reset.
	peer := func(handle func(net.Conn)) string {
		return tlstest.ServeRaw(tb, func(conn net.Conn) {
			way := wayOf(conn.RemoteAddr().(*net.TCPAddr).Port, conn.LocalAddr().(*net.TCPAddr).Port)
			w.peers.Store(way, conn)
			defer w.peers.Delete(way)
			handle(conn)
		})
	}
	overTLS := func(leaf *tlstest.Identity) string {
		config := &tls.Config{Certificates: []tls.Certificate{leaf.Certificate()}, SessionTicketsDisabled: true}
		return peer(func(raw net.Conn) {
			_, _ = io.Copy(io.Discard, tls.Server(raw, config))
			_, _ = io.Copy(io.Discard, raw) // after close_notify it stays
		})
	}
	w.silent = peer(func(conn net.Conn) { _, _ = io.Copy(io.Discard, conn) })
	w.talking = peer(func(conn net.Conn) {
		_, _ = conn.Write(noise()[:abortData])
		_, _ = io.Copy(io.Discard, conn)
	})
	leaf = append(leaf, tlstest.Names("127.0.0.1"))
	w.secure, w.flawed = overTLS(ca.Leaf(leaf...)), overTLS(ca.Leaf(append(leaf, tlstest.Expired())...))
	w.svc = servertest.Start(tb, func(sc *session.Config, _ *server.Config) {
		sc.System = func() (*truststore.Set, error) { return trusted, nil }
		sc.Resolver, sc.Descriptors = noAnswer{}, w.descriptors
		sc.DetachGrace, sc.ClaimTimeout, sc.SessionExpiry = lapse, lapse, lapse
		sc.MaxListenersPerOwner, sc.MaxSessionsPerOwner = 1000, 20_000
		sc.DestinationsPerOwner = quota.Limit{PerSecond: 1e9, Burst: 1e9}
		sc.Destinations, sc.AttachesPerOwner, sc.Attaches = sc.DestinationsPerOwner, sc.DestinationsPerOwner, sc.DestinationsPerOwner
	}, servertest.AllowEgress(tb, "127.0.0.0/8", "name.test"))
	// Not in memory: such pipes are large, and would be most of the heap.
	l, err := net.Listen("unix", filepath.Join(tb.TempDir(), "s"))
	require.NoError(tb, err)
	w.socket = l.Addr().String()
	served := make(chan error, 1)
	go func() { served <- w.svc.Server.Serve(l) }()
	tb.Cleanup(func() { w.svc.Server.Close(); <-served })
	w.c = w.connect()
	tb.Cleanup(w.c.cut)
	return w
}

// wayOf is a connection from a port to another.
func wayOf(from, to int) [2]int { return [2]int{from, to} }

// connect makes a connection of which all ends at once where it is cut.
func (w *abortWorld) connect() abortConn {
	var mu sync.Mutex
	var raw []net.Conn
	cc, err := grpc.NewClient("passthrough:///service", grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) {
			conn, err := dialer.DialContext(ctx, "unix", w.socket)
			mu.Lock()
			defer mu.Unlock()
			if len(raw) > 0 && err == nil { // it was cut: no other takes its place
				_ = conn.Close()
				return nil, net.ErrClosed
			}
			raw = append(raw, conn)
			return conn, err
		}))
	if err != nil {
		panic(err) // the target is a constant
	}
	return abortConn{pb.NewSecureSocketServiceClient(cc), pb.NewListenerServiceClient(cc), sync.OnceFunc(func() {
		mu.Lock()
		for _, conn := range raw {
			if conn != nil {
				_ = conn.Close()
			}
		}
		mu.Unlock()
		_ = cc.Close()
	})}
}

// abortState is where a session can be when it is aborted.
type abortState struct {
	name  string
	want  pb.State
	reach func(w *abortWorld, l *leaf) error
}

// aborters are who ends it: the caller by giving his RPC up, the peer by a reset, the
// caller by DeleteSession, the network by the end of the HTTP/2 connection.
var aborters = []string{"cancel", "reset", "delete", "cut"}

var abortStates = []abortState{
	{"idle", pb.State_STATE_UNCONNECTED, func(_ *abortWorld, l *leaf) error {
		resp, err := l.conn.c.CreateSession(l.ctx, &pb.CreateSessionRequest{})
		if err != nil {
			return err
		}
		l.id = resp.GetSession().GetSessionId()
		for _, e := range l.w.given {
			if _, err := l.conn.c.AddCertificate(l.ctx, &pb.AddCertificateRequest{SessionId: l.id, Certificate: e.GetCertificate()}); err != nil {
				return err
			}
		}
		if err := l.begin(attachFrame(&pb.AttachSession{SessionId: l.id, AttachSeq: 1})); err != nil {
			return err
		}
		return l.until(func(m *pb.AttachResponse) bool { return m.GetAttached() != nil })
	}},
	{"dns", pb.State_STATE_HOST_LOOKUP, func(_ *abortWorld, l *leaf) error {
		return l.open("name.test:443", "HOST_LOOKUP")
	}},
	{"tcp", pb.State_STATE_CONNECTING, func(w *abortWorld, l *leaf) error { return l.open(w.full, "CONNECTING") }},
	{"handshake", pb.State_STATE_HANDSHAKING, func(w *abortWorld, l *leaf) error { return l.open(w.silent, "HANDSHAKING") }},
	{"decision pending", pb.State_STATE_HANDSHAKING, func(w *abortWorld, l *leaf) error {
		if err := l.open(w.flawed, "certificate_error", func(m *pb.Open) { m.Settings = asking() }); err != nil {
			return err
		}
		l.asked = true
		return l.until(func(m *pb.AttachResponse) bool { return m.GetDecisionRequest() != nil })
	}},
	{"plain", pb.State_STATE_CONNECTED, func(w *abortWorld, l *leaf) error { return l.open(w.silent, "CONNECTED", plainly) }},
	{"encrypted", pb.State_STATE_ENCRYPTED, func(w *abortWorld, l *leaf) error { return l.open(w.secure, "secure_connected") }},
	{"half closed", pb.State_STATE_ENCRYPTED, func(w *abortWorld, l *leaf) error {
		if err := l.open(w.secure, "secure_connected"); err != nil {
			return err
		}
		return l.stream.Send(finishFrame(1, 0))
	}},
	{"detached", pb.State_STATE_ENCRYPTED, func(w *abortWorld, l *leaf) error {
		err := l.open(w.secure, "secure_connected", func(m *pb.Open) {
			m.Settings.Resumable, m.Settings.DetachGrace = proto.Bool(true), durationpb.New(w.lapse)
		})
		if err != nil {
			return err
		}
		l.leave()
		for attached := true; attached; {
			resp, err := l.conn.c.GetSession(l.ctx, &pb.GetSessionRequest{SessionId: l.id})
			if err != nil {
				return err
			}
			attached = resp.GetSession().GetAttached()
		}
		return nil
	}},
	{"unclaimed", pb.State_STATE_CONNECTED, func(w *abortWorld, l *leaf) error {
		resp, err := l.conn.lc.Listen(l.ctx, &pb.ListenRequest{Address: "127.0.0.1", Certificates: w.given})
		if err != nil {
			return err
		}
		accept, err := l.conn.lc.Accept(l.ctx, &pb.AcceptRequest{ListenerId: resp.GetListener().GetListenerId()})
		if err != nil {
			return err
		}
		peer, err := dialer.DialContext(l.ctx, "tcp", localAddr(resp.GetListener()))
		if err != nil {
			return err
		}
		l.client, l.recv = peer, func() (*pb.AttachResponse, error) { _, err := accept.Recv(); return nil, err }
		l.listener = resp.GetListener().GetListenerId()
		got, err := accept.Recv()
		l.id = got.GetSession().GetSessionId()
		return err
	}},
	{"start_tls waiting", pb.State_STATE_CONNECTED, func(w *abortWorld, l *leaf) error {
		if err := l.open(w.silent, "CONNECTED", plainly); err != nil {
			return err
		}
		return l.stream.Send(startTLSFrame(pb.TlsRole_TLS_ROLE_CLIENT, 1, 0)) // of the byte that never comes
	}},
	{"with data", pb.State_STATE_CONNECTED, func(w *abortWorld, l *leaf) error {
		if err := l.open(w.talking, "CONNECTED", plainly); err != nil {
			return err
		}
		return l.stream.Send(dataFrame(1, 0, string(noise()[:abortData])))
	}},
}

// leaf is one session on its way to its end.
type leaf struct {
	w        *abortWorld
	conn     abortConn
	state    string
	ctx      context.Context
	cancel   context.CancelFunc
	id       string
	way      [2]int   // to the peer
	client   net.Conn // the peer of an accepted session
	listener string
	asked    bool
	stream   pb.SecureSocketService_AttachClient
	leave    context.CancelFunc // of the stream
	recv     func() (*pb.AttachResponse, error)
}

func (w *abortWorld) reach(ctx context.Context, c abortConn, state abortState) (*leaf, error) {
	l := &leaf{w: w, conn: c, state: state.name}
	l.ctx, l.cancel = context.WithTimeout(ctx, patience)
	return l, state.reach(w, l)
}

func (l *leaf) begin(first *pb.AttachRequest) (err error) {
	var ctx context.Context
	ctx, l.leave = context.WithCancel(l.ctx)
	if l.stream, err = l.conn.c.Attach(ctx); err != nil {
		return err
	}
	l.recv = l.stream.Recv
	return l.stream.Send(first)
}

// open opens a session and waits for an event.
func (l *leaf) open(addr, until string, change ...func(*pb.Open)) error {
	host, port, _ := strings.Cut(addr, ":")
	m := &pb.Open{Host: host, AttachSeq: 1, Certificates: l.w.given, Settings: &pb.SessionSettings{Tls: &pb.TlsSettings{HandshakeTimeout: durationpb.New(patience)}}}
	if _, err := fmt.Sscan(port, &m.Port); err != nil {
		return err
	}
	for _, f := range change {
		f(m)
	}
	if err := l.begin(openFrame(m)); err != nil {
		return err
	}
	return l.until(func(m *pb.AttachResponse) bool { return m.GetEvent() != nil && kindOf(m.GetEvent()) == until })
}

func (l *leaf) until(condition func(*pb.AttachResponse) bool) error {
	for {
		m, err := l.recv()
		if err != nil {
			return err
		}
		if a := m.GetAttached(); a != nil {
			l.id = a.GetSession().GetSessionId()
		}
		if e := m.GetEvent().GetTcpConnected(); e != nil {
			l.way = wayOf(int(e.GetLocal().GetPort()), int(e.GetRemote().GetPort()))
		}
		if condition(m) {
			return nil
		}
	}
}

// abort ends it, and sees the end of its stream.
func (l *leaf) abort(by string) error {
	defer l.cancel()
	if l.client != nil {
		defer func() {
			_ = l.client.Close()
			_, _ = l.w.c.lc.CloseListener(l.w.ctx, &pb.CloseListenerRequest{ListenerId: l.listener})
		}()
	}
	switch by {
	case "reset":
		if !l.reset() || l.asked {
			l.cancel() // there is no peer yet, or nobody reads what it does while the caller decides
		}
	case "delete":
		if _, err := l.w.c.c.DeleteSession(l.ctx, &pb.DeleteSessionRequest{SessionId: l.id}); err != nil {
			return fmt.Errorf("delete: %w", err)
		}
	case "cancel":
		l.cancel()
	}
	if l.client != nil || l.stream == nil {
		return nil
	}
	for {
		if _, err := l.recv(); err != nil {
			if errors.Is(l.ctx.Err(), context.DeadlineExceeded) {
				return fmt.Errorf("%s by %s: the stream did not end", l.state, by)
			}
			return nil
		}
	}
}

func (l *leaf) reset() bool {
	conn := l.client
	if found, ok := l.w.peers.Load(l.way); ok {
		conn = found.(net.Conn)
	}
	if conn == nil {
		return false
	}
	_ = conn.(*net.TCPConn).SetLinger(0)
	_ = conn.Close()
	return true
}
