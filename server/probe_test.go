package server_test

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"sync"
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

// prober asks, and wants no session to be left.
type prober struct {
	tb testing.TB
	c  pb.SecureSocketServiceClient
	d  pb.DiagnosticServiceClient
}

func newProber(tb testing.TB, opts ...servertest.Option) prober {
	tb.Helper()
	svc := servertest.Start(tb, opts...)
	return prober{tb, svc.Client(tb), pb.NewDiagnosticServiceClient(svc.Dial(tb))}
}

func (p prober) probe(addr string, ca *tlstest.CA, change ...func(*pb.ProbeRequest)) (*pb.ProbeResponse, error) {
	p.tb.Helper()
	host, port := hostPort(p.tb, addr)
	req := &pb.ProbeRequest{Host: host, Port: port}
	if ca != nil {
		req.Certificates = []*pb.ExtraCertificate{{Certificate: ca.DER(), Trusted: true}}
	}
	for _, f := range change {
		f(req)
	}
	ctx, cancel := context.WithTimeout(p.tb.Context(), patience)
	defer cancel()
	resp, err := p.d.Probe(ctx, req)
	p.requireNoSession()
	return resp, err
}

func (p prober) requireNoSession() {
	p.tb.Helper()
	list, err := p.c.ListSessions(p.tb.Context(), &pb.ListSessionsRequest{})
	require.NoError(p.tb, err)
	require.Empty(p.tb, list.GetSessions())
}

func withSettings(m *pb.SessionSettings) func(*pb.ProbeRequest) {
	return func(req *pb.ProbeRequest) { req.Settings = m }
}

func TestProbeOfAGoodPeer(t *testing.T) {
	t.Parallel()
	bothVersions(t, func(t *testing.T, version uint16) {
		heard := make(listener, 1)
		addr, ca := scriptedPeer(t, heard.handle, onlyVersion(version), func(c *tls.Config) { c.NextProtos = []string{"h2"} })
		resp, err := newProber(t).probe(addr, ca, withSettings(&pb.SessionSettings{Tls: &pb.TlsSettings{AlpnProtocols: []string{"h2"}}}))
		require.NoError(t, err)
		require.Nil(t, resp.GetFailure())
		require.Zero(t, resp.GetFailedPhase())
		require.Equal(t, "127.0.0.1", resp.GetRemote().GetAddress())
		require.Equal(t, "h2", resp.GetTls().GetAlpnProtocol())
		require.Equal(t, version == tls.VersionTLS12, resp.GetTls().GetVersion() == tls12)
		require.Equal(t, pb.CertificateStatus_CERTIFICATE_STATUS_TRUSTED, resp.GetReport().GetStatus())
		require.Len(t, resp.GetReport().GetVerifiedChain(), 2)
		for name, span := range map[string]*pb.Span{
			"tcp": resp.GetTimeline().GetTcp(), "handshake": resp.GetTimeline().GetHandshake(), "validation": resp.GetTimeline().GetValidation(),
		} {
			require.NotNil(t, span, name)
		}
		got := heard.wait(t)
		require.NoError(t, got.err, "it hangs up politely")
		require.Empty(t, got.data)
	})
}

func TestProbeOfBadPeers(t *testing.T) {
	t.Parallel()
	ca := tlstest.NewCA(t)
	denied := servertest.AllowEgress(t, "192.0.2.1")
	for name, tc := range map[string]struct {
		addr   func(testing.TB) string
		reason pb.ErrorReason
		phase  pb.Phase
		status pb.CertificateStatus // 0: no report
		remote bool
		opts   []servertest.Option
	}{
		"expired": {func(tb testing.TB) string { return serveChain(tb, ca.Leaf(tlstest.Expired())) },
			pb.ErrorReason_ERROR_REASON_CERTIFICATE_EXPIRED, pb.Phase_PHASE_CERTIFICATE, pb.CertificateStatus_CERTIFICATE_STATUS_EXPIRED, true, nil},
		"self-signed": {func(tb testing.TB) string { return serveChain(tb, tlstest.SelfSigned(tb)) },
			pb.ErrorReason_ERROR_REASON_CERTIFICATE_UNTRUSTED_SIGNERS, pb.Phase_PHASE_CERTIFICATE, pb.CertificateStatus_CERTIFICATE_STATUS_UNTRUSTED_SIGNERS, true, nil},
		"refused": {closedPort,
			pb.ErrorReason_ERROR_REASON_CONNECTION_REFUSED, pb.Phase_PHASE_TCP, 0, false, nil},
		"not TLS": {func(tb testing.TB) string {
			return tlstest.ServeRaw(tb, func(c net.Conn) {
				_, _ = io.WriteString(c, "220 mail.example ESMTP\r\n")
				_, _ = io.Copy(io.Discard, c)
			})
		}, pb.ErrorReason_ERROR_REASON_NOT_TLS, pb.Phase_PHASE_HANDSHAKE, 0, true, nil},
		"silent": {silent,
			pb.ErrorReason_ERROR_REASON_HANDSHAKE_TIMEOUT, pb.Phase_PHASE_HANDSHAKE, 0, true, nil},
		"no version in common": {func(tb testing.TB) string {
			return tlstest.Serve(tb, &tls.Config{Certificates: []tls.Certificate{ca.Leaf().Certificate()}, MaxVersion: tls.VersionTLS11}, tlstest.Echo)
		}, pb.ErrorReason_ERROR_REASON_PEER_INCOMPATIBLE, pb.Phase_PHASE_HANDSHAKE, 0, true, nil},
		"denied": {func(testing.TB) string { return "127.0.0.1:443" },
			pb.ErrorReason_ERROR_REASON_EGRESS_DENIED, pb.Phase_PHASE_POLICY, 0, false, []servertest.Option{denied}},
		"no such name": {func(testing.TB) string { return "missing.test:443" },
			pb.ErrorReason_ERROR_REASON_HOST_NOT_FOUND, pb.Phase_PHASE_DNS, 0, false, []servertest.Option{
				servertest.AllowEgress(t, "missing.test"), func(sc *session.Config, _ *server.Config) { sc.Resolver = namesInside{} },
			}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newProber(t, tc.opts...)
			resp, err := p.probe(tc.addr(t), ca, withSettings(&pb.SessionSettings{Tls: &pb.TlsSettings{HandshakeTimeout: durationpb.New(time.Second)}}))
			require.NoError(t, err, "what the network and the peer do wrong is in the reply")
			require.Equal(t, tc.reason, resp.GetFailure().GetReason())
			require.NotZero(t, resp.GetFailure().GetCode())
			require.Equal(t, tc.phase, resp.GetFailedPhase())
			require.Equal(t, tc.remote, resp.GetRemote() != nil)
			require.Nil(t, resp.GetTls())
			require.NotNil(t, resp.GetTimeline().GetPolicy())
			if tc.status == 0 {
				require.Nil(t, resp.GetReport())
				return
			}
			require.Equal(t, tc.status, resp.GetReport().GetStatus())
			require.NotEmpty(t, resp.GetReport().GetProblems())
			require.NotEmpty(t, resp.GetReport().GetPeerChain())
		})
	}
}

// A probe never asks anybody: its override is STRICT, whatever is set.
func TestProbeDoesNotPause(t *testing.T) {
	t.Parallel()
	ca := tlstest.NewCA(t)
	addr := serveChain(t, ca.Leaf(tlstest.Expired()))
	ask := &pb.SessionSettings{Tls: &pb.TlsSettings{Override: pb.OverrideMode_OVERRIDE_MODE_ASK, DecisionTimeout: durationpb.New(time.Hour)}}
	svc := servertest.Start(t)
	k := newTrustClients(t, svc)
	k.updateDefaults(t.Context(), ask)
	p := prober{t, k.c, pb.NewDiagnosticServiceClient(svc.Dial(t))}
	for _, change := range []func(*pb.ProbeRequest){withSettings(ask), withSettings(nil)} {
		resp, err := p.probe(addr, ca, change)
		require.NoError(t, err)
		require.Equal(t, pb.ErrorReason_ERROR_REASON_CERTIFICATE_EXPIRED, resp.GetFailure().GetReason())
		require.Nil(t, resp.GetTimeline().GetDecision())
	}
}

func TestProbeHasTheCallersDefaults(t *testing.T) {
	t.Parallel()
	ca := tlstest.NewCA(t)
	addr := serveChain(t, ca.Leaf())
	svc := servertest.Start(t)
	k := newTrustClients(t, svc)
	k.add(t.Context(), ofDefaults, "", true, ca.DER())
	k.updateDefaults(t.Context(), &pb.SessionSettings{Tls: &pb.TlsSettings{MaxVersion: tls12}})
	p := prober{t, k.c, pb.NewDiagnosticServiceClient(svc.Dial(t))}
	resp, err := p.probe(addr, nil)
	require.NoError(t, err)
	require.Nil(t, resp.GetFailure())
	require.Equal(t, tls12, resp.GetTls().GetVersion())
	require.Equal(t, "defaults", resp.GetReport().GetStoreName())

	_, err = p.probe(addr, nil, withSettings(&pb.SessionSettings{Tls: &pb.TlsSettings{MinVersion: tls13}}))
	require.Equal(t, "INVALID_FIELD", reasonOf(t, err), "they contradict each other")
}

func TestRefusedProbes(t *testing.T) {
	t.Parallel()
	ca := tlstest.NewCA(t)
	count, dials := countedDials()
	p := newProber(t, count)
	for name, tc := range map[string]struct {
		reason string
		change func(*pb.ProbeRequest)
	}{
		"no host":            {"HOST_REQUIRED", func(m *pb.ProbeRequest) { m.Host = "" }},
		"a host in brackets": {"HOST_SYNTAX", func(m *pb.ProbeRequest) { m.Host = "[::1]" }},
		"no port":            {"PORT_OUT_OF_RANGE", func(m *pb.ProbeRequest) { m.Port = 0 }},
		"a large port":       {"PORT_OUT_OF_RANGE", func(m *pb.ProbeRequest) { m.Port = 65536 }},
		"SSL 3": {"UNSUPPORTED_PROTOCOL", withSettings(&pb.SessionSettings{
			Tls: &pb.TlsSettings{MinVersion: pb.ProtocolVersion_PROTOCOL_VERSION_SSL3},
		})},
		"an unknown group": {"INVALID_FIELD", withSettings(&pb.SessionSettings{Tls: &pb.TlsSettings{Groups: []string{"x"}}})},
		"a source address": {"UNSUPPORTED", withSettings(&pb.SessionSettings{Tcp: &pb.TcpSettings{SourceAddress: "127.0.0.1"}})},
		"garbage": {"INVALID_CERTIFICATE", func(m *pb.ProbeRequest) {
			m.Certificates = []*pb.ExtraCertificate{{Certificate: ca.DER()}, {Certificate: []byte("garbage")}}
		}},
		"too many certificates": {"LIMIT", func(m *pb.ProbeRequest) {
			for _, der := range manyCertificates(t, 101) {
				m.Certificates = append(m.Certificates, &pb.ExtraCertificate{Certificate: der})
			}
		}},
		"an unknown field": {"INVALID_FIELD", func(m *pb.ProbeRequest) { withUnknown(m) }},
	} {
		_, err := p.probe("127.0.0.1:1", nil, tc.change)
		require.Equal(t, tc.reason, reasonOf(t, err), name)
	}
	require.Empty(t, dials())
}

func TestProbeCountsAsASession(t *testing.T) {
	t.Parallel()
	addr, ca := echoServer(t)
	p := newProber(t, func(sc *session.Config, _ *server.Config) { sc.MaxSessionsPerOwner = 1 })
	for range 3 {
		resp, err := p.probe(addr, ca)
		require.NoError(t, err)
		require.Nil(t, resp.GetFailure())
	}
	newIdle(t.Context(), t, p.c, nil)
	host, port := hostPort(t, addr)
	_, err := p.d.Probe(t.Context(), &pb.ProbeRequest{Host: host, Port: port})
	require.Equal(t, "LIMIT", reasonOf(t, err))
	require.Equal(t, codes.ResourceExhausted, status.Code(err))
}

func TestCancelledProbe(t *testing.T) {
	t.Parallel()
	asked := make(blockingResolver, 1)
	p := newProber(t, servertest.AllowEgress(t, "127.0.0.0/8", "name.test"), func(sc *session.Config, _ *server.Config) { sc.Resolver = asked })
	accepted := make(chan struct{}, 1)
	addr := tlstest.ServeRaw(t, func(c net.Conn) {
		accepted <- struct{}{}
		_, _ = io.Copy(io.Discard, c)
	})
	for name, tc := range map[string]struct {
		addr  string
		begun <-chan struct{}
	}{
		"in the handshake": {addr, accepted},
		"in the resolver":  {"name.test:443", asked},
	} {
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		var err error
		host, port := hostPort(t, tc.addr)
		wg.Go(func() { _, err = p.d.Probe(ctx, &pb.ProbeRequest{Host: host, Port: port}) })
		<-tc.begun
		list, listErr := p.c.ListSessions(t.Context(), &pb.ListSessionsRequest{})
		require.NoError(t, listErr)
		require.Len(t, list.GetSessions(), 1, "%s: it is one while it lasts", name)
		cancel()
		wg.Wait()
		require.Equal(t, codes.Canceled, status.Code(err), name)
		require.Eventually(t, func() bool {
			list, err := p.c.ListSessions(t.Context(), &pb.ListSessionsRequest{})
			return err == nil && len(list.GetSessions()) == 0
		}, patience, time.Millisecond, name)
	}
}

// A peer that goes as soon as it can was a good one all the same.
func TestProbeOfAPeerThatGoes(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(*tls.Conn){
		"politely": tlstest.CloseNotify, "without a word": tlstest.Truncate, "by a reset": tlstest.Reset, "never": func(c *tls.Conn) {
			_, _ = io.Copy(io.Discard, c.NetConn())
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			addr, ca := scriptedPeer(t, end, onlyVersion(tls.VersionTLS13))
			p := newProber(t)
			for range 20 {
				resp, err := p.probe(addr, ca)
				require.NoError(t, err)
				if name == "by a reset" && resp.GetFailure() != nil { // it came before the end of the handshake
					continue
				}
				require.Nil(t, resp.GetFailure())
				require.NotNil(t, resp.GetTls())
				require.Equal(t, pb.CertificateStatus_CERTIFICATE_STATUS_TRUSTED, resp.GetReport().GetStatus())
			}
		})
	}
}

// A client without the certificate that the peer wants is told so within the
// handshake of TLS 1.2.
func TestProbeOfAPeerThatWantsACertificate(t *testing.T) {
	t.Parallel()
	addr, ca := echoServer(t, onlyVersion(tls.VersionTLS12), func(c *tls.Config) {
		c.ClientAuth = tls.RequireAnyClientCert
		c.VerifyConnection = func(tls.ConnectionState) error { return errors.New("not you") }
	})
	resp, err := newProber(t).probe(addr, ca)
	require.NoError(t, err)
	require.Equal(t, pb.ErrorReason_ERROR_REASON_PEER_ALERT, resp.GetFailure().GetReason())
	require.Equal(t, pb.Phase_PHASE_HANDSHAKE, resp.GetFailedPhase())
	require.Nil(t, resp.GetTls())
}

// A probe sees the peer as it is now, and has nobody to ask for a signature.
func TestProbeResumesNothing(t *testing.T) {
	t.Parallel()
	ca := tlstest.NewCA(t)
	c := servertest.Start(t)
	peer := newTicketPeer(ca.Leaf(), tls.VersionTLS13)
	addr := peer.serve(t)
	host, port := hostPort(t, addr)
	diagnostic := pb.NewDiagnosticServiceClient(c.Dial(t))
	req := &pb.ProbeRequest{Host: host, Port: port, Certificates: []*pb.ExtraCertificate{{Certificate: ca.DER(), Trusted: true}}}
	for range 2 {
		resp, err := diagnostic.Probe(t.Context(), req)
		require.NoError(t, err)
		require.Nil(t, resp.GetFailure())
		require.False(t, resp.GetTls().GetResumed())
	}
	require.Zero(t, peer.offered.Load())

	req.Settings = &pb.SessionSettings{Tls: &pb.TlsSettings{Identities: []*pb.Identity{{Source: &pb.Identity_CallerSigner{
		CallerSigner: &pb.CallerSigner{CertificateChain: ca.Leaf().Chain},
	}}}}}
	_, err := diagnostic.Probe(t.Context(), req)
	require.Equal(t, "INVALID_FIELD", reasonOf(t, err))
}
