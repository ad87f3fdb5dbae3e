package server_test

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	pb "securesocket/gen/securesocket/v1"
	"securesocket/server"
	"securesocket/server/servertest"
	"securesocket/session"
	"securesocket/tlsengine/tlstest"
	"securesocket/tlsengine/truststore"
)

// resumableWorld is a service whose machine trusts one peer, so that little has
// to be said to open a session.
type resumableWorld struct {
	svc    *servertest.Service
	direct pb.SecureSocketServiceClient // not through a proxy
	host   string
	port   int32
	addr   string
}

func newResumableWorld(tb testing.TB, handle func(*tls.Conn), opts ...servertest.Option) *resumableWorld {
	tb.Helper()
	ca := tlstest.NewCA(tb)
	leaf := ca.Leaf(tlstest.Names("127.0.0.1")).Certificate()
	return worldOf(tb, ca, tlstest.Serve(tb, &tls.Config{
		// A peer speaks whatever its client asks for first: that is how a test
		// tells it what to do.
		GetConfigForClient: func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
			return &tls.Config{
				Certificates: []tls.Certificate{leaf}, SessionTicketsDisabled: true,
				NextProtos: hello.SupportedProtos[:min(1, len(hello.SupportedProtos))],
			}, nil
		},
	}, handle), opts...)
}

// worldOf is a world whose peer is at addr.
func worldOf(tb testing.TB, ca *tlstest.CA, addr string, opts ...servertest.Option) *resumableWorld {
	tb.Helper()
	trusted := truststore.NewSet(truststore.Entry{Cert: ca.Root().Certificate, Trusted: true})
	opts = append(opts, func(sc *session.Config, _ *server.Config) {
		sc.System = func() (*truststore.Set, error) { return trusted, nil }
		sc.MaxSessionsPerOwner = 5000
	})
	w := &resumableWorld{svc: servertest.Start(tb, opts...), addr: addr}
	w.direct = w.svc.Client(tb)
	w.host, w.port = hostPort(tb, addr)
	return w
}

// open is what opens a resumable session.
func (w *resumableWorld) open(requestID string, change ...func(*pb.Open)) *pb.Open {
	m := &pb.Open{
		Host: w.host, Port: w.port, RequestId: requestID,
		Settings: &pb.SessionSettings{Resumable: proto.Bool(true)},
	}
	for _, f := range change {
		f(m)
	}
	return m
}

// resumable opens a resumable session as a raw caller.
func (w *resumableWorld) resumable(tb testing.TB, c pb.SecureSocketServiceClient, change ...func(*pb.Open)) *caller {
	tb.Helper()
	m := w.open("", change...)
	m.AttachSeq = 1
	k := start(tb.Context(), tb, c, openFrame(m))
	k.until(func() bool { return k.attached != nil })
	return k
}

func (k *caller) session() idle {
	return idle{k.attached.GetSession().GetSessionId(), k.attached.GetResumeToken()}
}

// again attaches to what k held, from where k is, with a larger attach_seq. What
// k has is the new caller's too.
func (k *caller) again(c pb.SecureSocketServiceClient, change ...func(*pb.AttachSession)) *caller {
	k.tb.Helper()
	s := k.session()
	m := &pb.AttachSession{
		SessionId: s.id, ResumeToken: s.token, Generation: 1, ReceivedEventSeq: int64(len(k.events)),
		AttachSeq: k.attached.GetSession().GetAttachSeq() + 1, ReceivedOffset: k.attached.GetSocketDataOffset() + int64(len(k.data)),
	}
	for _, f := range change {
		f(m)
	}
	next := start(k.tb.Context(), k.tb, c, attachFrame(m))
	next.until(func() bool { return next.attached != nil })
	require.Equal(k.tb, m.GetReceivedOffset(), next.attached.GetSocketDataOffset())
	next.attached.SocketDataOffset -= int64(len(k.data))
	next.data, next.events, next.sent = k.data, k.events, k.sent
	return next
}

// ack acks all that k has.
func (k *caller) ack() {
	k.tb.Helper()
	k.send(ackFrame(1, k.attached.GetSocketDataOffset()+int64(len(k.data)), int64(len(k.events))))
}

func ackFrame(generation, offset, eventSeq int64) *pb.AttachRequest {
	return &pb.AttachRequest{Frame: &pb.AttachRequest_Ack{Ack: &pb.Ack{Generation: generation, ReceivedOffset: offset, EventSeq: eventSeq}}}
}

func grace(d time.Duration) func(*pb.Open) {
	return func(m *pb.Open) { m.Settings.DetachGrace = durationpb.New(d) }
}

// detached waits until no stream holds a session.
func (w *resumableWorld) detached(tb testing.TB, s idle) {
	tb.Helper()
	require.Eventually(tb, func() bool { return !getSession(tb.Context(), tb, w.direct, s).GetAttached() }, patience, 2*time.Millisecond)
}

// disconnected waits until a session's connection has ended.
func (w *resumableWorld) disconnected(tb testing.TB, s idle) {
	tb.Helper()
	resp, err := w.direct.Wait(tb.Context(), &pb.WaitRequest{SessionId: s.id, Condition: pb.WaitRequest_CONDITION_DISCONNECTED})
	require.NoError(tb, err)
	require.True(tb, resp.GetReached())
}

// gone waits until nobody knows a session.
func (w *resumableWorld) gone(tb testing.TB, s idle) {
	tb.Helper()
	var err error
	require.Eventually(tb, func() bool {
		_, err = w.direct.GetSession(tb.Context(), &pb.GetSessionRequest{SessionId: s.id})
		return err != nil
	}, patience, 2*time.Millisecond)
	require.Equal(tb, "SESSION_NOT_FOUND", reasonOf(tb, err))
}

// through returns what dials the service for one try, over a connection that
// dial makes.
func through(dial func(context.Context, string) (net.Conn, error)) (pb.SecureSocketServiceClient, func()) {
	cc, err := grpc.NewClient("passthrough:///service", grpc.WithContextDialer(dial),
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithConnectParams(grpc.ConnectParams{
			Backoff: backoff.Config{BaseDelay: time.Millisecond, Multiplier: 1.6, MaxDelay: 20 * time.Millisecond}, MinConnectTimeout: patience,
		}))
	if err != nil {
		panic(err) // the target is a constant
	}
	return pb.NewSecureSocketServiceClient(cc), func() { _ = cc.Close() }
}

// noise is what is sent: the same in every run.
var noise = sync.OnceValue(func() []byte {
	b := make([]byte, 17<<20)
	_, _ = rand.NewChaCha8([32]byte{}).Read(b)
	return b
})

// exchanges is a peer that is told by ALPN, as "key/bytes", how many bytes to
// send, and keeps the hash of what it got until the caller's end.
type exchanges struct {
	mu   sync.Mutex
	sums map[string][sha256.Size]byte
}

// application is the ALPN protocol that asks for so many bytes.
func application(key string, bytes int) func(*pb.Open) {
	return func(m *pb.Open) {
		m.Settings.Tls = &pb.TlsSettings{AlpnProtocols: []string{key + "/" + strconv.Itoa(bytes)}}
	}
}

func (x *exchanges) handle(conn *tls.Conn) {
	key, bytes, _ := strings.Cut(conn.ConnectionState().NegotiatedProtocol, "/")
	n, _ := strconv.Atoi(bytes)
	var wg sync.WaitGroup
	wg.Go(func() { _, _ = conn.Write(noise()[:n]) })
	got := sha256.New()
	_, err := io.Copy(got, conn)
	wg.Wait()
	if err == nil {
		x.mu.Lock()
		x.sums[key] = [sha256.Size]byte(got.Sum(nil))
		x.mu.Unlock()
		tlstest.CloseNotify(conn)
	}
}

// check compares what both ends have.
func (x *exchanges) check(key string, r *resumer, down int) error {
	x.mu.Lock()
	got, ok := x.sums[key]
	x.mu.Unlock()
	switch {
	case !ok:
		return fmt.Errorf("%s: the peer saw no clean end", key)
	case got != sha256.Sum256(r.out):
		return fmt.Errorf("%s: the peer got something else", key)
	case sha256.Sum256(r.in) != sha256.Sum256(noise()[:down]):
		return fmt.Errorf("%s: the caller got something else", key)
	case r.closed.GetSentBytes() != int64(len(r.out)) || r.closed.GetReceivedBytes() != int64(down):
		return fmt.Errorf("%s: %v", key, r.closed)
	}
	return nil
}
