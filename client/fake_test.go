package client_test

import (
	"context"
	"errors"
	"io"
	"net"
	"slices"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/test/bufconn"

	"securesocket/client"
	pb "securesocket/gen/securesocket/v1"
)

// fake is a service that follows a script, so that it can do what the real one must not.
type fake struct {
	pb.UnimplementedSecureSocketServiceServer
	script     func(*fakeStream) error // what Attach does after Open was received
	maxStreams int32
	asked      atomic.Int32 // GetCapabilities
	conns      atomic.Int32 // HTTP/2 connections accepted
	server     *grpc.Server
}

// startFake serves script in memory and returns a client of it. Both are gone when the test ends.
func startFake(t *testing.T, script func(*fakeStream) error, opts ...client.Option) (*client.Client, *fake) {
	t.Helper()
	return startFakeWith(t, script, func(*grpc.Server) {}, opts...)
}

// startFakeWith is startFake with other services beside it.
func startFakeWith(t *testing.T, script func(*fakeStream) error, register func(*grpc.Server), opts ...client.Option) (*client.Client, *fake) {
	t.Helper()
	f := &fake{script: script, maxStreams: 100, server: grpc.NewServer(
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: 10 * time.Second}), // as the service
	)}
	pb.RegisterSecureSocketServiceServer(f.server, f)
	register(f.server)
	listener := bufconn.Listen(1 << 20)
	served := make(chan struct{})
	go func() {
		defer close(served)
		_ = f.server.Serve(listener)
	}()
	dial := client.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) {
		f.conns.Add(1)
		return listener.DialContext(ctx)
	})
	c, err := client.Dial("grpc://fake:1", append([]client.Option{dial}, opts...)...)
	require.NoError(t, err)
	t.Cleanup(func() {
		require.NoError(t, c.Close())
		f.server.Stop()
		<-served
	})
	return c, f
}

func (f *fake) GetCapabilities(context.Context, *pb.GetCapabilitiesRequest) (*pb.GetCapabilitiesResponse, error) {
	f.asked.Add(1)
	return &pb.GetCapabilitiesResponse{SecureSockets: true, Limits: &pb.Limits{MaxConcurrentStreams: f.maxStreams}}, nil
}

func (f *fake) Attach(stream grpc.BidiStreamingServer[pb.AttachRequest, pb.AttachResponse]) error {
	first, err := stream.Recv()
	if err != nil {
		return err
	}
	return f.script(&fakeStream{BidiStreamingServer: stream, open: first.GetOpen(), attach: first.GetAttach()})
}

// fakeStream is one stream, with shorthands for its frames. Errors of Send are not looked at: the stream's context ends
// with it.
type fakeStream struct {
	grpc.BidiStreamingServer[pb.AttachRequest, pb.AttachResponse]
	open     *pb.Open
	attach   *pb.AttachSession
	known    bool // attached was sent
	sequence int64
	offset   int64        // of the next socket_data
	accepted int64        // from the caller
	written  atomic.Int64 // to the peer
}

func (s *fakeStream) frame(response *pb.AttachResponse) { _ = s.Send(response) }

func (s *fakeStream) attached() { s.attachedTo("abcdefghijklmnopqrstuvwxyz") }

func (s *fakeStream) attachedTo(id string) {
	s.known = true
	s.frame(&pb.AttachResponse{Frame: &pb.AttachResponse_Attached{Attached: &pb.Attached{
		Session: &pb.Session{SessionId: id},
	}}})
}

func (s *fakeStream) event(event *pb.Event) {
	s.sequence++
	event.Seq, event.Generation, event.SocketDataOffset = s.sequence, 1, s.offset
	s.frame(&pb.AttachResponse{Frame: &pb.AttachResponse_Event{Event: event}})
}

func (s *fakeStream) state(from, to pb.State) {
	s.event(&pb.Event{Kind: &pb.Event_StateChanged{StateChanged: &pb.StateChanged{OldState: from, NewState: to}}})
}

// secure sends everything up to secure_connected, and attached unless it was sent.
func (s *fakeStream) secure(local, remote net.Addr, alpn string) {
	if !s.known {
		s.attached()
	}
	s.state(pb.State_STATE_UNCONNECTED, pb.State_STATE_HOST_LOOKUP)
	s.event(&pb.Event{Kind: &pb.Event_HostFound{HostFound: &pb.HostFound{Addresses: []string{"192.0.2.1"}}}})
	s.state(pb.State_STATE_HOST_LOOKUP, pb.State_STATE_CONNECTING)
	s.event(&pb.Event{Kind: &pb.Event_TcpConnected{TcpConnected: &pb.TcpConnected{
		Local: endpoint(local), Remote: endpoint(remote),
	}}})
	s.state(pb.State_STATE_CONNECTING, pb.State_STATE_HANDSHAKING)
	s.state(pb.State_STATE_HANDSHAKING, pb.State_STATE_ENCRYPTED)
	s.event(&pb.Event{Kind: &pb.Event_SecureConnected{SecureConnected: &pb.SecureConnected{
		Tls: &pb.TlsState{
			Version: pb.ProtocolVersion_PROTOCOL_VERSION_TLS1_3, AlpnProtocol: alpn, ServerName: s.open.GetHost(),
			Cipher: &pb.CipherInfo{IanaName: "TLS_AES_128_GCM_SHA256", IanaId: 0x1301},
		},
		Status:     pb.CertificateStatus_CERTIFICATE_STATUS_TRUSTED,
		TrustBasis: pb.CertificateReport_TRUST_BASIS_VALIDATED,
	}}})
}

func endpoint(addr net.Addr) *pb.Endpoint {
	if tcp, ok := addr.(*net.TCPAddr); ok {
		return &pb.Endpoint{Address: tcp.IP.String(), Port: int32(tcp.Port)}
	}
	return &pb.Endpoint{Address: "192.0.2.1", Port: 443}
}

func (s *fakeStream) data(p []byte) {
	for chunk := range slices.Chunk(p, 64<<10) {
		s.frame(&pb.AttachResponse{Frame: &pb.AttachResponse_SocketData{SocketData: &pb.Data{
			Offset: s.offset, Generation: 1, Payload: slices.Clone(chunk),
		}}})
		s.offset += int64(len(chunk))
	}
}

func (s *fakeStream) ioError(phase pb.Phase, code codes.Code, reason pb.ErrorReason) *pb.Failure {
	failure := &pb.Failure{Code: int32(code), Reason: reason, Message: "scripted"}
	s.event(&pb.Event{Kind: &pb.Event_IoError{IoError: &pb.IoError{Failure: failure, Phase: phase}}})
	return failure
}

func (s *fakeStream) remoteClosed(cause pb.CloseCause) {
	s.event(&pb.Event{Kind: &pb.Event_RemoteClosed{RemoteClosed: &pb.RemoteClosed{Cause: cause, FinalOffset: s.offset}}})
}

func (s *fakeStream) closed(closed *pb.Closed) {
	closed.ReceivedBytes, closed.SentBytes = s.offset, s.written.Load()
	s.event(&pb.Event{Kind: &pb.Event_Closed{Closed: closed}})
}

// failed is the end of an attempt, or of a connection, by a failure.
func (s *fakeStream) failed(phase pb.Phase, code codes.Code, reason pb.ErrorReason) {
	failure := s.ioError(phase, code, reason)
	s.closed(&pb.Closed{Cause: pb.CloseCause_CLOSE_CAUSE_ERROR, Failure: failure})
}

// proxy is a script that behaves: it connects to the host and port asked for, without TLS, and takes FIN for
// close_notify. It answers with the first protocol offered that choose allows.
func proxy(choose ...string) func(*fakeStream) error {
	return func(s *fakeStream) error {
		conn, err := net.DialTCP("tcp", nil, &net.TCPAddr{IP: net.ParseIP(s.open.GetHost()), Port: int(s.open.GetPort())})
		if err != nil {
			s.attached()
			s.failed(pb.Phase_PHASE_TCP, codes.Unavailable, pb.ErrorReason_ERROR_REASON_CONNECTION_REFUSED)
			return nil
		}
		defer conn.Close()
		alpn := ""
		for _, offered := range s.open.GetSettings().GetTls().GetAlpnProtocols() {
			if slices.Contains(choose, offered) {
				alpn = offered
				break
			}
		}
		s.secure(conn.LocalAddr(), conn.RemoteAddr(), alpn)
		defer context.AfterFunc(s.Context(), func() {
			_ = conn.SetLinger(0)
			conn.Close()
		})()
		up := make(chan struct{})
		go func() {
			defer close(up)
			s.pumpUp(conn)
		}()
		s.pumpDown(conn, up)
		return nil
	}
}

// pumpUp carries the caller's bytes until the caller closes.
func (s *fakeStream) pumpUp(conn *net.TCPConn) {
	for {
		request, err := s.Recv()
		switch {
		case errors.Is(err, io.EOF) || request.GetClose() != nil:
			conn.Close()
			return
		case err != nil:
			return
		case request.GetFinish() != nil:
			_ = conn.CloseWrite()
		case request.GetData().GetOffset() != s.accepted:
			panic("gap in the caller's offsets")
		default:
			n, _ := conn.Write(request.GetData().GetPayload())
			s.accepted += int64(len(request.GetData().GetPayload()))
			s.written.Add(int64(n))
		}
	}
}

// pumpDown carries the peer's bytes, and tells how they ended.
func (s *fakeStream) pumpDown(conn *net.TCPConn, up <-chan struct{}) {
	buffer := make([]byte, 64<<10)
	for {
		n, err := conn.Read(buffer)
		if n > 0 {
			s.data(buffer[:n])
		}
		switch {
		case err == nil:
			continue
		case errors.Is(err, io.EOF):
			s.remoteClosed(pb.CloseCause_CLOSE_CAUSE_PEER_CLOSE_NOTIFY)
			<-up
			s.closed(&pb.Closed{
				Cause:      pb.CloseCause_CLOSE_CAUSE_PEER_CLOSE_NOTIFY,
				ReadCause:  pb.CloseCause_CLOSE_CAUSE_PEER_CLOSE_NOTIFY,
				WriteCause: pb.CloseCause_CLOSE_CAUSE_LOCAL,
			})
		case errors.Is(err, syscall.ECONNRESET):
			failure := s.ioError(pb.Phase_PHASE_DATA, codes.Unavailable, pb.ErrorReason_ERROR_REASON_PEER_RESET)
			s.remoteClosed(pb.CloseCause_CLOSE_CAUSE_PEER_RESET)
			s.closed(&pb.Closed{Cause: pb.CloseCause_CLOSE_CAUSE_PEER_RESET, Failure: failure})
		default:
			<-up
			s.closed(&pb.Closed{
				Cause: pb.CloseCause_CLOSE_CAUSE_LOCAL, ReadCause: pb.CloseCause_CLOSE_CAUSE_LOCAL,
				WriteCause: pb.CloseCause_CLOSE_CAUSE_LOCAL,
			})
		}
		return
	}
}
