package server_test

import (
	"bytes"
	"crypto/tls"
	"io"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/types/known/durationpb"

	pb "securesocket/gen/securesocket/v1"
	"securesocket/server/servertest"
	"securesocket/tlsengine/tlstest"
)

// entrance is a way to have the service enter TLS. begin asks for it; what it returns waits, and says the reason where it
// failed; "": the connection is secure.
type entrance struct {
	name  string
	begin func(k *caller, c pb.SecureSocketServiceClient, m *pb.StartTls) (end func() string)
}

var (
	byFrame = entrance{"frame", func(k *caller, _ pb.SecureSocketServiceClient, m *pb.StartTls) func() string {
		k.tb.Helper()
		events, refused := len(k.events), len(k.refused)
		k.send(&pb.AttachRequest{Frame: &pb.AttachRequest_StartTls{StartTls: m}})
		return func() (reason string) {
			k.tb.Helper()
			k.until(func() bool {
				for _, r := range k.refused[refused:] {
					if r.GetFailure().GetMetadata()["operation"] != "data" { // bytes that came too late
						reason = nameOf(r.GetFailure().GetReason())
						return true
					}
				}
				for _, e := range k.events[events:] {
					if e.GetClosed() != nil {
						reason = nameOf(e.GetClosed().GetFailure().GetReason())
					}
					if e.GetClosed() != nil || e.GetSecureConnected() != nil {
						return true
					}
				}
				return false
			})
			return reason
		}
	}}
	byCall = entrance{"call", func(k *caller, c pb.SecureSocketServiceClient, m *pb.StartTls) func() string {
		k.tb.Helper()
		done := startingTLS(k.tb, c, k.session(), m)
		return func() string {
			k.tb.Helper()
			if err := outcome(k.tb, done); err != nil {
				return reasonOf(k.tb, err)
			}
			return ""
		}
	}}
)

// eachEntrance runs a test with each way.
func eachEntrance(t *testing.T, f func(t *testing.T, by entrance)) {
	t.Helper()
	for _, by := range []entrance{byFrame, byCall} {
		t.Run(by.name, func(t *testing.T) { t.Parallel(); f(t, by) })
	}
}

// startingTLS runs a unary StartTls and tells how it ended.
func startingTLS(tb testing.TB, c pb.SecureSocketServiceClient, s idle, m *pb.StartTls) <-chan error {
	tb.Helper()
	ctx, done := tb.Context(), make(chan error, 1)
	go func() {
		_, err := c.StartTls(ctx, &pb.StartTlsRequest{SessionId: s.id, StartTls: m})
		done <- err
	}()
	return done
}

func asClient(received, sent int64) *pb.StartTls {
	return &pb.StartTls{Role: pb.TlsRole_TLS_ROLE_CLIENT, ReceiveOffset: received, SendOffset: sent}
}

func asServer(received, sent int64) *pb.StartTls {
	return &pb.StartTls{Role: pb.TlsRole_TLS_ROLE_SERVER, ReceiveOffset: received, SendOffset: sent}
}

// takenBack is a stream whose socket_data may go back, once, to where TLS begins: its caller drops what it had from there.
type takenBack struct {
	pb.SecureSocketService_AttachClient

	k     *caller
	to    int64
	times int
}

// takingBack lets a caller's socket_data go back to an offset.
func takingBack(k *caller, to int64) *takenBack {
	b := &takenBack{SecureSocketService_AttachClient: k.stream, k: k, to: to}
	k.stream = b
	return b
}

func (b *takenBack) Recv() (*pb.AttachResponse, error) {
	m, err := b.SecureSocketService_AttachClient.Recv()
	if d := m.GetSocketData(); err == nil && d != nil {
		if at := d.GetOffset() - b.k.attached.GetSocketDataOffset(); at < int64(len(b.k.data)) {
			require.Equal(b.k.tb, b.to, d.GetOffset(), "it goes back to where TLS begins")
			b.times++
			b.k.data = b.k.data[:at]
		}
	}
	return m, err
}

// readyRead waits until the service has so many bytes of the peer.
func readyRead(tb testing.TB, c pb.SecureSocketServiceClient, s idle, bytes int64) {
	tb.Helper()
	if bytes == 0 {
		return
	}
	resp, err := c.Wait(tb.Context(), &pb.WaitRequest{SessionId: s.id, Condition: pb.WaitRequest_CONDITION_READY_READ, Offset: bytes - 1})
	require.NoError(tb, err)
	require.True(tb, resp.GetReached(), "%v", resp.GetCause())
}

// porch is a listener whose sessions are plain, and have an identity for the server's role.
type porch struct {
	c      pb.SecureSocketServiceClient
	addr   string
	ca     *tlstest.CA
	accept pb.ListenerService_AcceptClient
}

func openPorch(tb testing.TB, change ...func(*pb.SessionSettings)) *porch {
	tb.Helper()
	p := &porch{ca: tlstest.NewCA(tb)}
	cc := servertest.Start(tb).Dial(tb)
	p.c = pb.NewSecureSocketServiceClient(cc)
	l := pb.NewListenerServiceClient(cc)
	settings := having(uploaded(tb, p.ca.Leaf(tlstest.Names("porch.test"))))
	for _, f := range change {
		f(settings)
	}
	resp, err := l.Listen(tb.Context(), &pb.ListenRequest{Address: "127.0.0.1", Settings: settings})
	require.NoError(tb, err)
	p.addr = localAddr(resp.GetListener())
	p.accept, err = l.Accept(tb.Context(), &pb.AcceptRequest{ListenerId: resp.GetListener().GetListenerId()})
	require.NoError(tb, err)
	return p
}

// visit connects a guest, and returns its end and the session.
func (p *porch) visit(tb testing.TB) (*guest, idle) {
	tb.Helper()
	conn, err := net.Dial("tcp", p.addr)
	require.NoError(tb, err)
	tb.Cleanup(func() { _ = conn.Close() })
	got, err := p.accept.Recv()
	require.NoError(tb, err)
	require.Equal(tb, pb.Mode_MODE_PLAIN, got.GetSession().GetMode())
	return &guest{tb: tb, Conn: conn, config: &tls.Config{
		RootCAs: p.ca.Pool(), ServerName: "porch.test", CurvePreferences: []tls.CurveID{tls.X25519}, // a short hello
	}}, idle{got.GetSession().GetSessionId(), got.GetResumeToken()}
}

// guest is a client of a porch.
type guest struct {
	net.Conn

	tb     testing.TB
	config *tls.Config
}

func (g *guest) say(b []byte) {
	g.tb.Helper()
	_, err := g.Conn.Write(b)
	require.NoError(g.tb, err)
}

// hello begins a handshake whose first message is returned and left to the test to be sent.
func (g *guest) hello() (first []byte, secured *tls.Conn, done <-chan error) {
	g.tb.Helper()
	held := &heldHello{Conn: g.Conn, hello: make(chan []byte, 1)}
	secured = tls.Client(held, g.config)
	ended := make(chan error, 1)
	ctx := g.tb.Context()
	go func() { ended <- secured.HandshakeContext(ctx) }()
	return <-held.hello, secured, ended
}

// heldHello gives away what is written first.
type heldHello struct {
	net.Conn

	hello chan []byte
	given bool // of the one goroutine that shakes hands
}

func (h *heldHello) Write(b []byte) (int, error) {
	if h.given {
		return h.Conn.Write(b)
	}
	h.given = true
	h.hello <- bytes.Clone(b)
	return len(b), nil
}

// switching waits until a session whose caller has sent bytes is on its way into TLS: before, its offsets would not do.
func switching(tb testing.TB, c pb.SecureSocketServiceClient, s idle) {
	tb.Helper()
	require.Eventually(tb, func() bool {
		_, err := c.StartTls(tb.Context(), &pb.StartTlsRequest{SessionId: s.id, StartTls: asClient(0, 0)})
		return reasonOf(tb, err) == "SESSION_STATE"
	}, patience, time.Millisecond)
}

// switchingNow is switching for a session whose effective settings do not matter: those of TLS have been read.
func switchingNow(tb testing.TB, c pb.SecureSocketServiceClient, s idle) {
	tb.Helper()
	n := int32(0)
	require.Eventually(tb, func() bool {
		n++
		resp, err := c.UpdateSession(tb.Context(), &pb.UpdateSessionRequest{SessionId: s.id, Settings: &pb.SessionSettings{
			Tls: &pb.TlsSettings{DecisionTimeout: &durationpb.Duration{Seconds: 10, Nanos: n}},
		}})
		require.NoError(tb, err)
		return resp.GetEffectiveGeneration() == resp.GetSession().GetGeneration()+1
	}, patience, time.Millisecond)
}

// plainEcho is a peer without TLS that sends back what it gets, and FIN after the caller's.
func plainEcho(tb testing.TB) string {
	tb.Helper()
	return tlstest.ServeRaw(tb, func(conn net.Conn) {
		_, _ = io.Copy(conn, conn)
		_ = conn.(*net.TCPConn).CloseWrite()
	})
}

// connectPlainly is a unary Connect without TLS.
func connectPlainly(tb testing.TB, c pb.SecureSocketServiceClient, s idle, addr string) *pb.ConnectResponse {
	tb.Helper()
	host, port := hostPort(tb, addr)
	resp, err := c.Connect(tb.Context(), &pb.ConnectRequest{SessionId: s.id, Host: host, Port: port, Plain: true})
	require.NoError(tb, err)
	require.Equal(tb, pb.State_STATE_CONNECTED, resp.GetSession().GetState())
	return resp
}

// refusedFrame is why a frame is refused, whatever events there are.
func refusedFrame(k *caller, m *pb.StartTls) string {
	k.tb.Helper()
	refused := len(k.refused)
	k.send(&pb.AttachRequest{Frame: &pb.AttachRequest_StartTls{StartTls: m}})
	k.until(func() bool { return len(k.refused) > refused })
	return nameOf(k.refused[refused].GetFailure().GetReason())
}
