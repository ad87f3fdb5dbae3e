package client_test

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"

	"securesocket/client"
	pb "securesocket/gen/securesocket/v1"
)

// plain sends everything up to a plain connection.
func (s *fakeStream) plain() {
	s.attached()
	s.plainEvents()
}

func (s *fakeStream) plainEvents() {
	s.state(pb.State_STATE_UNCONNECTED, pb.State_STATE_CONNECTING)
	s.event(&pb.Event{Kind: &pb.Event_TcpConnected{TcpConnected: &pb.TcpConnected{Local: endpoint(nil), Remote: endpoint(nil)}}})
	s.state(pb.State_STATE_CONNECTING, pb.State_STATE_CONNECTED)
	s.mode(pb.Mode_MODE_PLAIN)
}

func (s *fakeStream) mode(mode pb.Mode) {
	s.event(&pb.Event{Kind: &pb.Event_ModeChanged{ModeChanged: &pb.ModeChanged{Mode: mode}}})
}

// enters is what the service tells of a handshake in that mode that succeeds.
func (s *fakeStream) enters(mode pb.Mode) {
	s.state(pb.State_STATE_CONNECTED, pb.State_STATE_HANDSHAKING)
	s.mode(mode)
	s.state(pb.State_STATE_HANDSHAKING, pb.State_STATE_ENCRYPTED)
	s.event(&pb.Event{Kind: &pb.Event_SecureConnected{SecureConnected: &pb.SecureConnected{
		Tls:    &pb.TlsState{Version: pb.ProtocolVersion_PROTOCOL_VERSION_TLS1_3},
		Status: pb.CertificateStatus_CERTIFICATE_STATUS_TRUSTED, TrustBasis: pb.CertificateReport_TRUST_BASIS_VALIDATED,
	}}})
}

// caller are the frames of the caller, without acks, the first frame of a stream being number 1.
type caller struct {
	*fakeStream
	frames int64
	acked  int64 // the largest received_offset
}

// next is the next frame; nil: there is none any more.
func (c *caller) next() *pb.AttachRequest {
	for {
		request, err := c.Recv()
		if err != nil {
			return nil
		}
		c.frames++
		if request.GetAck() == nil {
			return request
		}
		c.acked = max(c.acked, request.GetAck().GetReceivedOffset())
	}
}

func (c *caller) refuse(code codes.Code, reason pb.ErrorReason) {
	c.frame(&pb.AttachResponse{Frame: &pb.AttachResponse_Refused{Refused: &pb.Refused{
		FrameNumber: c.frames, Failure: &pb.Failure{Code: int32(code), Reason: reason, Message: "scripted"},
	}}})
}

// dialPlainScript makes a plain connection to a service that then does what rest says.
func dialPlainScript(t *testing.T, rest func(*caller)) *client.Conn {
	t.Helper()
	c, _ := startFake(t, func(s *fakeStream) error {
		if !s.open.GetPlain() || s.open.GetSettings().GetResumable() {
			return errors.New("not a plain open")
		}
		s.plain()
		rest(&caller{fakeStream: s, frames: 1})
		return nil
	})
	conn, err := (&client.Dialer{Client: c}).DialPlain(t.Context(), "tcp", "example.com:25")
	require.NoError(t, err)
	t.Cleanup(conn.Abort)
	return conn
}

func readExactly(t *testing.T, conn *client.Conn, want string) {
	t.Helper()
	got := make([]byte, len(want))
	_, err := io.ReadFull(conn, got)
	require.NoError(t, err)
	require.Equal(t, want, string(got))
}

// TestPlainConn: bytes move without TLS, what was read is acked, and FIN is an end.
func TestPlainConn(t *testing.T) {
	t.Parallel()
	acked := make(chan struct{})
	conn := dialPlainScript(t, func(c *caller) {
		c.data(make([]byte, 100))
		request, _ := c.Recv()
		for request.GetAck().GetReceivedOffset() < 60 {
			if request, _ = c.Recv(); request == nil {
				return
			}
		}
		if request.GetAck().GetReceivedOffset() == 60 && request.GetAck().GetGeneration() == 1 {
			close(acked)
		}
		got := c.next().GetData().GetPayload()
		c.data(got)
		c.remoteClosed(pb.CloseCause_CLOSE_CAUSE_PEER_FIN)
		c.closed(&pb.Closed{Cause: pb.CloseCause_CLOSE_CAUSE_PEER_FIN, ReadCause: pb.CloseCause_CLOSE_CAUSE_PEER_FIN})
	})
	require.False(t, conn.Encrypted())
	require.Zero(t, conn.ConnectionState())
	require.Equal(t, pb.CertificateStatus_CERTIFICATE_STATUS_UNKNOWN, conn.CertificateStatus())
	require.Empty(t, conn.Greeting())
	require.Equal(t, "192.0.2.1:443", conn.RemoteAddr().String())
	_, err := io.ReadFull(conn, make([]byte, 60))
	require.NoError(t, err)
	<-acked
	_, err = io.WriteString(conn, greeting)
	require.NoError(t, err)
	rest, err := io.ReadAll(conn)
	require.NoError(t, err)
	require.Equal(t, string(make([]byte, 40))+greeting, string(rest))
	require.Error(t, writeEnd(t, conn))
}

// TestPlainReset: RST is no end like any other.
func TestPlainReset(t *testing.T) {
	t.Parallel()
	conn := dialPlainScript(t, func(c *caller) {
		c.data([]byte(greeting))
		c.failed(pb.Phase_PHASE_DATA, codes.Unavailable, pb.ErrorReason_ERROR_REASON_PEER_RESET)
	})
	require.ErrorIs(t, readEnd(t, conn), syscall.ECONNRESET)
}

// TestStartTLSAtTheRightBytes: the frame stands between the bytes written before it and all later ones, which wait until
// TLS is up, and names the bytes that were read.
func TestStartTLSAtTheRightBytes(t *testing.T) {
	t.Parallel()
	started, written, order := make(chan struct{}), make(chan struct{}), make(chan []*pb.AttachRequest, 1)
	conn := dialPlainScript(t, func(c *caller) {
		c.data([]byte("220 ready\r\n"))
		var frames []*pb.AttachRequest
		for {
			request := c.next()
			frames = append(frames, request)
			if request == nil || request.GetStartTls() != nil {
				break
			}
		}
		close(started)
		<-written // under way: nothing of it may come before the switch
		c.enters(pb.Mode_MODE_TLS_CLIENT)
		c.data([]byte("secret"))
		order <- append(frames, c.next())
		c.next()
	})
	readExactly(t, conn, "220 ready\r\n")
	_, err := io.WriteString(conn, "STARTTLS\r\n")
	require.NoError(t, err)
	done := make(chan error, 1)
	go func() { done <- conn.StartTLS(t.Context()) }()
	<-started
	requireError(t, conn.StartTLS(t.Context()), pb.ErrorReason_ERROR_REASON_SESSION_STATE)
	_, err = io.WriteString(conn, "EHLO\r\n")
	require.NoError(t, err)
	require.NoError(t, conn.SetReadDeadline(time.Now().Add(time.Millisecond)))
	_, err = conn.Read(make([]byte, 1))
	require.ErrorIs(t, err, os.ErrDeadlineExceeded)
	require.NoError(t, conn.SetReadDeadline(time.Time{}))
	close(written)
	require.NoError(t, <-done)
	require.True(t, conn.Encrypted())
	require.True(t, conn.ConnectionState().HandshakeComplete)
	require.Equal(t, pb.CertificateStatus_CERTIFICATE_STATUS_TRUSTED, conn.CertificateStatus())
	readExactly(t, conn, "secret")
	frames := <-order
	require.Len(t, frames, 3)
	require.Equal(t, "STARTTLS\r\n", string(frames[0].GetData().GetPayload()))
	start := frames[1].GetStartTls()
	require.Equal(t, pb.TlsRole_TLS_ROLE_CLIENT, start.GetRole())
	require.EqualValues(t, 11, start.GetReceiveOffset())
	require.EqualValues(t, 10, start.GetSendOffset())
	require.EqualValues(t, 1, start.GetGeneration())
	require.NotEmpty(t, start.GetRequestId())
	require.EqualValues(t, 10, frames[2].GetData().GetOffset())
	require.Equal(t, "EHLO\r\n", string(frames[2].GetData().GetPayload()))
	requireError(t, conn.StartTLS(t.Context()), pb.ErrorReason_ERROR_REASON_SESSION_STATE)
}

// TestStartTLSRefused: what has come in clear can be read, and nothing more be written.
func TestStartTLSRefused(t *testing.T) {
	t.Parallel()
	conn := dialPlainScript(t, func(c *caller) {
		c.data([]byte("unread"))
		if c.next().GetStartTls() == nil {
			return
		}
		c.refuse(codes.InvalidArgument, pb.ErrorReason_ERROR_REASON_INVALID_FIELD)
		c.data([]byte(", and more"))
		c.next()
	})
	e := requireError(t, conn.StartTLSServer(t.Context()), pb.ErrorReason_ERROR_REASON_INVALID_FIELD)
	require.Equal(t, pb.Phase_PHASE_HANDSHAKE, e.Phase)
	require.False(t, conn.Encrypted())
	_, err := io.WriteString(conn, "abc")
	requireError(t, err, pb.ErrorReason_ERROR_REASON_INVALID_FIELD)
	readExactly(t, conn, "unread, and more")
	requireError(t, conn.StartTLS(t.Context()), pb.ErrorReason_ERROR_REASON_INVALID_FIELD)
}

// TestStartTLSRefusedKeepsSecrets: what was written for TLS does not leave in clear when there is none.
func TestStartTLSRefusedKeepsSecrets(t *testing.T) {
	t.Parallel()
	started, written, after := make(chan struct{}), make(chan struct{}), make(chan *pb.AttachRequest, 1)
	conn := dialPlainScript(t, func(c *caller) {
		c.next()
		close(started)
		<-written
		c.refuse(codes.FailedPrecondition, pb.ErrorReason_ERROR_REASON_SESSION_STATE)
		c.data([]byte(greeting))
		after <- c.next()
		c.closed(&pb.Closed{Cause: pb.CloseCause_CLOSE_CAUSE_LOCAL})
	})
	done := make(chan error, 1)
	go func() { done <- conn.StartTLS(t.Context()) }()
	<-started
	_, err := io.WriteString(conn, "secret")
	require.NoError(t, err)
	close(written)
	requireError(t, <-done, pb.ErrorReason_ERROR_REASON_SESSION_STATE)
	_, err = io.WriteString(conn, "more")
	requireError(t, err, pb.ErrorReason_ERROR_REASON_SESSION_STATE)
	readExactly(t, conn, greeting)
	require.Error(t, conn.Close(), "not all of it has reached the peer")
	require.NotNil(t, (<-after).GetClose())
}

// TestStartTLSServerGivesBytesBack: what has come beyond the place of the switch is the peer's hello, and comes again
// under TLS at the same offsets.
func TestStartTLSServerGivesBytesBack(t *testing.T) {
	t.Parallel()
	conn := dialPlainScript(t, func(c *caller) {
		c.data([]byte("STARTTLS\n\x16\x03"))
		start := c.next().GetStartTls()
		c.data([]byte("\x01hello"))
		if start.GetRole() != pb.TlsRole_TLS_ROLE_SERVER || start.GetReceiveOffset() != 9 {
			return
		}
		c.offset = 9
		c.enters(pb.Mode_MODE_TLS_SERVER)
		c.data([]byte(greeting))
		c.remoteClosed(pb.CloseCause_CLOSE_CAUSE_PEER_CLOSE_NOTIFY)
		c.next()
	})
	readExactly(t, conn, "STARTTLS\n")
	require.NoError(t, conn.StartTLSServer(t.Context()))
	got, err := io.ReadAll(conn)
	require.NoError(t, err)
	require.Equal(t, greeting, string(got))
}

// TestStartTLSLetsNothingIn: a service that lets bytes in clear pass is not believed.
func TestStartTLSLetsNothingIn(t *testing.T) {
	t.Parallel()
	for name, offset := range map[string]int64{"client": 9, "server": 3} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			conn := dialPlainScript(t, func(c *caller) {
				c.data([]byte("250 ok\r\nx"))
				mode := pb.Mode_MODE_TLS_CLIENT
				if c.next().GetStartTls().GetRole() == pb.TlsRole_TLS_ROLE_SERVER {
					mode = pb.Mode_MODE_TLS_SERVER
				}
				c.offset = offset
				c.enters(mode)
				c.next()
			})
			readExactly(t, conn, "250 ok\r\n")
			start := conn.StartTLS
			if name == "server" {
				start = conn.StartTLSServer
			}
			requireError(t, start(t.Context()), pb.ErrorReason_ERROR_REASON_INTERNAL)
			n, err := conn.Read(make([]byte, 10))
			require.Zero(t, n)
			requireError(t, err, pb.ErrorReason_ERROR_REASON_INTERNAL)
			require.False(t, conn.Encrypted())
		})
	}
}

// TestStartTLSFails: the connection has ended with it, and what came in clear is not handed out.
func TestStartTLSFails(t *testing.T) {
	t.Parallel()
	conn := dialPlainScript(t, func(c *caller) {
		c.data([]byte("x"))
		c.next()
		c.failed(pb.Phase_PHASE_HANDSHAKE, codes.FailedPrecondition, pb.ErrorReason_ERROR_REASON_START_TLS_INJECTION)
	})
	var reading sync.WaitGroup
	requireError(t, conn.StartTLS(t.Context()), pb.ErrorReason_ERROR_REASON_START_TLS_INJECTION)
	reading.Go(func() {
		if n, err := conn.Read(make([]byte, 1)); n != 0 || err == nil {
			t.Errorf("read %d bytes, %v", n, err)
		}
	})
	reading.Wait()
	_, err := conn.Write([]byte("x"))
	requireError(t, err, pb.ErrorReason_ERROR_REASON_START_TLS_INJECTION)
	requireError(t, conn.StartTLS(t.Context()), pb.ErrorReason_ERROR_REASON_START_TLS_INJECTION)
}

// TestStartTLSIsFlooded: a peer that sends on and on in clear does not fill the memory, nor does it hang the call; before
// it, what is not read does not keep the answer from coming.
func TestStartTLSIsFlooded(t *testing.T) {
	t.Parallel()
	for name, size := range map[string]int{"on and on": 16 << 20, "before": 3 << 20} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			sent := make(chan struct{})
			conn := dialPlainScript(t, func(c *caller) {
				go func() {
					defer close(sent)
					c.data(make([]byte, size))
				}()
				if c.next().GetStartTls() != nil && name == "before" {
					<-sent
					c.refuse(codes.OutOfRange, pb.ErrorReason_ERROR_REASON_OFFSET_MISMATCH)
				}
				c.next()
				<-sent
			})
			_, err := conn.Read(make([]byte, 1))
			require.NoError(t, err)
			if name == "on and on" {
				requireError(t, conn.StartTLS(t.Context()), pb.ErrorReason_ERROR_REASON_START_TLS_INJECTION)
				return
			}
			requireError(t, conn.StartTLS(t.Context()), pb.ErrorReason_ERROR_REASON_OFFSET_MISMATCH)
			n, err := io.CopyN(io.Discard, conn, int64(size)-1)
			require.NoError(t, err)
			require.EqualValues(t, size-1, n)
		})
	}
}

// TestStartTLSIsGivenUp: by its context, by Close, by Abort, by the stream.
func TestStartTLSIsGivenUp(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		end    func(conn *client.Conn, cancel context.CancelFunc)
		target error
	}{
		"context": {func(_ *client.Conn, cancel context.CancelFunc) { cancel() }, context.Canceled},
		"close":   {func(conn *client.Conn, _ context.CancelFunc) { _ = conn.Close() }, net.ErrClosed},
		"abort":   {func(conn *client.Conn, _ context.CancelFunc) { conn.Abort() }, net.ErrClosed},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			started, over := make(chan struct{}), make(chan struct{})
			conn := dialPlainScript(t, func(c *caller) {
				defer close(over)
				c.next()
				close(started)
				if c.next().GetClose() != nil {
					c.closed(&pb.Closed{Cause: pb.CloseCause_CLOSE_CAUSE_LOCAL})
				}
			})
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			done := make(chan error, 1)
			go func() { done <- conn.StartTLS(ctx) }()
			<-started
			tc.end(conn, cancel)
			require.ErrorIs(t, <-done, tc.target)
			<-over
			_, err := conn.Read(make([]byte, 1))
			require.ErrorIs(t, err, net.ErrClosed)
			require.ErrorIs(t, conn.StartTLS(ctx), net.ErrClosed)
		})
	}
}

// TestStartTLSAfterCloseWrite: a handshake needs both directions.
func TestStartTLSAfterCloseWrite(t *testing.T) {
	t.Parallel()
	conn := dialPlainScript(t, func(c *caller) { c.next(); c.next() })
	require.NoError(t, conn.CloseWrite())
	requireError(t, conn.StartTLS(t.Context()), pb.ErrorReason_ERROR_REASON_SESSION_STATE)
}
