package securesocket_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/ocsp"
	"google.golang.org/protobuf/types/known/durationpb"

	"securesocket/client"
	pb "securesocket/gen/securesocket/v1"
	"securesocket/server"
	"securesocket/server/servertest"
	"securesocket/session"
	"securesocket/session/proxy/proxytest"
	"securesocket/tlsengine/forge"
	"securesocket/tlsengine/tlstest"
	"securesocket/tlsengine/truststore"
)

// provocations has a way to every reason.
var provocations = map[pb.ErrorReason]func(p *provoker) error{
	pb.ErrorReason_ERROR_REASON_INVALID_FIELD: func(p *provoker) error {
		return p.create(&pb.SessionSettings{IdleTimeout: durationpb.New(-1)})
	},
	pb.ErrorReason_ERROR_REASON_INVALID_CERTIFICATE: func(p *provoker) error {
		_, err := p.s.AddCertificate(p.tb.Context(), &pb.AddCertificateRequest{SessionId: p.id(), Certificate: []byte("no")})
		return err
	},
	pb.ErrorReason_ERROR_REASON_INVALID_PRIVATE_KEY: func(p *provoker) error {
		own, other := p.ca.Leaf(), p.ca.Leaf()
		return p.create(&pb.SessionSettings{Tls: &pb.TlsSettings{Identities: []*pb.Identity{{Source: &pb.Identity_KeyPair{
			KeyPair: &pb.KeyPair{CertificateChain: own.Chain, PrivateKey: other.KeyPEM()},
		}}}}})
	},
	pb.ErrorReason_ERROR_REASON_NOT_ALLOWED: func(p *provoker) error {
		_, err := pb.NewTrustServiceClient(p.svc.Dial(p.tb)).ResetCertificates(p.tb.Context(),
			&pb.ResetCertificatesRequest{Scope: pb.TrustScope_TRUST_SCOPE_SYSTEM})
		return err
	},
	pb.ErrorReason_ERROR_REASON_PORT_OUT_OF_RANGE: func(p *provoker) error { return p.connect("127.0.0.1", 0) },
	pb.ErrorReason_ERROR_REASON_HOST_REQUIRED:     func(p *provoker) error { return p.connect("", 443) },
	pb.ErrorReason_ERROR_REASON_HOST_SYNTAX:       func(p *provoker) error { return p.connect("[::1]", 443) },
	pb.ErrorReason_ERROR_REASON_UNSUPPORTED_PROTOCOL: func(p *provoker) error {
		return p.create(&pb.SessionSettings{Tls: &pb.TlsSettings{MinVersion: pb.ProtocolVersion_PROTOCOL_VERSION_SSL3}})
	},
	pb.ErrorReason_ERROR_REASON_UNSUPPORTED_CIPHER: func(p *provoker) error {
		return p.create(&pb.SessionSettings{Tls: &pb.TlsSettings{CipherSuites: []string{"TLS_NULL_WITH_NULL_NULL"}}})
	},
	pb.ErrorReason_ERROR_REASON_SESSION_NOT_FOUND: func(p *provoker) error {
		_, err := p.s.GetSession(p.tb.Context(), &pb.GetSessionRequest{SessionId: "none"})
		return err
	},
	pb.ErrorReason_ERROR_REASON_SESSION_EXPIRED: func(p *provoker) error {
		yes := true
		resp, err := p.s.CreateSession(p.tb.Context(), &pb.CreateSessionRequest{
			Settings: &pb.SessionSettings{Resumable: &yes, DetachGrace: durationpb.New(time.Second)},
		})
		require.NoError(p.tb, err)
		id := resp.GetSession().GetSessionId()
		_, err = p.s.AddCertificate(p.tb.Context(), &pb.AddCertificateRequest{SessionId: id, Certificate: p.ca.DER(), Trusted: true})
		require.NoError(p.tb, err)
		host, port := p.hostPort(p.serve(tlstest.Echo))
		_, err = p.s.Connect(p.tb.Context(), &pb.ConnectRequest{SessionId: id, Host: host, Port: port})
		require.NoError(p.tb, err)
		_, err = p.s.Wait(p.tb.Context(), &pb.WaitRequest{SessionId: id, Condition: pb.WaitRequest_CONDITION_DISCONNECTED})
		return err
	},
	pb.ErrorReason_ERROR_REASON_SESSION_STATE: func(p *provoker) error {
		_, err := p.s.Close(p.tb.Context(), &pb.CloseRequest{SessionId: p.id()})
		return err
	},
	pb.ErrorReason_ERROR_REASON_OFFSET_MISMATCH: func(p *provoker) error {
		return p.stream(p.attach(&pb.AttachSession{SessionId: p.id(), AttachSeq: 1, ReceivedOffset: 7}))
	},
	pb.ErrorReason_ERROR_REASON_STREAM_GRAMMAR: func(p *provoker) error { return p.stream(&pb.AttachRequest{}) },
	pb.ErrorReason_ERROR_REASON_SUPERSEDED: func(p *provoker) error {
		resp, err := p.s.CreateSession(p.tb.Context(), &pb.CreateSessionRequest{})
		require.NoError(p.tb, err)
		m := &pb.AttachSession{SessionId: resp.GetSession().GetSessionId(), ResumeToken: resp.GetResumeToken(), AttachSeq: 1}
		st, err := p.s.Attach(p.tb.Context())
		require.NoError(p.tb, err)
		require.NoError(p.tb, st.Send(p.attach(m)))
		_, err = st.Recv()
		require.NoError(p.tb, err)
		return p.stream(p.attach(m))
	},
	pb.ErrorReason_ERROR_REASON_RESUME_TOKEN: func(p *provoker) error {
		return p.stream(p.attach(&pb.AttachSession{SessionId: p.id(), AttachSeq: 1, ResumeToken: make([]byte, 32)}))
	},
	pb.ErrorReason_ERROR_REASON_UNAUTHENTICATED: func(p *provoker) error {
		_, err := p.s.GetCapabilities(servertest.As(p.tb.Context(), servertest.Nobody), &pb.GetCapabilitiesRequest{})
		return err
	},
	pb.ErrorReason_ERROR_REASON_LISTENER_NOT_FOUND: func(p *provoker) error {
		_, err := p.listeners().GetListener(p.tb.Context(), &pb.GetListenerRequest{ListenerId: "none"})
		return err
	},
	pb.ErrorReason_ERROR_REASON_LISTEN_DENIED: func(p *provoker) error { return p.listen("0.0.0.0", 0) },
	pb.ErrorReason_ERROR_REASON_ADDRESS_IN_USE: func(p *provoker) error {
		return p.listen(p.hostPort(p.serve(tlstest.Echo)))
	},
	pb.ErrorReason_ERROR_REASON_ADDRESS_UNAVAILABLE: func(p *provoker) error { return p.listen("203.0.113.1", 0) },
	pb.ErrorReason_ERROR_REASON_REQUEST_ID_REUSED: func(p *provoker) error {
		for _, label := range []string{"a", "b"} {
			_, err := p.s.CreateSession(p.tb.Context(), &pb.CreateSessionRequest{RequestId: "1", Settings: &pb.SessionSettings{Label: label}})
			if err != nil {
				return err
			}
		}
		return nil
	},

	pb.ErrorReason_ERROR_REASON_EGRESS_DENIED: func(p *provoker) error { return p.dialErr("10.0.0.1:443") },
	pb.ErrorReason_ERROR_REASON_LIMIT: func(p *provoker) error {
		ctx := servertest.As(p.tb.Context(), "greedy")
		for {
			if _, err := p.s.CreateSession(ctx, &pb.CreateSessionRequest{}); err != nil {
				return err
			}
		}
	},
	pb.ErrorReason_ERROR_REASON_DRAINING: func(p *provoker) error {
		svc := servertest.Start(p.tb)
		s := svc.Client(p.tb)
		addr := p.serve(tlstest.Echo)
		host, port := p.hostPort(addr)
		st, err := s.Attach(p.tb.Context())
		require.NoError(p.tb, err)
		require.NoError(p.tb, st.Send(&pb.AttachRequest{Frame: &pb.AttachRequest_Open{Open: &pb.Open{
			Host: host, Port: port, Certificates: []*pb.ExtraCertificate{{Certificate: p.ca.DER(), Trusted: true}},
		}}}))
		awaitEvent := func(want func(*pb.Event) bool) {
			for {
				m, err := st.Recv()
				require.NoError(p.tb, err)
				if want(m.GetEvent()) {
					return
				}
			}
		}
		awaitEvent(func(e *pb.Event) bool { return e.GetSecureConnected() != nil })
		ctx, cancel := context.WithCancel(p.tb.Context())
		done := make(chan struct{})
		go func() { defer close(done); svc.Server.Drain(ctx) }()
		defer func() { cancel(); <-done }()
		awaitEvent(func(e *pb.Event) bool { return e.GetDraining() != nil })
		_, err = s.CreateSession(p.tb.Context(), &pb.CreateSessionRequest{})
		return err
	},
	pb.ErrorReason_ERROR_REASON_LOCAL_RESOURCES: func(p *provoker) error { return p.dialErr("127.0.0.1:1003") },
	pb.ErrorReason_ERROR_REASON_CANCELLED: func(p *provoker) error {
		id := p.id()
		addr := tlstest.ServeRaw(p.tb, func(c net.Conn) { _, _ = c.Read(make([]byte, 1<<16)); _, _ = c.Read(make([]byte, 1)) })
		host, port := p.hostPort(addr)
		_, err := p.s.Connect(p.tb.Context(), &pb.ConnectRequest{SessionId: id, Host: host, Port: port, ReturnImmediately: true})
		require.NoError(p.tb, err)
		_, err = p.s.Close(p.tb.Context(), &pb.CloseRequest{SessionId: id})
		require.NoError(p.tb, err)
		resp, err := p.s.GetSession(p.tb.Context(), &pb.GetSessionRequest{SessionId: id})
		require.NoError(p.tb, err)
		return failure(resp.GetSession().GetLastError())
	},
	pb.ErrorReason_ERROR_REASON_UNSUPPORTED: func(p *provoker) error {
		return p.create(&pb.SessionSettings{Tcp: &pb.TcpSettings{SourceAddress: "127.0.0.1"}})
	},

	pb.ErrorReason_ERROR_REASON_HOST_NOT_FOUND:      func(p *provoker) error { return p.dialErr("missing.example:443") },
	pb.ErrorReason_ERROR_REASON_DNS_FAILURE:         func(p *provoker) error { return p.dialErr("broken.example:443") },
	pb.ErrorReason_ERROR_REASON_NETWORK_UNREACHABLE: func(p *provoker) error { return p.dialErr("127.0.0.1:1001") },
	pb.ErrorReason_ERROR_REASON_HOST_UNREACHABLE:    func(p *provoker) error { return p.dialErr("127.0.0.1:1002") },
	pb.ErrorReason_ERROR_REASON_NETWORK_TIMEOUT:     func(p *provoker) error { return p.dialErr("127.0.0.1:1004") },
	pb.ErrorReason_ERROR_REASON_CONNECTION_REFUSED: func(p *provoker) error {
		return p.dialErr(tlstest.Refusing(p.tb))
	},
	pb.ErrorReason_ERROR_REASON_CONNECT_TIMEOUT: func(p *provoker) error {
		return p.dialErr(silent(p.tb), func(d *client.Dialer) {
			d.Settings = &pb.SessionSettings{ConnectTimeout: durationpb.New(0)}
		})
	},
	pb.ErrorReason_ERROR_REASON_HANDSHAKE_TIMEOUT: func(p *provoker) error {
		return p.dialErr(silent(p.tb), func(d *client.Dialer) {
			d.Settings = &pb.SessionSettings{Tls: &pb.TlsSettings{HandshakeTimeout: durationpb.New(50 * time.Millisecond)}}
		})
	},
	pb.ErrorReason_ERROR_REASON_NOT_TLS: func(p *provoker) error { return p.dialErr(p.serveRaw("SSH-2.0-OpenSSH_9.2\r\n")) },
	pb.ErrorReason_ERROR_REASON_PEER_ALERT: func(p *provoker) error {
		return p.dialErr(p.serveRaw("\x15\x03\x03\x00\x02\x02\x50")) // internal_error
	},
	pb.ErrorReason_ERROR_REASON_PEER_MISBEHAVED: func(p *provoker) error {
		return p.dialErr(p.serveRaw("\x16\x03\x03\x00\x04\x0e\x00\x00\x00")) // ServerHelloDone, first
	},
	pb.ErrorReason_ERROR_REASON_PEER_INCOMPATIBLE: func(p *provoker) error {
		return p.dialErr(p.serve(tlstest.Echo), func(d *client.Dialer) {
			d.MaxVersion, d.CipherSuites = tls.VersionTLS12, []string{"TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"} // the leaf is ECDSA
		})
	},
	pb.ErrorReason_ERROR_REASON_PEER_RESET:     func(p *provoker) error { return p.read(p.serve(tlstest.Reset)) },
	pb.ErrorReason_ERROR_REASON_PEER_TRUNCATED: func(p *provoker) error { return p.read(p.serve(tlstest.Truncate)) },
	pb.ErrorReason_ERROR_REASON_ALPN_MISMATCH: func(p *provoker) error {
		return p.dialErr(p.serve(tlstest.Echo), func(d *client.Dialer) { d.ALPN, d.RequireALPN = []string{"h2"}, true })
	},

	pb.ErrorReason_ERROR_REASON_START_TLS_INJECTION: func(p *provoker) error {
		return p.startTLS("220 go ahead\r\nsurplus")
	},
	pb.ErrorReason_ERROR_REASON_START_TLS_REFUSED: func(p *provoker) error {
		return p.startTLS("454 not now\r\n")
	},
	pb.ErrorReason_ERROR_REASON_PROXY_REFUSED: func(p *provoker) error {
		host, port := p.hostPort(proxytest.StartHTTP(p.tb, proxytest.Refuse(403)).Addr())
		return p.dialErr(p.serve(tlstest.Echo), func(d *client.Dialer) {
			d.Settings = &pb.SessionSettings{Proxy: &pb.ProxySettings{Kind: pb.ProxySettings_KIND_HTTP_CONNECT, Host: host, Port: port}}
		})
	},

	pb.ErrorReason_ERROR_REASON_CERTIFICATE_REQUIRED: func(p *provoker) error {
		own := p.ca.Leaf(tlstest.Names("server.test"))
		resp, err := p.listeners().Listen(p.tb.Context(), &pb.ListenRequest{Address: "127.0.0.1"})
		require.NoError(p.tb, err)
		ctx, cancel := context.WithCancel(p.tb.Context())
		defer cancel()
		accept, err := p.listeners().Accept(ctx, &pb.AcceptRequest{ListenerId: resp.GetListener().GetListenerId()})
		require.NoError(p.tb, err)
		peer := make(chan struct{})
		go func() {
			defer close(peer)
			local := resp.GetListener().GetLocal()
			conn, err := net.Dial("tcp", net.JoinHostPort(local.GetAddress(), strconv.Itoa(int(local.GetPort()))))
			if err == nil {
				_, _ = io.Copy(io.Discard, tls.Client(conn, &tls.Config{ServerName: "server.test", RootCAs: p.ca.Pool()}))
				_ = conn.Close()
			}
		}()
		defer func() { <-peer }()
		got, err := accept.Recv()
		require.NoError(p.tb, err)
		id := got.GetSession().GetSessionId()
		_, err = p.s.UpdateSession(p.tb.Context(), &pb.UpdateSessionRequest{SessionId: id, Settings: &pb.SessionSettings{Tls: &pb.TlsSettings{
			ClientAuth: pb.ClientAuth_CLIENT_AUTH_REQUIRE,
			Identities: []*pb.Identity{{Source: &pb.Identity_KeyPair{
				KeyPair: &pb.KeyPair{CertificateChain: own.Chain, PrivateKey: own.KeyPEM()},
			}}},
		}}})
		require.NoError(p.tb, err)
		_, err = p.s.StartTls(p.tb.Context(), &pb.StartTlsRequest{SessionId: id, StartTls: &pb.StartTls{Role: pb.TlsRole_TLS_ROLE_SERVER}})
		return err
	},
	pb.ErrorReason_ERROR_REASON_CERTIFICATE_EXPIRED: func(p *provoker) error { return p.dialErr(p.serve(tlstest.Echo, tlstest.Expired())) },
	pb.ErrorReason_ERROR_REASON_CERTIFICATE_NOT_YET_VALID: func(p *provoker) error {
		return p.dialErr(p.serve(tlstest.Echo, tlstest.NotYetValid()))
	},
	pb.ErrorReason_ERROR_REASON_CERTIFICATE_PRINCIPAL_MISMATCH: func(p *provoker) error {
		return p.dialErr(p.serve(tlstest.Echo), func(d *client.Dialer) { d.VerifyNames = []string{"other.example"} })
	},
	pb.ErrorReason_ERROR_REASON_CERTIFICATE_INVALID_CHAIN: func(p *provoker) error {
		leaf := p.ca.Intermediate(tlstest.Expired()).Leaf(tlstest.Names("127.0.0.1"))
		return p.dialErr(tlstest.Serve(p.tb, &tls.Config{Certificates: []tls.Certificate{leaf.Certificate()}}, tlstest.Echo))
	},
	pb.ErrorReason_ERROR_REASON_CERTIFICATE_UNTRUSTED_SIGNERS: func(p *provoker) error {
		return p.dialErr(p.serve(tlstest.Echo), func(d *client.Dialer) { d.RootCAs = [][]byte{p.other.DER()} })
	},
	pb.ErrorReason_ERROR_REASON_CERTIFICATE_INVALID: func(p *provoker) error {
		return p.dialErr(p.serve(tlstest.Echo, tlstest.ExtKeyUsage(x509.ExtKeyUsageClientAuth)))
	},
	pb.ErrorReason_ERROR_REASON_CERTIFICATE_REVOKED: func(p *provoker) error {
		leaf := p.ca.Leaf(tlstest.Names("127.0.0.1"))
		cert := leaf.Certificate()
		cert.OCSPStaple = p.ca.OCSP(forge.Answer{Serial: leaf.Leaf.SerialNumber, Status: ocsp.Revoked})
		return p.dialErr(tlstest.Serve(p.tb, &tls.Config{Certificates: []tls.Certificate{cert}}, tlstest.Echo))
	},
	pb.ErrorReason_ERROR_REASON_REVOCATION_UNAVAILABLE: func(p *provoker) error {
		return p.dialErr(p.serve(tlstest.Echo), tlsSettings(&pb.TlsSettings{Revocation: pb.RevocationMode_REVOCATION_MODE_HARD}))
	},
	pb.ErrorReason_ERROR_REASON_DECISION_REFUSED: func(p *provoker) error {
		return p.dialErr(p.serve(tlstest.Echo, tlstest.Expired()), func(d *client.Dialer) {
			d.Decide = func(context.Context, *client.Question) client.Answer { return client.Refuse() }
		})
	},
	pb.ErrorReason_ERROR_REASON_DECISION_TIMEOUT: func(p *provoker) error {
		return p.dialErr(p.serve(tlstest.Echo, tlstest.Expired()), tlsSettings(&pb.TlsSettings{
			Override: pb.OverrideMode_OVERRIDE_MODE_ASK, DecisionTimeout: durationpb.New(50 * time.Millisecond),
		}))
	},
	pb.ErrorReason_ERROR_REASON_SIGNATURE_FAILED: func(p *provoker) error {
		own := p.ca.Leaf()
		id, err := client.CallerHeldIdentity(tls.Certificate{Certificate: own.Chain, PrivateKey: unwilling{own.Key}})
		require.NoError(p.tb, err)
		server := p.ca.Leaf(tlstest.Names("127.0.0.1"))
		addr := tlstest.Serve(p.tb, &tls.Config{
			Certificates: []tls.Certificate{server.Certificate()}, ClientAuth: tls.RequireAnyClientCert,
		}, tlstest.Echo)
		return p.dialErr(addr, func(d *client.Dialer) { d.Identities = []*client.Identity{id} })
	},
	pb.ErrorReason_ERROR_REASON_CERTIFICATE_UNDETERMINED: func(p *provoker) error {
		leaf := p.ca.Leaf(tlstest.Names("127.0.0.1"))
		for range 17 {
			leaf.Append(p.other.Intermediate().DER())
		}
		return p.dialErr(tlstest.Serve(p.tb, &tls.Config{Certificates: []tls.Certificate{leaf.Certificate()}}, tlstest.Echo))
	},

	pb.ErrorReason_ERROR_REASON_INTERNAL: func(p *provoker) error {
		svc := servertest.Start(p.tb, func(c *session.Config, _ *server.Config) {
			c.System = func() (*truststore.Set, error) { return nil, errors.New("the disk is gone") }
		})
		c, err := client.Dial("grpc://service:1", client.WithContextDialer(svc.DialContext))
		require.NoError(p.tb, err)
		defer func() { _ = c.Close() }()
		_, err = c.DialContext(p.tb.Context(), "tcp", p.serve(tlstest.Echo))
		return err
	},
}

// Every reason of the contract can be provoked, arrives in the SDK as itself
// with advice, and has its row in docs/errors.md.
func TestEveryReason(t *testing.T) {
	t.Parallel()
	docs, err := os.ReadFile("docs/errors.md")
	require.NoError(t, err)
	svc := servertest.Start(t, func(c *session.Config, _ *server.Config) {
		c.Dial, c.Resolver, c.MaxSessionsPerOwner = faulty, brokenDNS{}, 100
	}, servertest.AllowListening(t, "203.0.113.0/24"))
	c, err := client.Dial("grpc://service:1", client.WithContextDialer(svc.DialContext))
	require.NoError(t, err)
	t.Cleanup(func() { _ = c.Close() })
	for number, name := range pb.ErrorReason_name {
		reason := pb.ErrorReason(number)
		if reason == pb.ErrorReason_ERROR_REASON_UNSPECIFIED {
			continue
		}
		short := strings.TrimPrefix(name, "ERROR_REASON_")
		t.Run(short, func(t *testing.T) {
			t.Parallel()
			require.Contains(t, string(docs), "| `"+short+"` |", "a row in docs/errors.md")
			provoke := provocations[reason]
			require.NotNil(t, provoke, "a way to provoke it")
			p := &provoker{tb: t, c: c, s: c.Service(), svc: svc, ca: tlstest.NewCA(t), other: tlstest.NewCA(t)}
			got := client.FromError(provoke(p))
			require.NotNil(t, got)
			require.Equal(t, reason, got.Reason, "%v", got)
			require.NotEmpty(t, got.Side())
			require.NotEmpty(t, got.Remedy())
		})
	}
}
