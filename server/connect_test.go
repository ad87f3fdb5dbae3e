package server_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/netip"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	pb "securesocket/gen/securesocket/v1"
	"securesocket/server"
	"securesocket/server/servertest"
	"securesocket/session"
	"securesocket/tlsengine/tlstest"
)

// idle is a session made by CreateSession.
type idle struct {
	id    string
	token []byte
}

// newIdle creates a session that trusts a test's CA.
func newIdle(ctx context.Context, tb testing.TB, c pb.SecureSocketServiceClient, ca *tlstest.CA, settings ...*pb.SessionSettings) idle {
	tb.Helper()
	req := &pb.CreateSessionRequest{}
	if len(settings) > 0 {
		req.Settings = settings[0]
	}
	resp, err := c.CreateSession(ctx, req)
	require.NoError(tb, err)
	s := idle{resp.GetSession().GetSessionId(), resp.GetResumeToken()}
	if ca != nil {
		_, err = c.AddCertificate(ctx, &pb.AddCertificateRequest{SessionId: s.id, Certificate: ca.Root().DER(), Trusted: true})
		require.NoError(tb, err)
	}
	return s
}

// tryConnect is a unary Connect to the address of a test's peer.
func tryConnect(ctx context.Context, tb testing.TB, c pb.SecureSocketServiceClient, s idle, addr string) (*pb.ConnectResponse, error) {
	tb.Helper()
	host, port := hostPort(tb, addr)
	return c.Connect(ctx, &pb.ConnectRequest{SessionId: s.id, Host: host, Port: port})
}

func connectTo(ctx context.Context, tb testing.TB, c pb.SecureSocketServiceClient, s idle, addr string) *pb.ConnectResponse {
	tb.Helper()
	resp, err := tryConnect(ctx, tb, c, s, addr)
	require.NoError(tb, err)
	require.Equal(tb, pb.State_STATE_ENCRYPTED, resp.GetSession().GetState())
	return resp
}

// attach holds a session with a stream.
func attach(ctx context.Context, tb testing.TB, c pb.SecureSocketServiceClient, s idle, seq int64) *caller {
	tb.Helper()
	k := start(ctx, tb, c, attachFrame(&pb.AttachSession{SessionId: s.id, ResumeToken: s.token, AttachSeq: seq}))
	k.until(func() bool { return k.attached != nil })
	return k
}

func getSession(ctx context.Context, tb testing.TB, c pb.SecureSocketServiceClient, s idle) *pb.Session {
	tb.Helper()
	resp, err := c.GetSession(ctx, &pb.GetSessionRequest{SessionId: s.id})
	require.NoError(tb, err)
	return resp.GetSession()
}

// stillWorks connects a session to an echo server and sends bytes there and back.
func stillWorks(ctx context.Context, tb testing.TB, c pb.SecureSocketServiceClient, s idle, addr string) {
	tb.Helper()
	resp := connectTo(ctx, tb, c, s, addr)
	gen := resp.GetSession().GetGeneration()
	k := attach(ctx, tb, c, s, resp.GetSession().GetAttachSeq()+1)
	k.send(dataFrame(gen, 0, "ping"))
	k.until(func() bool { return string(k.data) == "ping" })
	k.send(closeFrame(pb.CloseSocket_HOW_GRACEFUL))
	closedOf(k, gen)
	require.NoError(tb, k.stream.CloseSend())
	require.NoError(tb, k.end())
}

// closedOf waits for the end of a generation.
func closedOf(k *caller, generation int64) {
	k.tb.Helper()
	k.until(func() bool {
		return slices.ContainsFunc(k.events, func(e *pb.Event) bool { return e.GetClosed() != nil && e.GetGeneration() == generation })
	})
}

func dataFrame(generation, offset int64, payload string) *pb.AttachRequest {
	return &pb.AttachRequest{Frame: &pb.AttachRequest_Data{Data: &pb.Data{Generation: generation, Offset: offset, Payload: []byte(payload)}}}
}

func certificateStatus(tb testing.TB, c pb.SecureSocketServiceClient, s idle) *pb.GetCertificateStatusResponse {
	tb.Helper()
	resp, err := c.GetCertificateStatus(tb.Context(), &pb.GetCertificateStatusRequest{SessionId: s.id})
	require.NoError(tb, err)
	return resp
}

// serveChain is an echo server with an identity.
func serveChain(tb testing.TB, id *tlstest.Identity) string {
	tb.Helper()
	return tlstest.Serve(tb, &tls.Config{Certificates: []tls.Certificate{id.Certificate()}}, tlstest.Echo)
}

func TestRefusedCertificates(t *testing.T) {
	t.Parallel()
	ca := tlstest.NewCA(t)
	between := ca.Intermediate()
	alone := between.Leaf()
	alone.Chain = alone.Chain[:1]
	selfSigned, stranger := tlstest.SelfSigned(t), tlstest.NewCA(t)
	extra := func(der []byte, trusted bool) *pb.AddCertificateRequest {
		return &pb.AddCertificateRequest{Certificate: der, Trusted: trusted}
	}
	for name, tc := range map[string]struct {
		id            *tlstest.Identity
		status        pb.CertificateStatus
		reason        pb.ErrorReason
		useless, mend *pb.AddCertificateRequest // nil: nothing mends it
	}{
		"expired":       {ca.Leaf(tlstest.Expired()), pb.CertificateStatus_CERTIFICATE_STATUS_EXPIRED, pb.ErrorReason_ERROR_REASON_CERTIFICATE_EXPIRED, nil, nil},
		"not yet valid": {ca.Leaf(tlstest.NotYetValid()), pb.CertificateStatus_CERTIFICATE_STATUS_NOT_YET_VALID, pb.ErrorReason_ERROR_REASON_CERTIFICATE_NOT_YET_VALID, nil, nil},
		"wrong host": {ca.Leaf(tlstest.Names("other.example")), pb.CertificateStatus_CERTIFICATE_STATUS_PRINCIPAL_MISMATCH, pb.ErrorReason_ERROR_REASON_CERTIFICATE_PRINCIPAL_MISMATCH,
			nil, nil},
		"expired authority": {ca.Intermediate(tlstest.Expired()).Leaf(), pb.CertificateStatus_CERTIFICATE_STATUS_INVALID_CHAIN, pb.ErrorReason_ERROR_REASON_CERTIFICATE_INVALID_CHAIN,
			nil, nil},
		"self-signed": {selfSigned, pb.CertificateStatus_CERTIFICATE_STATUS_UNTRUSTED_SIGNERS, pb.ErrorReason_ERROR_REASON_CERTIFICATE_UNTRUSTED_SIGNERS,
			extra(selfSigned.Leaf.Raw, false), extra(selfSigned.Leaf.Raw, true)},
		"unknown root": {stranger.Leaf(), pb.CertificateStatus_CERTIFICATE_STATUS_UNTRUSTED_SIGNERS, pb.ErrorReason_ERROR_REASON_CERTIFICATE_UNTRUSTED_SIGNERS,
			extra(stranger.DER(), false), extra(stranger.DER(), true)},
		"missing intermediate": {alone, pb.CertificateStatus_CERTIFICATE_STATUS_UNTRUSTED_SIGNERS, pb.ErrorReason_ERROR_REASON_CERTIFICATE_UNTRUSTED_SIGNERS,
			nil, extra(between.DER(), false)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			addr, good := serveChain(t, tc.id), serveChain(t, ca.Leaf())
			c := servertest.Start(t).Client(t)
			s := newIdle(t.Context(), t, c, ca)
			require.Equal(t, pb.CertificateStatus_CERTIFICATE_STATUS_UNKNOWN, certificateStatus(t, c, s).GetStatus())
			refused := func() {
				_, err := tryConnect(t.Context(), t, c, s, addr)
				require.Equal(t, nameOf(tc.reason), reasonOf(t, err))
				require.Equal(t, codes.FailedPrecondition, status.Code(err))
				got := getSession(t.Context(), t, c, s)
				require.Equal(t, tc.status, got.GetCertificateStatus())
				require.Equal(t, tc.reason, got.GetLastError().GetReason())
				require.Nil(t, got.GetPeerCertificate(), "a refused chain is in the report alone")
				require.Nil(t, got.GetTls())
				v := certificateStatus(t, c, s)
				require.Equal(t, tc.status, v.GetStatus())
				require.Equal(t, tc.status, v.GetReport().GetStatus())
				require.Equal(t, pb.CertificateReport_TRUST_BASIS_NONE, v.GetReport().GetTrustBasis())
				require.NotEmpty(t, v.GetReport().GetProblems())
				require.Empty(t, v.GetReport().GetVerifiedChain())
				require.Equal(t, tc.id.Leaf.Raw, v.GetReport().GetPeerChain()[0].GetDer())
			}
			refused()
			k := attach(t.Context(), t, c, s, 1)
			closed := follow(k, 1)
			require.Equal(t, tc.reason, closed.GetFailure().GetReason())
			require.Equal(t, pb.CloseCause_CLOSE_CAUSE_ERROR, closed.GetCause())
			require.Equal(t, []string{
				"HOST_LOOKUP", "host_found", "CONNECTING", "tcp_connected", "mode_changed", "HANDSHAKING",
				"certificate_error", "io_error", "UNCONNECTED", "closed",
			}, k.kinds())
			ce := k.event("certificate_error").GetCertificateError()
			require.Equal(t, tc.status, ce.GetReport().GetStatus())
			require.False(t, ce.GetOverridable())
			io := k.event("io_error").GetIoError()
			require.Equal(t, tc.reason, io.GetFailure().GetReason())
			require.Equal(t, pb.Phase_PHASE_CERTIFICATE, io.GetPhase())

			if tc.mend != nil {
				if tc.useless != nil {
					tc.useless.SessionId = s.id
					_, err := c.AddCertificate(t.Context(), tc.useless)
					require.NoError(t, err)
					refused()
				}
				tc.mend.SessionId = s.id
				_, err := c.AddCertificate(t.Context(), tc.mend)
				require.NoError(t, err)
				resp := connectTo(t.Context(), t, c, s, addr)
				require.Equal(t, tc.id.Leaf.Raw, resp.GetSession().GetPeerCertificate().GetDer())
			}
			stillWorks(t.Context(), t, c, s, good)
			v := certificateStatus(t, c, s)
			require.Equal(t, pb.CertificateStatus_CERTIFICATE_STATUS_TRUSTED, v.GetStatus(), "the last verdict stays")
			require.Empty(t, v.GetReport().GetProblems())
		})
	}
}

func TestConnectSetsTheStatusToUnknown(t *testing.T) {
	t.Parallel()
	addr, ca := echoServer(t)
	c := servertest.Start(t).Client(t)
	s := newIdle(t.Context(), t, c, ca)
	stillWorks(t.Context(), t, c, s, addr)
	require.Equal(t, pb.CertificateStatus_CERTIFICATE_STATUS_TRUSTED, certificateStatus(t, c, s).GetStatus())
	_, err := tryConnect(t.Context(), t, c, s, closedPort(t))
	require.Equal(t, "CONNECTION_REFUSED", reasonOf(t, err))
	require.Equal(t, codes.Unavailable, status.Code(err))
	v := certificateStatus(t, c, s)
	require.Equal(t, pb.CertificateStatus_CERTIFICATE_STATUS_UNKNOWN, v.GetStatus())
	require.Nil(t, v.GetReport())
	require.EqualValues(t, 2, v.GetGeneration())
	_, err = c.GetCertificateStatus(t.Context(), &pb.GetCertificateStatusRequest{SessionId: s.id, Generation: 1})
	require.Equal(t, "SESSION_STATE", reasonOf(t, err))
	k := attach(t.Context(), t, c, s, getSession(t.Context(), t, c, s).GetAttachSeq()+1)
	closedOf(k, 2)
	kinds := k.kinds()
	require.Equal(t, []string{"HOST_LOOKUP", "host_found", "CONNECTING", "io_error", "UNCONNECTED", "closed"}, kinds[len(kinds)-6:])
	stillWorks(t.Context(), t, c, s, addr)
}

// closedPort is an address at which nothing listens.
func closedPort(tb testing.TB) string {
	tb.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(tb, err)
	require.NoError(tb, l.Close())
	return l.Addr().String()
}

func TestLateBytesNeverReachTheNextPeer(t *testing.T) {
	t.Parallel()
	first, second := make(listener, 1), make(listener, 1)
	firstAddr, ca := scriptedPeer(t, first.handle)
	leaf := ca.Leaf().Certificate()
	secondAddr := tlstest.Serve(t, &tls.Config{Certificates: []tls.Certificate{leaf}}, second.handle)
	c := servertest.Start(t).Client(t)
	k := open(t, c, firstAddr, ca, keepSession)
	k.secure()
	k.write([]byte("for the first"))
	k.until(func() bool { return len(k.data) == 13 })
	s := idle{k.attached.GetSession().GetSessionId(), k.attached.GetResumeToken()}
	connectTo(t.Context(), t, c, s, secondAddr)
	k.send(dataFrame(1, 13, "late"))
	k.send(&pb.AttachRequest{Frame: &pb.AttachRequest_Finish{Finish: &pb.Finish{Generation: 1, Offset: 17}}})
	k.send(dataFrame(0, 17, "unnamed"))
	k.until(func() bool { return len(k.refused) == 1 })
	require.Equal(t, pb.ErrorReason_ERROR_REASON_INVALID_FIELD, k.refused[0].GetFailure().GetReason())
	require.EqualValues(t, 5, k.refused[0].GetFrameNumber())
	k.send(dataFrame(7, 0, "of a generation to come"))
	k.send(dataFrame(2, 0, "for the second"))
	k.send(&pb.AttachRequest{Frame: &pb.AttachRequest_Finish{Finish: &pb.Finish{Generation: 2, Offset: 14}}})
	require.Equal(t, "for the second", string(second.wait(t).data))
	require.Equal(t, "for the first", string(first.wait(t).data))
	require.Len(t, k.refused, 1)
}

// blockingResolver never answers, and tells that it was asked.
type blockingResolver chan struct{}

func (r blockingResolver) LookupNetIP(ctx context.Context, _, _ string) ([]netip.Addr, error) {
	r <- struct{}{}
	<-ctx.Done()
	return nil, ctx.Err()
}

// fullBacklog is a listener of which the kernel takes no further connection.
func fullBacklog(tb testing.TB) string {
	tb.Helper()
	if runtime.GOOS != "linux" {
		tb.Skip("only Linux is known to drop a SYN on a full backlog")
	}
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
	require.NoError(tb, err)
	tb.Cleanup(func() { _ = syscall.Close(fd) })
	require.NoError(tb, syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}))
	require.NoError(tb, syscall.Listen(fd, 0))
	sa, err := syscall.Getsockname(fd)
	require.NoError(tb, err)
	addr := net.JoinHostPort("127.0.0.1", strconv.Itoa(sa.(*syscall.SockaddrInet4).Port))
	for {
		conn, err := net.DialTimeout("tcp", addr, 200*time.Millisecond)
		if err != nil {
			return addr
		}
		tb.Cleanup(func() { _ = conn.Close() })
	}
}

// silent is a peer that takes what it gets and never answers.
func silent(tb testing.TB) string {
	tb.Helper()
	return tlstest.ServeRaw(tb, func(c net.Conn) { _, _ = io.Copy(io.Discard, c) })
}

func TestCancelledConnect(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		state pb.State
		addr  func(testing.TB) string
	}{
		"dns":       {pb.State_STATE_HOST_LOOKUP, func(testing.TB) string { return "name.test:1" }},
		"tcp":       {pb.State_STATE_CONNECTING, fullBacklog},
		"handshake": {pb.State_STATE_HANDSHAKING, silent},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			addr, good := tc.addr(t), ""
			good, ca := echoServer(t)
			c := servertest.Start(t, func(sc *session.Config, _ *server.Config) { sc.Resolver = make(blockingResolver, 9) },
				servertest.AllowEgress(t, "127.0.0.0/8", "name.test")).Client(t)
			s := newIdle(t.Context(), t, c, ca)
			k := attach(t.Context(), t, c, s, 1)
			ctx, cancel := context.WithCancel(t.Context())
			result := make(chan error, 1)
			go func() {
				host, port, _ := net.SplitHostPort(addr)
				n, _ := strconv.ParseInt(port, 10, 32)
				_, err := c.Connect(ctx, &pb.ConnectRequest{SessionId: s.id, Host: host, Port: int32(n)})
				result <- err
			}()
			k.event(tc.state.String()[len("STATE_"):])
			cancel()
			require.Equal(t, codes.Canceled, status.Code(<-result))
			closed := k.closed()
			require.Equal(t, pb.CloseCause_CLOSE_CAUSE_LOCAL, closed.GetCause())
			require.NotContains(t, k.kinds(), "io_error")
			require.NotContains(t, k.kinds(), "remote_closed")
			got := getSession(t.Context(), t, c, s)
			require.Equal(t, pb.State_STATE_UNCONNECTED, got.GetState())
			require.Equal(t, pb.ErrorReason_ERROR_REASON_CANCELLED, got.GetLastError().GetReason())
			stillWorks(t.Context(), t, c, s, good)
		})
	}
}

func TestAnAttemptEndsByOtherCalls(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		end   func(ctx context.Context, c pb.SecureSocketServiceClient, s idle, addr string) error
		cause pb.CloseCause
	}{
		"Close": {func(ctx context.Context, c pb.SecureSocketServiceClient, s idle, _ string) error {
			_, err := c.Close(ctx, &pb.CloseRequest{SessionId: s.id})
			return err
		}, pb.CloseCause_CLOSE_CAUSE_LOCAL},
		"DeleteSession": {func(ctx context.Context, c pb.SecureSocketServiceClient, s idle, _ string) error {
			_, err := c.DeleteSession(ctx, &pb.DeleteSessionRequest{SessionId: s.id})
			return err
		}, pb.CloseCause_CLOSE_CAUSE_DELETED},
		"Connect": {func(ctx context.Context, c pb.SecureSocketServiceClient, s idle, addr string) error {
			host, port, _ := net.SplitHostPort(addr)
			n, _ := strconv.ParseInt(port, 10, 32)
			_, err := c.Connect(ctx, &pb.ConnectRequest{SessionId: s.id, Host: host, Port: int32(n)})
			return err
		}, pb.CloseCause_CLOSE_CAUSE_RECONNECT},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			addr := silent(t)
			good, ca := echoServer(t)
			c := servertest.Start(t).Client(t)
			s := newIdle(t.Context(), t, c, ca)
			k := attach(t.Context(), t, c, s, 1)
			result := make(chan error, 1)
			host, port := hostPort(t, addr)
			go func() {
				_, err := c.Connect(t.Context(), &pb.ConnectRequest{SessionId: s.id, Host: host, Port: port})
				result <- err
			}()
			k.event("HANDSHAKING")
			require.NoError(t, tc.end(t.Context(), c, s, good))
			require.Equal(t, "CANCELLED", reasonOf(t, <-result))
			require.Equal(t, tc.cause, follow(k, 1).GetCause())
		})
	}
}

func TestClocksOfConnecting(t *testing.T) {
	t.Parallel()
	short, long := durationpb.New(300*time.Millisecond), durationpb.New(time.Minute)
	for name, tc := range map[string]struct {
		addr     func(testing.TB) string
		settings *pb.SessionSettings
		dns      time.Duration
		reason   pb.ErrorReason
		phase    string
		event    pb.Phase
	}{
		"the DNS clock": {
			func(testing.TB) string { return "name.test:1" }, nil, 100 * time.Millisecond,
			pb.ErrorReason_ERROR_REASON_CONNECT_TIMEOUT, "dns", pb.Phase_PHASE_DNS,
		},
		"connect_timeout in DNS": {
			func(testing.TB) string { return "name.test:1" }, &pb.SessionSettings{ConnectTimeout: short}, time.Minute,
			pb.ErrorReason_ERROR_REASON_CONNECT_TIMEOUT, "dns", pb.Phase_PHASE_DNS,
		},
		"tcp_timeout": {
			fullBacklog, &pb.SessionSettings{Tcp: &pb.TcpSettings{TcpTimeout: short}, ConnectTimeout: long}, 0,
			pb.ErrorReason_ERROR_REASON_CONNECT_TIMEOUT, "tcp", pb.Phase_PHASE_TCP,
		},
		"connect_timeout in TCP": {
			fullBacklog, &pb.SessionSettings{Tcp: &pb.TcpSettings{TcpTimeout: long}, ConnectTimeout: short}, 0,
			pb.ErrorReason_ERROR_REASON_CONNECT_TIMEOUT, "tcp", pb.Phase_PHASE_TCP,
		},
		"handshake_timeout": {
			silent, &pb.SessionSettings{Tls: &pb.TlsSettings{HandshakeTimeout: short}, ConnectTimeout: long}, 0,
			pb.ErrorReason_ERROR_REASON_HANDSHAKE_TIMEOUT, "handshake", pb.Phase_PHASE_HANDSHAKE,
		},
		"connect_timeout in the handshake": {
			silent, &pb.SessionSettings{ConnectTimeout: durationpb.New(time.Nanosecond)}, 0, // counts as 250 ms
			pb.ErrorReason_ERROR_REASON_CONNECT_TIMEOUT, "handshake", pb.Phase_PHASE_HANDSHAKE,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			addr := tc.addr(t)
			c := servertest.Start(t, func(sc *session.Config, _ *server.Config) {
				sc.Resolver, sc.DNSTimeout = make(blockingResolver, 9), tc.dns
			}, servertest.AllowEgress(t, "127.0.0.0/8", "name.test")).Client(t)
			s := newIdle(t.Context(), t, c, nil, tc.settings)
			_, err := tryConnect(t.Context(), t, c, s, addr)
			require.Equal(t, codes.DeadlineExceeded, status.Code(err))
			reason, metadata := infoOf(t, err)
			require.Equal(t, nameOf(tc.reason), reason)
			require.Contains(t, metadata["phase"], tc.phase)
			k := attach(t.Context(), t, c, s, 1)
			closed := k.closed()
			require.Equal(t, tc.reason, closed.GetFailure().GetReason())
			require.Equal(t, pb.CloseCause_CLOSE_CAUSE_ERROR, closed.GetCause())
			require.Equal(t, tc.event, k.event("io_error").GetIoError().GetPhase())
			require.NotContains(t, k.kinds(), "remote_closed")
		})
	}
}

func TestPeerThatSpeaksHTTP(t *testing.T) {
	t.Parallel()
	addr := tlstest.ServeRaw(t, func(c net.Conn) {
		_, _ = c.Read(make([]byte, 1))
		_, _ = io.WriteString(c, "HTTP/1.1 400 Bad Request\r\n\r\n")
		_, _ = io.Copy(io.Discard, c)
	})
	c := servertest.Start(t).Client(t)
	s := newIdle(t.Context(), t, c, nil)
	_, err := tryConnect(t.Context(), t, c, s, addr)
	require.Equal(t, "NOT_TLS", reasonOf(t, err))
	require.Equal(t, pb.CertificateStatus_CERTIFICATE_STATUS_UNKNOWN, certificateStatus(t, c, s).GetStatus())
}

func TestSecondAttachSupersedesTheFirst(t *testing.T) {
	t.Parallel()
	l := make(listener, 1)
	addr, ca := scriptedPeer(t, l.handle)
	c := servertest.Start(t).Client(t)
	s := newIdle(t.Context(), t, c, ca)
	old := attach(t.Context(), t, c, s, 3)
	connectTo(t.Context(), t, c, s, addr)
	old.write([]byte("one"))
	old.until(func() bool { return len(old.data) == 3 })

	live := attach(t.Context(), t, c, s, 8)
	require.EqualValues(t, 3, live.attached.GetAcceptedOffset())
	require.EqualValues(t, 3, live.attached.GetSocketDataOffset())
	err := old.end()
	reason, metadata := infoOf(t, err)
	require.Equal(t, "SUPERSEDED", reason)
	require.Equal(t, codes.Aborted, status.Code(err))
	require.Equal(t, "8", metadata["attach_seq"])
	require.Equal(t, pb.ErrorReason_ERROR_REASON_SUPERSEDED, old.detached.GetFailure().GetReason())

	for name, tc := range map[string]struct {
		m      *pb.AttachSession
		reason string
	}{
		"delayed":               {&pb.AttachSession{ResumeToken: s.token, AttachSeq: 7}, "SUPERSEDED"},
		"the same again":        {&pb.AttachSession{ResumeToken: s.token, AttachSeq: 8}, "SUPERSEDED"},
		"no seq":                {&pb.AttachSession{ResumeToken: s.token}, "SUPERSEDED"},
		"no token":              {&pb.AttachSession{AttachSeq: 9}, "RESUME_TOKEN"},
		"wrong token":           {&pb.AttachSession{ResumeToken: make([]byte, 32), AttachSeq: 9}, "RESUME_TOKEN"},
		"a part of the token":   {&pb.AttachSession{ResumeToken: s.token[:31], AttachSeq: 9}, "RESUME_TOKEN"},
		"seq far ahead":         {&pb.AttachSession{ResumeToken: s.token, AttachSeq: 8 + 1<<20 + 1}, "OFFSET_MISMATCH"},
		"bytes never received":  {&pb.AttachSession{ResumeToken: s.token, AttachSeq: 9, ReceivedOffset: 4}, "OFFSET_MISMATCH"},
		"events never sent":     {&pb.AttachSession{ResumeToken: s.token, AttachSeq: 9, ReceivedEventSeq: 1000}, "OFFSET_MISMATCH"},
		"a generation to come":  {&pb.AttachSession{ResumeToken: s.token, AttachSeq: 9, Generation: 2}, "OFFSET_MISMATCH"},
		"negative seq":          {&pb.AttachSession{ResumeToken: s.token, AttachSeq: -1}, "INVALID_FIELD"},
		"seq of more than 2^53": {&pb.AttachSession{ResumeToken: s.token, AttachSeq: 1 << 53}, "INVALID_FIELD"},
	} {
		tc.m.SessionId = s.id
		require.Equal(t, tc.reason, reasonOf(t, start(t.Context(), t, c, attachFrame(tc.m)).end()), name)
	}
	require.EqualValues(t, 8, getSession(t.Context(), t, c, s).GetAttachSeq(), "none of them counted")

	live.send(dataFrame(1, 3, "two"))
	live.until(func() bool { return len(live.data) == 3 })
	require.Equal(t, "two", string(live.data))
	live.send(closeFrame(pb.CloseSocket_HOW_GRACEFUL))
	require.Equal(t, "onetwo", string(l.wait(t).data))
}

func TestAttachSeqMayJumpByTwoToTheTwentieth(t *testing.T) {
	t.Parallel()
	c := servertest.Start(t).Client(t)
	s := newIdle(t.Context(), t, c, nil)
	require.Equal(t, "OFFSET_MISMATCH", reasonOf(t, start(t.Context(), t, c,
		attachFrame(&pb.AttachSession{SessionId: s.id, AttachSeq: 1<<20 + 1})).end()))
	attach(t.Context(), t, c, s, 1<<20)
}

func TestOfRacingAttachesOneLives(t *testing.T) {
	t.Parallel()
	const racers = 100
	l := make(listener, 1)
	addr, ca := scriptedPeer(t, l.handle)
	c := servertest.Start(t).Client(t)
	s := newIdle(t.Context(), t, c, ca)
	connectTo(t.Context(), t, c, s, addr)
	var wg sync.WaitGroup
	alive := make(chan *caller, racers)
	errs := make([]error, racers+1)
	for seq := 1; seq <= racers; seq++ {
		k := start(t.Context(), t, c, attachFrame(&pb.AttachSession{SessionId: s.id, ResumeToken: s.token, AttachSeq: int64(seq)}))
		wg.Go(func() {
			for k.attached == nil || seq < racers {
				if errs[seq] = k.next(); errs[seq] != nil {
					return
				}
			}
			alive <- k
		})
	}
	wg.Wait()
	close(alive)
	for seq := 1; seq < racers; seq++ {
		require.Equal(t, "SUPERSEDED", reasonOf(t, errs[seq]), "seq %d", seq)
	}
	require.NoError(t, errs[racers])
	require.Len(t, alive, 1)
	k := <-alive
	require.EqualValues(t, racers, getSession(t.Context(), t, c, s).GetAttachSeq())
	k.write(bytes.Repeat([]byte("x"), 1000))
	k.until(func() bool { return len(k.data) == 1000 })
	k.send(closeFrame(pb.CloseSocket_HOW_GRACEFUL))
	require.Len(t, l.wait(t).data, 1000)
}
