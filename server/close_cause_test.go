package server_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/types/known/durationpb"

	pb "securesocket/gen/securesocket/v1"
	"securesocket/server"
	"securesocket/server/servertest"
	"securesocket/session"
	"securesocket/tlsengine/tlstest"
)

// bothVersions runs a test over TLS 1.2 and over TLS 1.3.
func bothVersions(t *testing.T, f func(t *testing.T, version uint16)) {
	t.Helper()
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		t.Run(tls.VersionName(version), func(t *testing.T) {
			t.Parallel()
			f(t, version)
		})
	}
}

func onlyVersion(version uint16) func(*tls.Config) {
	return func(c *tls.Config) { c.MinVersion, c.MaxVersion = version, version }
}

// scriptedPeer is a trusted TLS server with a handler of the test's.
func scriptedPeer(tb testing.TB, handle func(*tls.Conn), change ...func(*tls.Config)) (string, *tlstest.CA) {
	tb.Helper()
	ca := tlstest.NewCA(tb)
	cfg := &tls.Config{Certificates: []tls.Certificate{ca.Leaf().Certificate()}}
	for _, f := range change {
		f(cfg)
	}
	return tlstest.Serve(tb, cfg, handle), ca
}

// heard is what a peer got until the caller's end.
type heard struct {
	data []byte
	err  error // nil: close_notify
}

// listener is a peer that echoes, ends politely after the caller's end, and
// tells what it got.
type listener chan heard

func (l listener) handle(conn *tls.Conn) {
	var got bytes.Buffer
	_, err := io.Copy(conn, io.TeeReader(conn, &got))
	if err == nil {
		tlstest.CloseNotify(conn)
	}
	l <- heard{got.Bytes(), err}
}

func (l listener) wait(tb testing.TB) heard {
	tb.Helper()
	select {
	case h := <-l:
		return h
	case <-tb.Context().Done():
	case <-patienceOf(tb):
	}
	require.Fail(tb, "the peer heard no end")
	return heard{}
}

// patienceOf is done when the patience is over.
func patienceOf(tb testing.TB) <-chan struct{} {
	ctx, cancel := context.WithTimeout(tb.Context(), patience)
	tb.Cleanup(cancel)
	return ctx.Done()
}

// follow takes frames until a generation is closed, and sees that every event
// comes after exactly the bytes that it says.
func follow(k *caller, generation int64) *pb.Closed {
	k.tb.Helper()
	for seen := len(k.events); ; {
		require.NoError(k.tb, k.next(), "events so far: %v", k.kinds())
		for ; seen < len(k.events); seen++ {
			e := k.events[seen]
			require.EqualValues(k.tb, len(k.data), e.GetSocketDataOffset(), "%v", e)
			if e.GetClosed() != nil && e.GetGeneration() == generation {
				return e.GetClosed()
			}
		}
	}
}

// ended is how a generation is expected to have ended.
type ended struct {
	tail            []string       // the events after secure_connected
	remote          pb.CloseCause  // of remote_closed, if tail has it
	failure         pb.ErrorReason // of closed, and of io_error if tail has it; 0: none
	cause           pb.CloseCause
	read, write     pb.CloseCause
	received, sent  int64
	failureMetadata map[string]string // a part of it
}

func (want ended) check(tb testing.TB, all []*pb.Event, generation int64) {
	tb.Helper()
	var tail []string
	var closes int
	secure := false
	for _, e := range all {
		if e.GetGeneration() != generation {
			continue
		}
		if secure {
			tail = append(tail, kindOf(e))
		}
		switch {
		case e.GetSecureConnected() != nil:
			secure = true
		case e.GetRemoteClosed() != nil:
			require.Equal(tb, want.remote, e.GetRemoteClosed().GetCause())
			require.Equal(tb, want.received, e.GetRemoteClosed().GetFinalOffset())
			require.Equal(tb, want.received, e.GetSocketDataOffset())
		case e.GetIoError() != nil:
			require.Equal(tb, want.failure, e.GetIoError().GetFailure().GetReason())
			require.Equal(tb, pb.Phase_PHASE_DATA, e.GetIoError().GetPhase())
		case e.GetClosed() != nil:
			closes++
			c := e.GetClosed()
			require.Equal(tb, want.failure, c.GetFailure().GetReason(), "%v", c)
			require.Subset(tb, c.GetFailure().GetMetadata(), want.failureMetadata)
			require.Equal(tb, want.cause, c.GetCause())
			require.Equal(tb, want.read, c.GetReadCause(), "the reading half")
			require.Equal(tb, want.write, c.GetWriteCause(), "the writing half")
			require.Equal(tb, want.received, c.GetReceivedBytes())
			require.Equal(tb, want.sent, c.GetSentBytes())
		}
	}
	require.Equal(tb, want.tail, tail)
	require.Equal(tb, 1, closes, "exactly one closed")
	require.Equal(tb, "closed", tail[len(tail)-1], "and it is the last")
}

// checkSession sees that GetSession says what the events said.
func (want ended) checkSession(tb testing.TB, c pb.SecureSocketServiceClient, id string) {
	tb.Helper()
	resp, err := c.GetSession(tb.Context(), &pb.GetSessionRequest{SessionId: id})
	require.NoError(tb, err)
	s := resp.GetSession()
	require.Equal(tb, pb.State_STATE_UNCONNECTED, s.GetState())
	require.Equal(tb, pb.Mode_MODE_UNSPECIFIED, s.GetMode())
	require.Equal(tb, want.cause, s.GetCloseCause())
	require.Equal(tb, want.read, s.GetReadCause())
	require.Equal(tb, want.write, s.GetWriteCause())
	require.Equal(tb, want.received, s.GetReceivedBytes())
	require.Equal(tb, want.sent, s.GetSentBytes())
	require.Equal(tb, want.failure, s.GetLastError().GetReason())
	require.Zero(tb, s.GetBufferedBytes())
	require.Nil(tb, s.GetTls())
	require.Nil(tb, s.GetPeerCertificate(), "not sticky")
	require.Equal(tb, pb.CertificateStatus_CERTIFICATE_STATUS_TRUSTED, s.GetCertificateStatus(), "sticky")
}

func keepSession(m *pb.Open) { m.KeepSession = true }

func TestEndsOfThePeer(t *testing.T) {
	t.Parallel()
	payload := bytes.Repeat([]byte("0123456789"), 5000)
	for name, tc := range map[string]struct {
		end  func(*tls.Conn)
		want ended
	}{
		"FIN at a record boundary": {tlstest.Truncate, ended{
			remote: pb.CloseCause_CLOSE_CAUSE_PEER_TRUNCATED, failure: pb.ErrorReason_ERROR_REASON_PEER_TRUNCATED,
		}},
		"FIN inside a record": {func(c *tls.Conn) { tlstest.TruncateRecord(c, 60) }, ended{
			remote: pb.CloseCause_CLOSE_CAUSE_PEER_TRUNCATED_RECORD, failure: pb.ErrorReason_ERROR_REASON_PEER_TRUNCATED,
		}},
		"RST": {tlstest.Reset, ended{
			remote: pb.CloseCause_CLOSE_CAUSE_PEER_RESET, failure: pb.ErrorReason_ERROR_REASON_PEER_RESET,
		}},
		"fatal alert": {tlstest.FatalAlert, ended{
			remote: pb.CloseCause_CLOSE_CAUSE_PEER_ALERT, failure: pb.ErrorReason_ERROR_REASON_PEER_ALERT,
			failureMetadata: map[string]string{"alert": "20", "alert_name": "bad_record_mac"},
		}},
		// The service ends it, so there is no remote_closed.
		"record that does not decrypt": {func(c *tls.Conn) { _ = tlstest.SpoilRecord(c) }, ended{
			failure: pb.ErrorReason_ERROR_REASON_PEER_MISBEHAVED, cause: pb.CloseCause_CLOSE_CAUSE_ERROR,
			tail: []string{"io_error", "UNCONNECTED", "closed"},
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bothVersions(t, func(t *testing.T, version uint16) {
				addr, ca := scriptedPeer(t, func(conn *tls.Conn) {
					if _, err := io.ReadFull(conn, make([]byte, 5)); err == nil {
						_, _ = conn.Write(payload)
						tc.end(conn)
					}
				}, onlyVersion(version))
				c := servertest.Start(t).Client(t)
				k := open(t, c, addr, ca, keepSession)
				k.secure()
				k.write([]byte("hello"))
				follow(k, 1)
				require.True(t, bytes.Equal(payload, k.data), "all that came before the end, and no more")
				want := tc.want
				if want.tail == nil {
					want.tail = []string{"io_error", "remote_closed", "UNCONNECTED", "closed"}
					want.cause = want.remote
				}
				want.read, want.write = want.cause, want.cause
				want.received, want.sent = int64(len(payload)), 5
				want.checkSession(t, c, k.attached.GetSession().GetSessionId())
				require.NoError(t, k.stream.CloseSend())
				require.NoError(t, k.end())
				want.check(t, k.events, 1)
			})
		})
	}
}

func TestAfterThePeersCloseNotifyTheCallerWritesOn(t *testing.T) {
	t.Parallel()
	bothVersions(t, func(t *testing.T, version uint16) {
		l := make(listener, 1)
		callerDone := make(chan struct{})
		const size = 1 << 20 // more than the peer's kernel takes unread
		addr, ca := scriptedPeer(t, func(conn *tls.Conn) {
			_, _ = conn.Write([]byte("last words"))
			_ = conn.CloseWrite()
			select {
			case <-callerDone: // reads late: what is written must survive the end
			case <-t.Context().Done():
			}
			got, err := io.ReadAll(conn)
			l <- heard{got, err}
		}, onlyVersion(version))
		c := servertest.Start(t).Client(t)
		k := open(t, c, addr, ca, keepSession)
		k.event("remote_closed")
		require.Equal(t, "last words", string(k.data))
		sent := bytes.Repeat([]byte("more"), size/4)
		k.write(sent)
		k.finish()
		k.closed()
		close(callerDone)
		h := l.wait(t)
		require.NoError(t, h.err, "close_notify")
		require.True(t, bytes.Equal(sent, h.data), "%d bytes of %d", len(h.data), size)
		want := ended{
			tail:   []string{"remote_closed", "UNCONNECTED", "closed"},
			remote: pb.CloseCause_CLOSE_CAUSE_PEER_CLOSE_NOTIFY,
			cause:  pb.CloseCause_CLOSE_CAUSE_PEER_CLOSE_NOTIFY,
			read:   pb.CloseCause_CLOSE_CAUSE_PEER_CLOSE_NOTIFY, write: pb.CloseCause_CLOSE_CAUSE_LOCAL,
			received: 10, sent: size,
		}
		want.check(t, k.events, 1)
		want.checkSession(t, c, k.attached.GetSession().GetSessionId())
	})
}

func TestGracefulCloseReachesAPeerThatReadsLate(t *testing.T) {
	t.Parallel()
	l := make(listener, 1)
	callerDone := make(chan struct{})
	addr, ca := scriptedPeer(t, func(conn *tls.Conn) {
		select {
		case <-callerDone:
		case <-t.Context().Done():
		}
		got, err := io.ReadAll(conn)
		l <- heard{got, err}
	})
	k := open(t, servertest.Start(t).Client(t), addr, ca)
	k.secure()
	sent := bytes.Repeat([]byte("late"), 1<<18)
	k.write(sent)
	k.send(closeFrame(pb.CloseSocket_HOW_GRACEFUL))
	require.Equal(t, pb.CloseCause_CLOSE_CAUSE_LOCAL, k.closed().GetCause())
	close(callerDone)
	h := l.wait(t)
	require.NoError(t, h.err, "close_notify")
	require.True(t, bytes.Equal(sent, h.data), "%d bytes of %d", len(h.data), len(sent))
}

func TestEndsOfTheCaller(t *testing.T) {
	t.Parallel()
	const local = pb.CloseCause_CLOSE_CAUSE_LOCAL
	closing := []string{"CLOSING", "UNCONNECTED", "closed"}
	silent := []string{"UNCONNECTED", "closed"}
	type scene struct {
		c  pb.SecureSocketServiceClient
		k  *caller
		id string
	}
	for name, tc := range map[string]struct {
		settings *pb.SessionSettings
		end      func(t *testing.T, s scene)
		want     ended
		reset    bool // what the peer sees
		gone     bool // the session, afterwards
	}{
		"graceful, on the stream": {
			end:  func(_ *testing.T, s scene) { s.k.send(closeFrame(pb.CloseSocket_HOW_GRACEFUL)) },
			want: ended{tail: closing, cause: local, read: local, write: local},
		},
		"graceful, by Close": {
			end: func(t *testing.T, s scene) {
				resp, err := s.c.Close(t.Context(), &pb.CloseRequest{SessionId: s.id})
				require.NoError(t, err)
				require.Equal(t, pb.State_STATE_UNCONNECTED, resp.GetSession().GetState())
			},
			want: ended{tail: closing, cause: local, read: local, write: local},
		},
		"half, then the peer": {
			end: func(_ *testing.T, s scene) { s.k.finish() },
			want: ended{
				tail: []string{"remote_closed", "UNCONNECTED", "closed"}, remote: pb.CloseCause_CLOSE_CAUSE_PEER_CLOSE_NOTIFY,
				cause: local, read: pb.CloseCause_CLOSE_CAUSE_PEER_CLOSE_NOTIFY, write: local,
			},
		},
		"half by Close, then the peer": {
			end: func(t *testing.T, s scene) {
				_, err := s.c.Close(t.Context(), &pb.CloseRequest{SessionId: s.id, Close: &pb.CloseSocket{How: pb.CloseSocket_HOW_WRITE_HALF}})
				require.NoError(t, err)
			},
			want: ended{
				tail: []string{"remote_closed", "UNCONNECTED", "closed"}, remote: pb.CloseCause_CLOSE_CAUSE_PEER_CLOSE_NOTIFY,
				cause: local, read: pb.CloseCause_CLOSE_CAUSE_PEER_CLOSE_NOTIFY, write: local,
			},
		},
		"abort": {
			end:   func(_ *testing.T, s scene) { s.k.send(closeFrame(pb.CloseSocket_HOW_ABORT)) },
			want:  ended{tail: silent, cause: local, read: local, write: local},
			reset: true,
		},
		"delete": {
			end: func(t *testing.T, s scene) {
				_, err := s.c.DeleteSession(t.Context(), &pb.DeleteSessionRequest{SessionId: s.id})
				require.NoError(t, err)
			},
			want: ended{
				tail: silent, cause: pb.CloseCause_CLOSE_CAUSE_DELETED,
				read: pb.CloseCause_CLOSE_CAUSE_DELETED, write: pb.CloseCause_CLOSE_CAUSE_DELETED,
			},
			gone: true,
		},
		"idle": {
			settings: &pb.SessionSettings{IdleTimeout: durationpb.New(200 * time.Millisecond)},
			end:      func(*testing.T, scene) {},
			want: ended{
				tail: silent, cause: pb.CloseCause_CLOSE_CAUSE_IDLE_TIMEOUT,
				read: pb.CloseCause_CLOSE_CAUSE_IDLE_TIMEOUT, write: pb.CloseCause_CLOSE_CAUSE_IDLE_TIMEOUT,
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bothVersions(t, func(t *testing.T, version uint16) {
				l := make(listener, 1)
				addr, ca := scriptedPeer(t, l.handle, onlyVersion(version))
				c := servertest.Start(t).Client(t)
				k := open(t, c, addr, ca, keepSession, func(m *pb.Open) { m.Settings = tc.settings })
				k.secure()
				k.write([]byte("hello"))
				k.until(func() bool { return len(k.data) == 5 && k.progress.GetWrittenOffset() == 5 })
				id := k.attached.GetSession().GetSessionId()
				tc.end(t, scene{c, k, id})
				follow(k, 1)
				want := tc.want
				want.received, want.sent = 5, 5
				if tc.gone {
					_, err := c.GetSession(t.Context(), &pb.GetSessionRequest{SessionId: id})
					require.Equal(t, "SESSION_NOT_FOUND", reasonOf(t, err))
				} else {
					want.checkSession(t, c, id)
					require.NoError(t, k.stream.CloseSend())
				}
				require.NoError(t, k.end())
				want.check(t, k.events, 1)
				h := l.wait(t)
				require.Equal(t, "hello", string(h.data))
				require.Equal(t, tc.reset, errors.Is(h.err, syscall.ECONNRESET), "%v", h.err)
				require.Equal(t, tc.reset, h.err != nil, "%v", h.err)
			})
		})
	}
}

func TestReconnectEndsTheOldConnectionSilently(t *testing.T) {
	t.Parallel()
	bothVersions(t, func(t *testing.T, version uint16) {
		l := make(listener, 2)
		addr, ca := scriptedPeer(t, l.handle, onlyVersion(version))
		c := servertest.Start(t).Client(t)
		k := open(t, c, addr, ca, keepSession)
		k.secure()
		k.write([]byte("hello"))
		k.until(func() bool { return len(k.data) == 5 })
		host, port := hostPort(t, addr)
		id := k.attached.GetSession().GetSessionId()
		resp, err := c.Connect(t.Context(), &pb.ConnectRequest{SessionId: id, Host: host, Port: port})
		require.NoError(t, err)
		require.EqualValues(t, 2, resp.GetSession().GetGeneration())
		require.Equal(t, pb.State_STATE_ENCRYPTED, resp.GetSession().GetState())
		require.Zero(t, resp.GetSession().GetCloseCause())
		require.Zero(t, resp.GetSession().GetReceivedBytes())
		follow(k, 1)
		reconnect := pb.CloseCause_CLOSE_CAUSE_RECONNECT
		ended{
			tail: []string{"UNCONNECTED", "closed"}, cause: reconnect, read: reconnect, write: reconnect, received: 5, sent: 5,
		}.check(t, k.events, 1)
		require.Equal(t, "hello", string(l.wait(t).data))
	})
}

func TestConnectionWithoutAStreamExpires(t *testing.T) {
	t.Parallel()
	bothVersions(t, func(t *testing.T, version uint16) {
		addr, ca := echoServer(t, onlyVersion(version))
		c := servertest.Start(t, func(sc *session.Config, _ *server.Config) { sc.DetachGrace = 300 * time.Millisecond }).Client(t)
		s := newIdle(t.Context(), t, c, ca)
		connectTo(t.Context(), t, c, s, addr)
		w, err := c.Wait(t.Context(), &pb.WaitRequest{SessionId: s.id, Condition: pb.WaitRequest_CONDITION_DISCONNECTED})
		require.NoError(t, err)
		require.True(t, w.GetReached())
		expired := pb.CloseCause_CLOSE_CAUSE_DETACH_EXPIRED
		want := ended{tail: []string{"UNCONNECTED", "closed"}, cause: expired, read: expired, write: expired}
		want.checkSession(t, c, s.id)
		k := attach(t.Context(), t, c, s, 1)
		k.closed()
		want.check(t, k.events, 1)
	})
}

func TestDrainEndsWhatIsLeft(t *testing.T) {
	t.Parallel()
	bothVersions(t, func(t *testing.T, version uint16) {
		addr, ca := echoServer(t, onlyVersion(version))
		service := servertest.Start(t)
		k := open(t, service.Client(t), addr, ca, keepSession)
		k.secure()
		k.write([]byte("hello"))
		k.until(func() bool { return len(k.data) == 5 })
		ctx, over := context.WithTimeout(t.Context(), patience)
		defer over()
		var wg sync.WaitGroup
		wg.Go(func() { service.Server.Drain(ctx) })
		require.NotZero(t, k.event("draining").GetDraining().GetDeadlineTime().AsTime())
		k.write([]byte("still live"))
		k.until(func() bool { return string(k.data) == "hellostill live" })
		over()
		follow(k, 1)
		require.Equal(t, "DRAINING", reasonOf(t, k.end()))
		require.Equal(t, pb.ErrorReason_ERROR_REASON_DRAINING, k.detached.GetFailure().GetReason())
		drain := pb.CloseCause_CLOSE_CAUSE_DRAIN
		ended{
			tail: []string{"draining", "UNCONNECTED", "closed"}, failure: pb.ErrorReason_ERROR_REASON_DRAINING,
			cause: drain, read: drain, write: drain, received: 15, sent: 15,
		}.check(t, k.events, 1)
		wg.Wait()
	})
}

func TestCancelledStreamAbortsTheSocket(t *testing.T) {
	t.Parallel()
	l := make(listener, 1)
	addr, ca := scriptedPeer(t, l.handle)
	c := servertest.Start(t).Client(t)
	k := open(t, c, addr, ca, keepSession)
	k.secure()
	k.cancel()
	id := k.attached.GetSession().GetSessionId()
	w, err := c.Wait(t.Context(), &pb.WaitRequest{SessionId: id, Condition: pb.WaitRequest_CONDITION_DISCONNECTED})
	require.NoError(t, err)
	require.True(t, w.GetReached())
	require.Equal(t, pb.CloseCause_CLOSE_CAUSE_LOCAL, w.GetSession().GetCloseCause())
	require.ErrorIs(t, l.wait(t).err, syscall.ECONNRESET)
}
