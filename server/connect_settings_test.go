package server_test

import (
	"context"
	"crypto/tls"
	"sync"
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

func TestALPN(t *testing.T) {
	t.Parallel()
	yes := true
	for name, tc := range map[string]struct {
		offered, spoken []string
		require         *bool
		chosen          string
		reason          string
	}{
		"in common":                 {[]string{"h2", "http/1.1"}, []string{"http/1.1"}, &yes, "http/1.1", ""},
		"none in common":            {[]string{"h2"}, []string{"imap"}, &yes, "", "ALPN_MISMATCH"},
		"none in common, optional":  {[]string{"h2"}, []string{"imap"}, nil, "", "ALPN_MISMATCH"}, // the peer's alert
		"peer without":              {[]string{"h2"}, nil, &yes, "", "ALPN_MISMATCH"},
		"peer without, not asked":   {[]string{"h2"}, nil, nil, "", ""},
		"caller without, peer with": {nil, []string{"h2"}, nil, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			addr, ca := echoServer(t, func(c *tls.Config) { c.NextProtos = tc.spoken })
			c := servertest.Start(t).Client(t)
			s := newIdle(t.Context(), t, c, ca, &pb.SessionSettings{Tls: &pb.TlsSettings{AlpnProtocols: tc.offered, RequireAlpn: tc.require}})
			resp, err := tryConnect(t.Context(), t, c, s, addr)
			if tc.reason != "" {
				require.Equal(t, tc.reason, reasonOf(t, err))
				return
			}
			require.NoError(t, err)
			require.Equal(t, tc.chosen, resp.GetSession().GetTls().GetAlpnProtocol())
		})
	}
}

func TestServerNameAndVerifyNames(t *testing.T) {
	t.Parallel()
	name := func(s string) *string { return &s }
	for title, tc := range map[string]struct {
		tls    *pb.TlsSettings
		leaf   []string
		sent   string
		reason string
	}{
		"an address sends none":              {nil, []string{"127.0.0.1"}, "", ""},
		"none":                               {&pb.TlsSettings{ServerName: name("")}, []string{"127.0.0.1"}, "", ""},
		"another name is sent and verified":  {&pb.TlsSettings{ServerName: name("other.example")}, []string{"other.example"}, "other.example", ""},
		"the name sent is not in the leaf":   {&pb.TlsSettings{ServerName: name("other.example")}, []string{"127.0.0.1"}, "other.example", "CERTIFICATE_PRINCIPAL_MISMATCH"},
		"verify_names count instead":         {&pb.TlsSettings{ServerName: name("sent.example"), VerifyNames: []string{"a.example", "b.example"}}, []string{"b.example"}, "sent.example", ""},
		"verify_names, none of them":         {&pb.TlsSettings{VerifyNames: []string{"a.example"}}, []string{"127.0.0.1"}, "", "CERTIFICATE_PRINCIPAL_MISMATCH"},
		"verify_names, an address":           {&pb.TlsSettings{VerifyNames: []string{"127.0.0.1"}, ServerName: name("x.example")}, []string{"127.0.0.1"}, "x.example", ""},
		"verify_names, a URI":                {&pb.TlsSettings{VerifyNames: []string{"uri:spiffe://a/b"}}, []string{"uri:spiffe://a/b"}, "", ""},
		"an international name, as A-labels": {&pb.TlsSettings{ServerName: name("bücher.example")}, []string{"xn--bcher-kva.example"}, "xn--bcher-kva.example", ""},
	} {
		t.Run(title, func(t *testing.T) {
			t.Parallel()
			ca := tlstest.NewCA(t)
			leaf := ca.Leaf(tlstest.Names(tc.leaf...)).Certificate()
			asked := make(chan string, 1)
			addr := tlstest.Serve(t, &tls.Config{GetConfigForClient: func(h *tls.ClientHelloInfo) (*tls.Config, error) {
				asked <- h.ServerName
				return &tls.Config{Certificates: []tls.Certificate{leaf}}, nil
			}}, tlstest.Echo)
			c := servertest.Start(t).Client(t)
			s := newIdle(t.Context(), t, c, ca, &pb.SessionSettings{Tls: tc.tls})
			resp, err := tryConnect(t.Context(), t, c, s, addr)
			require.Equal(t, tc.sent, <-asked)
			if tc.reason != "" {
				require.Equal(t, tc.reason, reasonOf(t, err))
				return
			}
			require.NoError(t, err)
			require.Equal(t, tc.sent, resp.GetSession().GetTls().GetServerName())
		})
	}
}

func TestVersions(t *testing.T) {
	t.Parallel()
	legacy := func(sc *session.Config, _ *server.Config) { sc.LegacyTLS = true }
	v10, v12, v13 := pb.ProtocolVersion_PROTOCOL_VERSION_TLS1_0, pb.ProtocolVersion_PROTOCOL_VERSION_TLS1_2, pb.ProtocolVersion_PROTOCOL_VERSION_TLS1_3
	for name, tc := range map[string]struct {
		peer   uint16
		tls    *pb.TlsSettings
		opts   []servertest.Option
		want   pb.ProtocolVersion
		reason string
	}{
		"peer of 1.2":                {tls.VersionTLS12, nil, nil, v12, ""},
		"peer of 1.3":                {tls.VersionTLS13, nil, nil, v13, ""},
		"peer of 1.2, at least 1.3":  {tls.VersionTLS12, &pb.TlsSettings{MinVersion: v13}, nil, 0, "PEER_INCOMPATIBLE"},
		"peer of 1.3, at most 1.2":   {tls.VersionTLS13, &pb.TlsSettings{MaxVersion: v12}, nil, 0, "PEER_INCOMPATIBLE"},
		"peer of 1.0":                {tls.VersionTLS10, nil, nil, 0, "PEER_INCOMPATIBLE"},
		"peer of 1.0, legacy":        {tls.VersionTLS10, &pb.TlsSettings{MinVersion: v10}, []servertest.Option{legacy}, v10, ""},
		"peer of 1.0, legacy unused": {tls.VersionTLS10, nil, []servertest.Option{legacy}, 0, "PEER_INCOMPATIBLE"},
		"peer of 1.0, at most 1.0":   {tls.VersionTLS10, &pb.TlsSettings{MaxVersion: v10}, []servertest.Option{legacy}, v10, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			addr, ca := echoServer(t, onlyVersion(tc.peer))
			c := servertest.Start(t, tc.opts...).Client(t)
			s := newIdle(t.Context(), t, c, ca, &pb.SessionSettings{Tls: tc.tls})
			resp, err := tryConnect(t.Context(), t, c, s, addr)
			if tc.reason != "" {
				require.Equal(t, tc.reason, reasonOf(t, err))
				return
			}
			require.NoError(t, err)
			require.Equal(t, tc.want, resp.GetSession().GetTls().GetVersion())
			stillWorks(t.Context(), t, c, s, addr)
		})
	}
}

func TestChosenSuiteIsUsed(t *testing.T) {
	t.Parallel()
	addr, ca := echoServer(t, onlyVersion(tls.VersionTLS12))
	c := servertest.Start(t).Client(t)
	const suite = "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256"
	resp, err := c.CreateSession(t.Context(), &pb.CreateSessionRequest{Settings: &pb.SessionSettings{Tls: &pb.TlsSettings{CipherSuites: []string{suite}}}})
	require.NoError(t, err)
	require.NotEmpty(t, resp.GetWarnings(), "the suites of TLS 1.3 cannot be chosen")
	s := idle{resp.GetSession().GetSessionId(), resp.GetResumeToken()}
	_, err = c.AddCertificate(t.Context(), &pb.AddCertificateRequest{SessionId: s.id, Certificate: ca.DER(), Trusted: true})
	require.NoError(t, err)
	require.Equal(t, suite, connectTo(t.Context(), t, c, s, addr).GetSession().GetTls().GetCipherSuite())
}

func TestReturnImmediately(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	addr, ca := echoServer(t, func(cfg *tls.Config) {
		cfg.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) {
			select {
			case <-release:
			case <-t.Context().Done():
			}
			return nil, nil
		}
	})
	c := servertest.Start(t).Client(t)
	s := newIdle(t.Context(), t, c, ca)
	host, port := hostPort(t, addr)
	resp, err := c.Connect(t.Context(), &pb.ConnectRequest{SessionId: s.id, Host: host, Port: port, ReturnImmediately: true})
	require.NoError(t, err)
	require.EqualValues(t, 1, resp.GetSession().GetGeneration())
	require.NotEqual(t, pb.State_STATE_ENCRYPTED, resp.GetSession().GetState())
	close(release)
	k := attach(t.Context(), t, c, s, 1)
	k.secure()
	require.Positive(t, k.event("secure_connected").GetSeq()-resp.GetEventSeq())

	// A failure is an event, not the status.
	host, port = hostPort(t, closedPort(t))
	_, err = c.Connect(t.Context(), &pb.ConnectRequest{SessionId: s.id, Host: host, Port: port, ReturnImmediately: true})
	require.NoError(t, err)
	closedOf(k, 2)
	require.Equal(t, pb.ErrorReason_ERROR_REASON_CONNECTION_REFUSED, getSession(t.Context(), t, c, s).GetLastError().GetReason())
}

func TestWait(t *testing.T) {
	t.Parallel()
	endOfPeer := make(chan struct{})
	addr, ca := scriptedPeer(t, func(conn *tls.Conn) {
		buf := make([]byte, 100)
		for {
			n, err := conn.Read(buf)
			if err != nil {
				return
			}
			_, _ = conn.Write(buf[:n])
			if n == 4 {
				select {
				case <-endOfPeer:
				case <-t.Context().Done():
				}
				_ = conn.CloseWrite()
			}
		}
	})
	c := servertest.Start(t).Client(t)
	s := newIdle(t.Context(), t, c, ca)
	wait := func(cond pb.WaitRequest_Condition, offset int64, timeout ...time.Duration) *pb.WaitResponse {
		req := &pb.WaitRequest{SessionId: s.id, Condition: cond, Offset: offset}
		if len(timeout) > 0 {
			req.Timeout = durationpb.New(timeout[0])
		}
		resp, err := c.Wait(t.Context(), req)
		require.NoError(t, err)
		require.False(t, resp.GetReached() && (resp.GetTimedOut() || resp.GetCause() != nil))
		return resp
	}
	const connected, encrypted = pb.WaitRequest_CONDITION_CONNECTED, pb.WaitRequest_CONDITION_ENCRYPTED
	const readable, written = pb.WaitRequest_CONDITION_READY_READ, pb.WaitRequest_CONDITION_BYTES_WRITTEN
	const disconnected = pb.WaitRequest_CONDITION_DISCONNECTED

	require.True(t, wait(disconnected, 0).GetReached(), "never connected")
	require.True(t, wait(encrypted, 0, 0).GetTimedOut(), "0 does not wait")
	require.True(t, wait(connected, 0, 10*time.Millisecond).GetTimedOut())

	early := make(chan *pb.WaitResponse, 3)
	for _, cond := range []pb.WaitRequest_Condition{connected, encrypted, readable} {
		go func() {
			resp, _ := c.Wait(t.Context(), &pb.WaitRequest{SessionId: s.id, Condition: cond})
			early <- resp
		}()
	}
	connectTo(t.Context(), t, c, s, addr)
	k := attach(t.Context(), t, c, s, 1)
	k.write([]byte("hi"))
	for range 3 {
		require.True(t, (<-early).GetReached())
	}
	require.True(t, wait(written, 2).GetReached())
	require.True(t, wait(readable, 1).GetReached())
	require.True(t, wait(readable, 2, 10*time.Millisecond).GetTimedOut(), "beyond, not up to")
	require.True(t, wait(disconnected, 0, 10*time.Millisecond).GetTimedOut())

	k.write([]byte("last"))
	close(endOfPeer)
	r := wait(readable, 100)
	require.False(t, r.GetReached() || r.GetTimedOut())
	require.Equal(t, pb.ErrorReason_ERROR_REASON_SESSION_STATE, r.GetCause().GetReason(), "the peer has ended")
	require.Equal(t, pb.CloseCause_CLOSE_CAUSE_PEER_CLOSE_NOTIFY, r.GetSession().GetReadCause())
	k.finish()
	require.True(t, wait(disconnected, 0).GetReached())
	require.True(t, wait(written, 6).GetReached(), "it holds although the socket is closed")
	for _, r := range []*pb.WaitResponse{wait(connected, 0), wait(encrypted, 0), wait(written, 7)} {
		require.False(t, r.GetReached() || r.GetTimedOut())
		require.Equal(t, pb.ErrorReason_ERROR_REASON_SESSION_STATE, r.GetCause().GetReason())
	}

	_, err := tryConnect(t.Context(), t, c, s, closedPort(t))
	require.Error(t, err)
	require.Equal(t, pb.ErrorReason_ERROR_REASON_CONNECTION_REFUSED, wait(encrypted, 0).GetCause().GetReason(), "why it failed")
	_, err = c.Wait(t.Context(), &pb.WaitRequest{SessionId: s.id, Condition: encrypted, Generation: 1})
	require.Equal(t, "SESSION_STATE", reasonOf(t, err))
	for _, bad := range []*pb.WaitRequest{
		{SessionId: s.id},
		{SessionId: s.id, Condition: encrypted, Timeout: durationpb.New(-1)},
		{SessionId: s.id, Condition: encrypted, Timeout: durationpb.New(11 * time.Minute)},
		{SessionId: s.id, Condition: readable, Offset: -1},
	} {
		_, err = c.Wait(t.Context(), bad)
		require.Equal(t, "INVALID_FIELD", reasonOf(t, err), "%v", bad)
	}
}

// An event stands between the bytes around it, although nobody was attached
// when they came.
func TestEventStandsBetweenItsBytes(t *testing.T) {
	t.Parallel()
	goOn := make(chan struct{})
	addr, ca := scriptedPeer(t, func(conn *tls.Conn) {
		_, _ = conn.Write([]byte("before"))
		select {
		case <-goOn:
		case <-t.Context().Done():
		}
		_, _ = conn.Write([]byte("after"))
		tlstest.CloseNotify(conn)
	})
	service := servertest.Start(t)
	c := service.Client(t)
	s := newIdle(t.Context(), t, c, ca)
	// A retry of this request joins it, and tells the last event's number.
	host, port := hostPort(t, addr)
	connected := &pb.ConnectRequest{SessionId: s.id, Host: host, Port: port, RequestId: "once"}
	resp, err := c.Connect(t.Context(), connected)
	require.NoError(t, err)
	beforeDrain := resp.GetEventSeq()
	received := func(n int64) {
		resp, err := c.Wait(t.Context(), &pb.WaitRequest{SessionId: s.id, Condition: pb.WaitRequest_CONDITION_READY_READ, Offset: n - 1})
		require.NoError(t, err)
		require.True(t, resp.GetReached())
	}
	received(6)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	var wg sync.WaitGroup
	wg.Go(func() { service.Server.Drain(ctx) })
	for seq := int64(0); seq <= beforeDrain; {
		resp, err := c.Connect(t.Context(), connected)
		require.NoError(t, err)
		seq = resp.GetEventSeq()
	}
	close(goOn)
	received(11)
	k := attach(t.Context(), t, c, s, 1)
	k.send(closeFrame(pb.CloseSocket_HOW_WRITE_HALF))
	follow(k, 1)
	require.EqualValues(t, 6, k.event("draining").GetSocketDataOffset())
	require.Equal(t, "beforeafter", string(k.data))
	cancel()
	wg.Wait()
}

func TestTimeline(t *testing.T) {
	t.Parallel()
	addr, ca := echoServer(t)
	ns := serveDNS(t, func(string, int64) []string { return []string{"127.0.0.1"} })
	c := servertest.Start(t, func(sc *session.Config, _ *server.Config) { sc.Resolver = ns.resolver() },
		servertest.AllowEgress(t, "127.0.0.0/8", "localhost", "peer.test")).Client(t)
	s := newIdle(t.Context(), t, c, ca, &pb.SessionSettings{Tls: &pb.TlsSettings{VerifyNames: []string{"127.0.0.1"}}})
	require.Nil(t, getSession(t.Context(), t, c, s).GetTimeline())
	_, port := hostPort(t, addr)
	for _, host := range []string{"127.0.0.1", "peer.test"} {
		resp, err := c.Connect(t.Context(), &pb.ConnectRequest{SessionId: s.id, Host: host, Port: port})
		require.NoError(t, err)
		line := resp.GetSession().GetTimeline()
		spans := []*pb.Span{line.GetPolicy(), line.GetDns(), line.GetTcp(), line.GetHandshake(), line.GetValidation()}
		if host == "127.0.0.1" {
			require.Nil(t, line.GetDns(), "only for names")
			spans = append(spans[:1], spans[2:]...)
		}
		for i, span := range spans {
			require.NotNil(t, span, "%s %d", host, i)
			require.Positive(t, span.GetDuration().AsDuration())
			if i > 0 {
				require.GreaterOrEqual(t, span.GetStart().AsDuration(), spans[i-1].GetStart().AsDuration(), "in order")
			}
		}
		handshake, validation := line.GetHandshake(), line.GetValidation()
		require.LessOrEqual(t, validation.GetStart().AsDuration()+validation.GetDuration().AsDuration(),
			handshake.GetStart().AsDuration()+handshake.GetDuration().AsDuration(), "validation lies inside the handshake")
		require.LessOrEqual(t, line.GetTcp().GetStart().AsDuration()+line.GetTcp().GetDuration().AsDuration(), handshake.GetStart().AsDuration())
	}
	_, err := tryConnect(t.Context(), t, c, s, closedPort(t))
	require.Error(t, err)
	line := getSession(t.Context(), t, c, s).GetTimeline()
	require.NotNil(t, line.GetTcp())
	require.Nil(t, line.GetHandshake(), "not reached")
	require.Nil(t, line.GetValidation())
}
