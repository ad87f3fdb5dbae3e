package server_test

import (
	"context"
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

func startTLSReason(tb testing.TB, c pb.SecureSocketServiceClient, s idle, m *pb.StartTls) string {
	tb.Helper()
	_, err := c.StartTls(tb.Context(), &pb.StartTlsRequest{SessionId: s.id, StartTls: m})
	if err == nil {
		return ""
	}
	return reasonOf(tb, err)
}

// TLS is entered from plain mode alone, while both directions are open. Whatever is refused changes nothing.
func TestStatesThatStartTLSRefuses(t *testing.T) {
	t.Parallel()
	secure, ca := echoServer(t)
	c := servertest.Start(t).Client(t)
	refused := func(t *testing.T, s idle) {
		t.Helper()
		before := getSession(t.Context(), t, c, s)
		require.Equal(t, "SESSION_STATE", startTLSReason(t, c, s, asClient(0, 0)))
		after := getSession(t.Context(), t, c, s)
		require.Equal(t, before.GetState(), after.GetState())
		require.Equal(t, before.GetMode(), after.GetMode())
	}
	for name, f := range map[string]func(t *testing.T){
		"before Connect": func(t *testing.T) {
			s := newIdle(t.Context(), t, c, ca)
			refused(t, s)
			stillWorks(t.Context(), t, c, s, secure)
			refused(t, s) // it has ended
		},
		"connecting": func(t *testing.T) {
			s := newIdle(t.Context(), t, c, ca)
			host, port := hostPort(t, fullBacklog(t))
			_, err := c.Connect(t.Context(), &pb.ConnectRequest{SessionId: s.id, Host: host, Port: port, Plain: true, ReturnImmediately: true})
			require.NoError(t, err)
			refused(t, s)
		},
		"in the handshake": func(t *testing.T) {
			s := newIdle(t.Context(), t, c, ca)
			begin(t, c, s, silent(t))
			inState(t, c, s, pb.State_STATE_HANDSHAKING)
			refused(t, s)
		},
		"asking for TLS": func(t *testing.T) {
			s := newIdle(t.Context(), t, c, ca)
			host, port := hostPort(t, silent(t))
			_, err := c.Connect(t.Context(), &pb.ConnectRequest{SessionId: s.id, Host: host, Port: port, StartTlsProtocol: "smtp", ReturnImmediately: true})
			require.NoError(t, err)
			inState(t, c, s, pb.State_STATE_CONNECTED)
			refused(t, s)
		},
		"encrypted": func(t *testing.T) {
			s := newIdle(t.Context(), t, c, ca)
			connectTo(t.Context(), t, c, s, secure)
			refused(t, s)
			k := attach(t.Context(), t, c, s, 1)
			require.Equal(t, "SESSION_STATE", refusedFrame(k, asClient(0, 0)))
			k.write([]byte("goes on"))
			k.until(func() bool { return string(k.data) == "goes on" })
		},
		"after the peer's FIN": func(t *testing.T) {
			s := newIdle(t.Context(), t, c, ca)
			got := make(chan string, 1)
			connectPlainly(t, c, s, tlstest.ServeRaw(t, func(conn net.Conn) {
				_ = conn.(*net.TCPConn).CloseWrite()
				b, _ := io.ReadAll(conn)
				got <- string(b)
			}))
			k := attach(t.Context(), t, c, s, 1)
			k.event("remote_closed")
			refused(t, s)
			require.Equal(t, "SESSION_STATE", refusedFrame(k, asClient(0, 0)))
			k = attach(t.Context(), t, c, s, 2) // behind that frame nothing leaves in clear
			k.write([]byte("goes on"))
			k.finish()
			require.Equal(t, "goes on", <-got)
		},
		"after the caller's finish": func(t *testing.T) {
			s := newIdle(t.Context(), t, c, ca)
			may := make(chan struct{})
			connectPlainly(t, c, s, tlstest.ServeRaw(t, func(conn net.Conn) {
				_, _ = io.Copy(io.Discard, conn)
				<-may
				_, _ = io.WriteString(conn, "goes on")
			}))
			k := attach(t.Context(), t, c, s, 1)
			_, err := c.Close(t.Context(), &pb.CloseRequest{SessionId: s.id, Close: &pb.CloseSocket{How: pb.CloseSocket_HOW_WRITE_HALF}})
			require.NoError(t, err)
			refused(t, s)
			require.Equal(t, "SESSION_STATE", refusedFrame(k, asClient(0, 0)))
			close(may)
			k.closed()
			require.Equal(t, "goes on", string(k.data))
		},
		"before a finish that waits": func(t *testing.T) { // the finish is for bytes that are fewer than send_offset
			s := newIdle(t.Context(), t, c, ca)
			connectPlainly(t, c, s, silent(t))
			k := attach(t.Context(), t, c, s, 1)
			offset := int64(5)
			k.send(&pb.AttachRequest{Frame: &pb.AttachRequest_Close{Close: &pb.CloseSocket{How: pb.CloseSocket_HOW_WRITE_HALF, SendOffset: &offset}}})
			require.Equal(t, "OFFSET_MISMATCH", refusedFrame(k, asClient(0, 6)))
		},
		"closing": func(t *testing.T) {
			s := newIdle(t.Context(), t, c, ca)
			may := make(chan struct{})
			connectPlainly(t, c, s, tlstest.ServeRaw(t, func(conn net.Conn) { <-may; _, _ = io.Copy(io.Discard, conn) }))
			k := attach(t.Context(), t, c, s, 1)
			k.write([]byte("x"))
			k.send(closeFrame(pb.CloseSocket_HOW_GRACEFUL))
			k.until(func() bool { return last(k.kinds()) == "CLOSING" })
			refused(t, s)
			close(may)
			k.closed()
		},
		"deleted": func(t *testing.T) {
			s := newIdle(t.Context(), t, c, ca)
			connectPlainly(t, c, s, silent(t))
			require.Equal(t, "SESSION_NOT_FOUND", func() string {
				_, err := c.StartTls(servertest.As(t.Context(), "another"), &pb.StartTlsRequest{SessionId: s.id, StartTls: asClient(0, 0)})
				return reasonOf(t, err)
			}(), "another's")
			_, err := c.DeleteSession(t.Context(), &pb.DeleteSessionRequest{SessionId: s.id})
			require.NoError(t, err)
			require.Equal(t, "SESSION_NOT_FOUND", startTLSReason(t, c, s, asClient(0, 0)))
		},
	} {
		t.Run(name, func(t *testing.T) { t.Parallel(); f(t) })
	}
}

// inState waits until a session is in a state.
func inState(tb testing.TB, c pb.SecureSocketServiceClient, s idle, state pb.State) {
	tb.Helper()
	require.Eventually(tb, func() bool { return getSession(tb.Context(), tb, c, s).GetState() == state }, patience, time.Millisecond)
}

// What a StartTls says wrongly is refused before the socket is touched.
func TestStartTLSArguments(t *testing.T) {
	t.Parallel()
	c := servertest.Start(t).Client(t)
	const far = int64(1) << 53
	eachEntrance(t, func(t *testing.T, by entrance) {
		k := open(t, c, plainEcho(t), nil, plainly)
		k.until(func() bool { return last(k.kinds()) == "CONNECTED" })
		for name, tc := range map[string]struct {
			m      *pb.StartTls
			reason string
		}{
			"no identity":         {asServer(0, 0), "INVALID_FIELD"},
			"no role":             {&pb.StartTls{}, "INVALID_FIELD"},
			"receive_offset < 0":  {asClient(-1, 0), "INVALID_FIELD"},
			"send_offset < 0":     {asClient(0, -1), "INVALID_FIELD"},
			"receive_offset 2^53": {asClient(far, 0), "INVALID_FIELD"},
			"send_offset 2^53":    {asClient(0, far), "INVALID_FIELD"},
			"generation < 0":      {&pb.StartTls{Role: pb.TlsRole_TLS_ROLE_CLIENT, Generation: -1}, "INVALID_FIELD"},
			"generation":          {&pb.StartTls{Role: pb.TlsRole_TLS_ROLE_CLIENT, Generation: 2}, "SESSION_STATE"},
			"request_id":          {&pb.StartTls{Role: pb.TlsRole_TLS_ROLE_CLIENT, RequestId: string(letters(129))}, "INVALID_FIELD"},
		} {
			require.Equal(t, tc.reason, by.begin(k, c, tc.m)(), name)
		}
		k = attach(t.Context(), t, c, k.session(), 2) // behind a frame that was refused nothing leaves in clear
		k.write([]byte("still in clear"))
		k.until(func() bool { return string(k.data) == "still in clear" })
		_, err := c.StartTls(t.Context(), &pb.StartTlsRequest{SessionId: k.session().id})
		require.Equal(t, "INVALID_FIELD", reasonOf(t, err), "no start_tls")
		_, err = c.StartTls(t.Context(), &pb.StartTlsRequest{SessionId: k.session().id, StartTls: &pb.StartTls{Role: 7}})
		require.Equal(t, "INVALID_FIELD", reasonOf(t, err), "an unknown role")
		k.finish()
		require.Nil(t, k.closed().GetFailure())
	})
}

// While one StartTls runs, and after it, there is no second.
func TestSecondStartTLS(t *testing.T) {
	t.Parallel()
	eachEntrance(t, func(t *testing.T, by entrance) {
		addr, ca := echoServer(t)
		c := servertest.Start(t).Client(t)
		k := open(t, c, addr, ca, plainly)
		k.until(func() bool { return last(k.kinds()) == "CONNECTED" })
		// The peer takes all of it for TLS: the plain part is empty, but for the caller who says that it is still to come.
		first := startingTLS(t, c, k.session(), &pb.StartTls{Role: pb.TlsRole_TLS_ROLE_CLIENT, RequestId: "first"})
		require.NoError(t, outcome(t, first))
		k.secure()
		require.Equal(t, "SESSION_STATE", by.begin(k, c, asClient(0, 0))())
		k.write([]byte("goes on"))
		k.until(func() bool { return string(k.data) == "goes on" })

		slow := open(t, c, silent(t), ca, plainly)
		slow.write([]byte("x"))
		slow.until(func() bool { return slow.progress.GetWrittenOffset() == 1 })
		second := startingTLS(t, c, slow.session(), asClient(0, 2))
		switching(t, c, slow.session())
		require.Equal(t, "SESSION_STATE", by.begin(slow, c, asClient(0, 2))())
		slow.write([]byte("y")) // the handshake begins, and meets silence
		slow.event("mode_changed")
		require.Equal(t, "SESSION_STATE", by.begin(slow, c, asClient(0, 2))())
		slow.send(closeFrame(pb.CloseSocket_HOW_ABORT))
		require.Equal(t, "CANCELLED", reasonOf(t, outcome(t, second)))
		require.Nil(t, slow.closed().GetFailure(), "the caller's own end")
	})
}

// A call that comes again joins, and learns the outcome long after, whatever it was.
func TestStartTLSAgain(t *testing.T) {
	t.Parallel()
	addr, ca := echoServer(t)
	c := servertest.Start(t).Client(t)
	for name, tc := range map[string]struct {
		addr string
		ca   *tlstest.CA
		want string
	}{
		"success": {addr, ca, ""}, "failure": {addr, nil, "CERTIFICATE_UNTRUSTED_SIGNERS"},
		"timeout": {silent(t), nil, "HANDSHAKE_TIMEOUT"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newIdle(t.Context(), t, c, tc.ca, &pb.SessionSettings{Tls: &pb.TlsSettings{HandshakeTimeout: durationpb.New(time.Second)}})
			connectPlainly(t, c, s, tc.addr)
			m := &pb.StartTls{Role: pb.TlsRole_TLS_ROLE_CLIENT, RequestId: "again"}
			var all []<-chan error
			for range 4 {
				all = append(all, startingTLS(t, c, s, m))
			}
			reason := func(err error) string {
				if err == nil {
					return ""
				}
				return reasonOf(t, err)
			}
			for _, done := range all {
				require.Equal(t, tc.want, reason(outcome(t, done)))
			}
			require.Equal(t, tc.want, startTLSReason(t, c, s, m), "afterwards")
			other := &pb.StartTls{Role: pb.TlsRole_TLS_ROLE_CLIENT, RequestId: "again", SendOffset: 1}
			require.Equal(t, "REQUEST_ID_REUSED", startTLSReason(t, c, s, other))
			k := attach(t.Context(), t, c, s, 1)
			k.send(&pb.AttachRequest{Frame: &pb.AttachRequest_StartTls{StartTls: m}}) // joins too: no refusal
			require.Equal(t, "REQUEST_ID_REUSED", refusedFrame(k, other))
			require.Len(t, k.refused, 1)
			require.Equal(t, tc.want == "", getSession(t.Context(), t, c, s).GetState() == pb.State_STATE_ENCRYPTED)
		})
	}
}

// Who waits for it may go; when all have, the connection ends. A frame does not go.
func TestStartTLSGivenUp(t *testing.T) {
	t.Parallel()
	c := servertest.Start(t).Client(t)
	ended := make(chan error, 1)
	addr := tlstest.ServeRaw(t, func(conn net.Conn) {
		_, err := io.Copy(io.Discard, conn)
		ended <- err
	})
	s := newIdle(t.Context(), t, c, nil)
	connectPlainly(t, c, s, addr)
	k := attach(t.Context(), t, c, s, 1)
	m := &pb.StartTls{Role: pb.TlsRole_TLS_ROLE_CLIENT, RequestId: "1"}
	ctx, cancel := context.WithCancel(t.Context())
	var done []chan struct{}
	call := func() {
		one := make(chan struct{})
		done = append(done, one)
		go func() {
			defer close(one)
			_, _ = c.StartTls(ctx, &pb.StartTlsRequest{SessionId: s.id, StartTls: m})
		}()
	}
	call()
	call()
	k.event("mode_changed")
	cancel()
	for _, one := range done {
		<-one
	}
	closed := k.closed()
	require.Nil(t, closed.GetFailure())
	require.Equal(t, pb.CloseCause_CLOSE_CAUSE_LOCAL, closed.GetCause())
	require.Error(t, <-ended, "RST")
}
