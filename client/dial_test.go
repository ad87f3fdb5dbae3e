package client_test

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"

	"securesocket/client"
	pb "securesocket/gen/securesocket/v1"
)

// echoes is a script of a peer that sends back what it gets, and of a caller that closes.
func echoes(s *fakeStream) error {
	s.secure(nil, nil, "")
	for {
		request, err := s.Recv()
		if errors.Is(err, io.EOF) || request.GetClose() != nil {
			s.closed(&pb.Closed{Cause: pb.CloseCause_CLOSE_CAUSE_LOCAL})
			return nil
		}
		if err != nil {
			return err
		}
		s.written.Add(int64(len(request.GetData().GetPayload())))
		s.data(request.GetData().GetPayload())
	}
}

// requireError returns err as an *Error of that reason.
func requireError(t *testing.T, err error, reason pb.ErrorReason) *client.Error {
	t.Helper()
	require.Error(t, err)
	e, ok := errors.AsType[*client.Error](err)
	require.True(t, ok, "%T: %v", err, err)
	require.Equal(t, reason, e.Reason, "%v", err)
	return e
}

func TestDialSaysWhatWasNegotiated(t *testing.T) {
	t.Parallel()
	c, _ := startFake(t, proxy("h2"))
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer listener.Close()
	var names []string
	d := client.Dialer{Client: c, ALPN: []string{"h3", "h2"}, OnEvent: func(e client.Event) { names = append(names, e.Name()) }}
	conn, err := d.Dial(t.Context(), "tcp4", listener.Addr().String())
	require.NoError(t, err)
	require.Equal(t, []string{
		"state_changed", "host_found", "state_changed", "tcp_connected", "state_changed", "state_changed", "secure_connected",
	}, names)

	require.Equal(t, listener.Addr().String(), conn.RemoteAddr().String())
	require.Equal(t, "tcp", conn.LocalAddr().Network())
	require.Len(t, conn.SessionID(), 26)
	require.Equal(t, pb.CertificateStatus_CERTIFICATE_STATUS_TRUSTED, conn.CertificateStatus())
	state := conn.ConnectionState()
	require.True(t, state.HandshakeComplete)
	require.EqualValues(t, tls.VersionTLS13, state.Version)
	require.Equal(t, tls.TLS_AES_128_GCM_SHA256, state.CipherSuite)
	require.Equal(t, "h2", state.NegotiatedProtocol)
	require.Equal(t, "127.0.0.1", state.ServerName)

	require.NoError(t, conn.Close())
	require.Equal(t, "closed", names[len(names)-1])
}

func TestDialSendsSettings(t *testing.T) {
	t.Parallel()
	opens := make(chan *pb.Open, 1)
	c, _ := startFake(t, func(s *fakeStream) error {
		opens <- s.open
		return echoes(s)
	})
	base := &pb.SessionSettings{Label: "kept", Tls: &pb.TlsSettings{ServerName: new("replaced"), VerifyNames: []string{"kept.example"}}}
	before := proto.CloneOf(base)
	d := client.Dialer{
		Client: c, ServerName: new(""), ALPN: []string{"h2"}, RequireALPN: true,
		MinVersion: tls.VersionTLS13, MaxVersion: tls.VersionTLS13, CipherSuites: []string{"TLS_AES_128_GCM_SHA256"},
		RootCAs: [][]byte{{1}}, Intermediates: [][]byte{{2}}, NoSystemRoots: true,
		Timeout: 2 * time.Second, HandshakeTimeout: time.Second, IdleTimeout: -1, Settings: base,
	}
	conn, err := d.DialContext(t.Context(), "tcp6", "[2001:db8::1]:https")
	require.NoError(t, err)
	require.NoError(t, conn.Close())
	open := <-opens
	require.True(t, proto.Equal(before, base))
	require.Equal(t, "2001:db8::1", open.GetHost())
	require.EqualValues(t, 443, open.GetPort())
	require.False(t, open.GetKeepSession())
	require.Empty(t, open.GetRequestId(), "nothing is retried")
	require.EqualValues(t, 1, open.GetAttachSeq())
	s := open.GetSettings()
	require.Equal(t, "kept", s.GetLabel())
	require.NotNil(t, s.GetTls().ServerName)
	require.Empty(t, s.GetTls().GetServerName())
	require.Equal(t, []string{"kept.example"}, s.GetTls().GetVerifyNames())
	require.Equal(t, pb.ProtocolVersion_PROTOCOL_VERSION_TLS1_3, s.GetTls().GetMinVersion())
	require.Equal(t, pb.ProtocolVersion_PROTOCOL_VERSION_TLS1_3, s.GetTls().GetMaxVersion())
	require.Equal(t, pb.TrustSettings_BASE_NONE, s.GetTls().GetTrust().GetBase())
	require.True(t, s.GetTls().GetRequireAlpn())
	require.Equal(t, pb.AddressFamily_ADDRESS_FAMILY_IPV6, s.GetTcp().GetAddressFamily())
	require.Equal(t, 2*time.Second, s.GetConnectTimeout().AsDuration())
	require.Equal(t, time.Second, s.GetTls().GetHandshakeTimeout().AsDuration())
	require.NotNil(t, s.GetIdleTimeout())
	require.Zero(t, s.GetIdleTimeout().AsDuration())
	require.Equal(t, []bool{true, false}, []bool{open.GetCertificates()[0].GetTrusted(), open.GetCertificates()[1].GetTrusted()})
}

func TestDialRefusesBeforeItSends(t *testing.T) {
	t.Parallel()
	c, f := startFake(t, echoes)
	var addrError *net.AddrError
	for _, tc := range []struct {
		network, address string
		target           any
	}{
		{"udp", "example.com:443", new(net.UnknownNetworkError)},
		{"tcp", "example.com", &addrError},
		{"tcp", "example.com:no such service", &addrError},
	} {
		conn, err := c.DialContext(t.Context(), tc.network, tc.address)
		require.ErrorAs(t, err, tc.target)
		require.Nil(t, conn)
	}
	_, err := (&client.Dialer{}).DialContext(t.Context(), "tcp", "example.com:443")
	requireError(t, err, pb.ErrorReason_ERROR_REASON_INVALID_FIELD)
	_, err = (&client.Dialer{Client: c, MinVersion: 7}).Dial(t.Context(), "tcp", "example.com:443")
	requireError(t, err, pb.ErrorReason_ERROR_REASON_INVALID_FIELD)
	require.Zero(t, f.conns.Load())
}

func TestDialRefusedCertificate(t *testing.T) {
	t.Parallel()
	report := &pb.CertificateReport{Status: pb.CertificateStatus_CERTIFICATE_STATUS_EXPIRED}
	c, _ := startFake(t, func(s *fakeStream) error {
		s.attached()
		s.event(&pb.Event{Kind: &pb.Event_CertificateError{CertificateError: &pb.CertificateError{Report: report}}})
		s.failed(pb.Phase_PHASE_CERTIFICATE, codes.FailedPrecondition, pb.ErrorReason_ERROR_REASON_CERTIFICATE_EXPIRED)
		return nil
	})
	conn, err := c.DialContext(t.Context(), "tcp", "example.com:443")
	require.Nil(t, conn)
	e := requireError(t, err, pb.ErrorReason_ERROR_REASON_CERTIFICATE_EXPIRED)
	require.Equal(t, pb.Phase_PHASE_CERTIFICATE, e.Phase)
	require.True(t, proto.Equal(report, e.Report))
	require.Equal(t, "peer", e.Side())
}

func TestDialRefusedByPolicy(t *testing.T) {
	t.Parallel()
	c, _ := startFake(t, func(s *fakeStream) error {
		s.attached()
		failure := &pb.Failure{
			Code: int32(codes.PermissionDenied), Reason: pb.ErrorReason_ERROR_REASON_EGRESS_DENIED,
			Metadata: map[string]string{"rule": "private"},
		}
		s.event(&pb.Event{Kind: &pb.Event_SecurityError{SecurityError: &pb.SecurityError{RuleId: "private", Failure: failure}}})
		s.closed(&pb.Closed{Cause: pb.CloseCause_CLOSE_CAUSE_POLICY, Failure: failure})
		return nil
	})
	_, err := c.DialContext(t.Context(), "tcp", "example.com:443")
	e := requireError(t, err, pb.ErrorReason_ERROR_REASON_EGRESS_DENIED)
	require.Equal(t, codes.PermissionDenied, e.Code)
	require.Equal(t, pb.Phase_PHASE_POLICY, e.Phase)
	require.Equal(t, "private", e.Metadata["rule"])
}

func TestDialConnectionRefused(t *testing.T) {
	t.Parallel()
	c, _ := startFake(t, proxy())
	_, err := c.DialContext(t.Context(), "tcp", "127.0.0.1:1")
	e := requireError(t, err, pb.ErrorReason_ERROR_REASON_CONNECTION_REFUSED)
	require.ErrorIs(t, err, syscall.ECONNREFUSED)
	require.Equal(t, pb.Phase_PHASE_TCP, e.Phase)
}

// hangs is a script that reaches the TCP phase and stays there; it tells when the caller has given up.
func hangs(gone chan<- struct{}) func(*fakeStream) error {
	return func(s *fakeStream) error {
		s.attached()
		s.state(pb.State_STATE_UNCONNECTED, pb.State_STATE_HOST_LOOKUP)
		s.state(pb.State_STATE_HOST_LOOKUP, pb.State_STATE_CONNECTING)
		<-s.Context().Done()
		close(gone)
		return nil
	}
}

func TestDialCancelled(t *testing.T) {
	t.Parallel()
	gone := make(chan struct{})
	c, _ := startFake(t, hangs(gone))
	ctx, cancel := context.WithCancelCause(t.Context())
	reason := errors.New("changed my mind")
	d := client.Dialer{Client: c, OnEvent: func(e client.Event) {
		if e.GetStateChanged().GetNewState() == pb.State_STATE_CONNECTING {
			cancel(reason)
		}
	}}
	_, err := d.Dial(ctx, "tcp", "example.com:443")
	e := requireError(t, err, pb.ErrorReason_ERROR_REASON_CANCELLED)
	require.ErrorIs(t, err, context.Canceled)
	require.ErrorIs(t, err, net.ErrClosed)
	require.ErrorIs(t, err, reason)
	require.Equal(t, pb.Phase_PHASE_TCP, e.Phase)
	<-gone
}

func TestDialTimedOut(t *testing.T) {
	t.Parallel()
	gone := make(chan struct{})
	c, _ := startFake(t, hangs(gone))
	d := client.Dialer{Client: c, Timeout: 50 * time.Millisecond}
	_, err := d.Dial(t.Context(), "tcp", "example.com:443")
	e := requireError(t, err, pb.ErrorReason_ERROR_REASON_CONNECT_TIMEOUT)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.ErrorIs(t, err, os.ErrDeadlineExceeded)
	require.True(t, e.Timeout())
	require.Equal(t, pb.Phase_PHASE_TCP, e.Phase)
	<-gone
}

func TestDialWithoutService(t *testing.T) {
	t.Parallel()
	nobody := client.WithContextDialer(func(context.Context, string) (net.Conn, error) { return nil, syscall.ECONNREFUSED })
	c, err := client.Dial("unix:///nowhere", nobody)
	require.NoError(t, err)
	defer c.Close()
	_, err = c.DialContext(t.Context(), "tcp", "example.com:443")
	e := requireError(t, err, pb.ErrorReason_ERROR_REASON_UNSPECIFIED)
	require.Equal(t, codes.Unavailable, e.Code)
	require.Equal(t, "service", e.Side())
	// Nothing listens at the service's address; that is not the peer's refusal.
	require.NotErrorIs(t, err, syscall.ECONNREFUSED)

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = c.DialContext(ctx, "tcp", "example.com:443")
	require.ErrorIs(t, err, context.Canceled)
}

// TestContextOfDialEndsWithIt: its values reach the service, its end does not reach the connection.
func TestContextOfDialEndsWithIt(t *testing.T) {
	t.Parallel()
	tokens := make(chan []string, 1)
	c, _ := startFake(t, func(s *fakeStream) error {
		md, _ := metadata.FromIncomingContext(s.Context())
		tokens <- md.Get("token")
		return echoes(s)
	})
	ctx, cancel := context.WithCancel(metadata.AppendToOutgoingContext(t.Context(), "token", "value"))
	conn, err := c.DialContext(ctx, "tcp", "example.com:443")
	require.NoError(t, err)
	cancel()
	require.Equal(t, []string{"value"}, <-tokens)
	_, err = conn.Write([]byte("still there"))
	require.NoError(t, err)
	got := make([]byte, 11)
	_, err = io.ReadFull(conn, got)
	require.NoError(t, err)
	require.Equal(t, "still there", string(got))
	require.NoError(t, conn.Close())
}

func TestClosedClient(t *testing.T) {
	t.Parallel()
	c, _ := startFake(t, echoes)
	conn, err := c.DialContext(t.Context(), "tcp", "example.com:443")
	require.NoError(t, err)
	require.NoError(t, c.Close())
	_, err = conn.Read(make([]byte, 1))
	require.ErrorIs(t, err, net.ErrClosed)
	_, err = c.DialContext(t.Context(), "tcp", "example.com:443")
	require.ErrorIs(t, err, net.ErrClosed)
	require.NoError(t, conn.Close())
}
