package server_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/tls"
	"encoding/base64"
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	pb "securesocket/gen/securesocket/v1"
	"securesocket/server/servertest"
	"securesocket/session/proxy/proxytest"
	"securesocket/tlsengine/tlstest"
)

// TestThreat32HundredCanaries: keys, passphrases, passwords and tokens go through every call and every failure that is known, and
// nothing that the service then has told, or its process can be asked for, has any of them.
func TestThreat32HundredCanaries(t *testing.T) {
	t.Parallel()
	b := newBattery(t)
	require.GreaterOrEqual(t, len(b.secrets), 100)
	for n, k := range b.keys {
		id := clientLeaf(b.clients, tlstest.Key(k.key))
		phrase := b.passphrases[n%len(b.passphrases)]
		pair := b.pair(t, n, id, phrase)
		b.taken(pair)
		b.refused(n, pair, id)
		b.proxied(n, pair)
		b.listened(pair)
		b.misplaced(n, pair, id)
	}
	b.stolen()
	b.malformed()
	live := b.hold()
	b.profiles()
	b.drained(live)
	b.keepsAll()
}

// taken uses an identity in every way that works, and with a peer that does not want it.
func (b *battery) taken(pair *pb.KeyPair) {
	b.t.Helper()
	ctx, settings := b.t.Context(), having(keyPair(pair))
	s := newIdle(ctx, b.t, b.c, b.good.ca, settings)
	stillWorks(ctx, b.t, b.c, s, b.good.addr)
	shown := getSession(ctx, b.t, b.c, s).GetSettings()
	_, err := b.c.UpdateSession(ctx, &pb.UpdateSessionRequest{SessionId: s.id, Settings: shown})
	require.NoError(b.t, err)
	_, err = b.c.UpdateSession(ctx, &pb.UpdateSessionRequest{SessionId: s.id, Settings: settings, UpdateMask: mask("tls.identities")})
	require.NoError(b.t, err)
	_, err = b.c.ListSessions(ctx, &pb.ListSessionsRequest{})
	require.NoError(b.t, err)
	_, err = b.c.AddCertificate(ctx, &pb.AddCertificateRequest{SessionId: s.id, Certificate: b.bad.ca.DER(), Trusted: true})
	require.NoError(b.t, err)
	begin(b.t, b.c, s, b.bad.addr) // it sends an alert
	_, _ = b.c.Wait(ctx, &pb.WaitRequest{SessionId: s.id})
	getSession(ctx, b.t, b.c, s)
	_, _ = b.c.GetCertificateStatus(ctx, &pb.GetCertificateStatusRequest{SessionId: s.id})
	_, err = b.c.DeleteSession(ctx, &pb.DeleteSessionRequest{SessionId: s.id})
	require.NoError(b.t, err)

	// By a stream, from plain to TLS, and under a request_id that comes again with something else.
	k := open(b.t, b.c, b.good.addr, b.good.ca, plainly, withSettingsOf(settings))
	k.until(func() bool { return slices.Contains(k.kinds(), "CONNECTED") })
	require.Empty(b.t, byFrame.begin(k, b.c, asClient(0, 0))())
	k.cancel()
	_ = k.end()
	req := &pb.CreateSessionRequest{Settings: settings, RequestId: rand.Text()}
	_, err = b.c.CreateSession(ctx, req)
	require.NoError(b.t, err)
	req = proto.CloneOf(req)
	req.Settings.Label = "another"
	_, err = b.c.CreateSession(ctx, req)
	require.Equal(b.t, "REQUEST_ID_REUSED", reasonOf(b.t, err))
	host, port := hostPort(b.t, b.good.addr)
	_, err = pb.NewDiagnosticServiceClient(b.cc).Probe(ctx, &pb.ProbeRequest{Host: host, Port: port, Settings: settings,
		Certificates: []*pb.ExtraCertificate{{Certificate: b.good.ca.DER(), Trusted: true}}})
	require.NoError(b.t, err)
}

// refused hands an identity over with a flaw.
func (b *battery) refused(n int, pair *pb.KeyPair, id *tlstest.Identity) {
	b.t.Helper()
	ctx := b.t.Context()
	der := pkcs8Of(b.t, id.Key)
	stranger := clientLeaf(b.clients)
	wrong := b.passphrases[(n+1)%len(b.passphrases)]
	unknown := proto.CloneOf(pair)
	unknown.ProtoReflect().SetUnknown(protowire.AppendBytes(protowire.AppendTag(nil, 99, protowire.BytesType), der))
	trailing := bytes.Join([][]byte{pemOf("PRIVATE KEY", der), pemOf("CERTIFICATE", id.Chain[0])}, nil)
	flawed := map[string]*pb.KeyPair{
		"another's":           {CertificateChain: stranger.Chain, PrivateKey: der},
		"cut":                 {CertificateChain: id.Chain, PrivateKey: der[:len(der)-1]},
		"without a chain":     {PrivateKey: der},
		"as a certificate":    {CertificateChain: [][]byte{der}, PrivateKey: der},
		"PEM, as certificate": {CertificateChain: [][]byte{pemOf("PRIVATE KEY", der)}, PrivateKey: der},
		"among certificates":  {CertificateChain: id.Chain, PrivateKey: trailing},
		"no end line":         {CertificateChain: id.Chain, PrivateKey: pemOf("PRIVATE KEY", der)[:len(der)]},
		"wrong passphrase":    {CertificateChain: id.Chain, PrivateKey: encryptedPKCS8(b.t, id.Key, b.passphrases[n%len(b.passphrases)]), Passphrase: wrong},
		"none":                {CertificateChain: id.Chain, PrivateKey: encryptedPKCS8(b.t, id.Key, b.passphrases[n%len(b.passphrases)])},
		"PKCS#12":             {Pkcs12: pkcs12Of(b.t, id, b.passphrases[n%len(b.passphrases)]), Passphrase: wrong},
		"a key for PKCS#12":   {Pkcs12: der, Passphrase: wrong},
		"a long passphrase":   {CertificateChain: id.Chain, PrivateKey: der, Passphrase: strings.Repeat(wrong, 60)},
		"an unknown field":    unknown,
		"too large":           {CertificateChain: id.Chain, PrivateKey: bytes.Repeat(der, 80<<10/len(der))},
	}
	s := newIdle(ctx, b.t, b.c, nil)
	for name, bad := range flawed {
		for path, set := range settersOf(b.t, b.c, s) {
			require.Error(b.t, set(having(keyPair(bad))), "%s: %s", name, path)
		}
		_, err := pb.NewListenerServiceClient(b.cc).Listen(ctx, &pb.ListenRequest{Address: "127.0.0.1", Settings: having(keyPair(bad))})
		require.Error(b.t, err, name)
		_, err = pb.NewDiagnosticServiceClient(b.cc).Probe(ctx, &pb.ProbeRequest{Host: "127.0.0.1", Port: 1, Settings: having(keyPair(bad))})
		require.Error(b.t, err, name)
	}
	_, err := pb.NewTrustServiceClient(b.cc).UpdateDefaults(ctx, &pb.UpdateDefaultsRequest{Settings: having(keyPair(pair))})
	require.Equal(b.t, "INVALID_FIELD", reasonOf(b.t, err), "keys are not kept")
	_, err = b.c.DeleteSession(ctx, &pb.DeleteSessionRequest{SessionId: s.id})
	require.NoError(b.t, err)
}

// proxied sends passwords to proxies that take, refuse, repeat and ignore them, beside an identity.
func (b *battery) proxied(n int, pair *pb.KeyPair) {
	b.t.Helper()
	ctx := b.t.Context()
	password, wrong := b.passwords[n%len(b.passwords)], b.passwords[(n+1)%len(b.passwords)]
	host, port := hostPort(b.t, b.good.addr)
	const http, socks = pb.ProxySettings_KIND_HTTP_CONNECT, pb.ProxySettings_KIND_SOCKS5
	takes := proxytest.StartHTTP(b.t, proxytest.User("user"), proxytest.Password(password)).Addr()
	takesSOCKS := proxytest.StartSOCKS5(b.t, proxytest.User("user"), proxytest.Password(password)).Addr()
	for name, tc := range map[string]struct {
		via    *pb.ProxySettings
		reason string
	}{
		"taken":           {b.through(http, takes, password), ""},
		"taken, SOCKS":    {b.through(socks, takesSOCKS, password), ""},
		"refused":         {b.through(http, takes, wrong), "PROXY_REFUSED"},
		"refused, SOCKS":  {b.through(socks, takesSOCKS, wrong), "PROXY_REFUSED"},
		"told back":       {b.through(http, parrot(b.t), password), "PROXY_REFUSED"},
		"another kind":    {b.through(http, takesSOCKS, password), "PROXY_REFUSED"},
		"nobody":          {b.through(http, closedPort(b.t), password), "PROXY_REFUSED"},
		"denied":          {b.through(http, "192.0.2.1:3128", password), "EGRESS_DENIED"},
		"not found":       {&pb.ProxySettings{Kind: http, Host: "nobody.example", Port: 3128, Username: "user", Password: password}, "PROXY_REFUSED"},
		"a panic":         {&pb.ProxySettings{Kind: http, Host: defective, Port: 3128, Username: "user", Password: password}, "INTERNAL"},
		"cannot be sent":  {b.through(http, takes, password+"\n"), "INVALID_FIELD"},
		"without a user":  {&pb.ProxySettings{Kind: http, Host: host, Port: port, Password: password}, "INVALID_FIELD"},
		"of no such kind": {b.through(99, takes, password), "INVALID_FIELD"},
	} {
		settings := having(keyPair(pair))
		settings.Proxy = tc.via
		created, err := b.c.CreateSession(ctx, &pb.CreateSessionRequest{Settings: settings})
		if err == nil {
			s := idle{id: created.GetSession().GetSessionId()}
			_, err = b.c.AddCertificate(ctx, &pb.AddCertificateRequest{SessionId: s.id, Certificate: b.good.ca.DER(), Trusted: true})
			require.NoError(b.t, err)
			_, err = b.c.Connect(ctx, &pb.ConnectRequest{SessionId: s.id, Host: host, Port: port})
			getSession(ctx, b.t, b.c, s)
			_, gone := b.c.DeleteSession(ctx, &pb.DeleteSessionRequest{SessionId: s.id})
			require.NoError(b.t, gone)
		}
		if tc.reason == "" {
			require.NoError(b.t, err, name)
			continue
		}
		require.Equal(b.t, tc.reason, reasonOf(b.t, err), name)
		_ = start(ctx, b.t, b.c, openFrame(&pb.Open{Host: host, Port: port, Settings: settings})).end() // however: it is overheard
	}
}

// parrot is a proxy that refuses with the credentials that it was given.
func parrot(tb testing.TB) string {
	tb.Helper()
	return tlstest.ServeRaw(tb, func(conn net.Conn) {
		request := make([]byte, 4<<10)
		n, _ := conn.Read(request)
		_, encoded, _ := strings.Cut(string(request[:n]), "Basic ")
		encoded, _, _ = strings.Cut(encoded, "\r\n")
		plain, _ := base64.StdEncoding.DecodeString(encoded)
		_, _ = fmt.Fprintf(conn, "HTTP/1.1 407 no %s: %s\r\nX: %s\r\n\r\n%s", encoded, plain, plain, plain)
	})
}

// listened gives a listener an identity, and has somebody come to it.
func (b *battery) listened(pair *pb.KeyPair) {
	b.t.Helper()
	ctx, listeners := b.t.Context(), pb.NewListenerServiceClient(b.cc)
	resp, err := listeners.Listen(ctx, &pb.ListenRequest{Address: "127.0.0.1", StartTlsOnAccept: true, Settings: having(keyPair(pair))})
	require.NoError(b.t, err)
	local := resp.GetListener().GetLocal()
	accepting, stop := context.WithCancel(ctx)
	accept, err := listeners.Accept(accepting, &pb.AcceptRequest{ListenerId: resp.GetListener().GetListenerId()})
	require.NoError(b.t, err)
	conn, err := net.Dial("tcp", net.JoinHostPort(local.GetAddress(), fmt.Sprint(local.GetPort())))
	require.NoError(b.t, err)
	client := tls.Client(conn, &tls.Config{ServerName: "somebody"})
	require.Error(b.t, client.HandshakeContext(ctx), "it does not know the authority")
	_ = conn.Close()
	stop()
	_, err = accept.Recv()
	for err == nil {
		_, err = accept.Recv()
	}
	_, err = listeners.GetListener(ctx, &pb.GetListenerRequest{ListenerId: resp.GetListener().GetListenerId()})
	require.NoError(b.t, err)
	_, err = listeners.CloseListener(ctx, &pb.CloseListenerRequest{ListenerId: resp.GetListener().GetListenerId()})
	require.NoError(b.t, err)
	_, err = listeners.Listen(ctx, &pb.ListenRequest{Address: "127.0.0.1", Port: defectivePort, Settings: having(keyPair(pair))})
	require.Equal(b.t, "INTERNAL", reasonOf(b.t, err), "a panic in the handler")
}

// misplaced gives keys where certificates belong, and calls that end before they are done.
func (b *battery) misplaced(n int, pair *pb.KeyPair, id *tlstest.Identity) {
	b.t.Helper()
	ctx := b.t.Context()
	der := pkcs8Of(b.t, id.Key)
	bundle := bytes.Join([][]byte{pemOf("CERTIFICATE", b.clients.DER()), pemOf("PRIVATE KEY", der), pemOf("CERTIFICATE", id.Chain[0])}, nil)
	s := newIdle(ctx, b.t, b.c, nil, having(keyPair(pair)))
	trust, diagnostic := pb.NewTrustServiceClient(b.cc), pb.NewDiagnosticServiceClient(b.cc)
	for _, bad := range [][]byte{der, pemOf("PRIVATE KEY", der), bundle, append(bytes.Clone(id.Chain[0]), der...), pkcs12Of(b.t, id, "")} {
		_, err := b.c.AddCertificate(ctx, &pb.AddCertificateRequest{SessionId: s.id, Certificate: bad})
		require.Error(b.t, err)
		for scope, session := range map[pb.TrustScope]string{pb.TrustScope_TRUST_SCOPE_SESSION: s.id, pb.TrustScope_TRUST_SCOPE_DEFAULTS: "", pb.TrustScope_TRUST_SCOPE_SERVICE: ""} {
			_, err = trust.AddCertificates(ctx, &pb.AddCertificatesRequest{Scope: scope, SessionId: session, Bundle: bad, Trusted: true})
			require.Error(b.t, err)
			_, err = trust.SetCertificates(ctx, &pb.SetCertificatesRequest{Scope: scope, SessionId: session, Bundle: bad})
			require.Error(b.t, err)
		}
		for _, m := range []*pb.ValidateChainRequest{ // which may have an answer: it is overheard
			{Chain: [][]byte{bad}}, {Chain: id.Chain, OcspStaple: bad}, {Chain: id.Chain, Crls: [][]byte{bad}},
			{Chain: id.Chain, Certificates: []*pb.ExtraCertificate{{Certificate: bad}}},
		} {
			_, _ = diagnostic.ValidateChain(ctx, m)
		}
	}
	for _, m := range misplaced(b.t, id) {
		_, err := b.c.CreateSession(ctx, &pb.CreateSessionRequest{Settings: m})
		require.Error(b.t, err)
	}

	// A call that is given up, one that has no time, and a defect amid a connect.
	cancelled, cancel := context.WithCancel(ctx)
	cancel()
	_, err := b.c.CreateSession(cancelled, &pb.CreateSessionRequest{Settings: having(keyPair(pair))})
	require.Equal(b.t, codes.Canceled, status.Code(err))
	k := start(ctx, b.t, b.c, openFrame(&pb.Open{Host: "127.0.0.1", Port: 1, Settings: having(keyPair(pair))}))
	k.cancel()
	_ = k.end() // unless it was over before
	settings := having(keyPair(pair))
	settings.Proxy = b.through(pb.ProxySettings_KIND_HTTP_CONNECT, b.good.addr, b.passwords[n%len(b.passwords)])
	k = start(ctx, b.t, b.c, openFrame(&pb.Open{Host: defective, Port: 443, AttachSeq: 1, Settings: settings}))
	require.NoError(b.t, k.end())
	require.Equal(b.t, pb.ErrorReason_ERROR_REASON_INTERNAL, k.closed().GetFailure().GetReason())
	_, err = b.c.DeleteSession(ctx, &pb.DeleteSessionRequest{SessionId: s.id})
	require.NoError(b.t, err)
}

// stolen shows resume tokens where they are not wanted.
func (b *battery) stolen() {
	b.t.Helper()
	ctx := b.t.Context()
	mine, other := newIdle(ctx, b.t, b.c, nil), newIdle(ctx, b.t, b.c, nil)
	k := attach(ctx, b.t, b.c, mine, 1)
	for _, m := range []*pb.AttachSession{
		{SessionId: mine.id, ResumeToken: other.token, AttachSeq: 2},
		{SessionId: mine.id, ResumeToken: mine.token, AttachSeq: 1},
		{SessionId: mine.id, ResumeToken: mine.token, AttachSeq: -1},
		{SessionId: mine.id, ResumeToken: mine.token, AttachSeq: 1 << 60},
		{SessionId: mine.id, ResumeToken: mine.token, AttachSeq: 2, ReceivedOffset: 1 << 40},
		{SessionId: "nobody", ResumeToken: mine.token, AttachSeq: 2},
		{SessionId: mine.id, ResumeToken: append(bytes.Clone(mine.token), other.token...), AttachSeq: 2},
	} {
		require.Error(b.t, start(ctx, b.t, b.c, attachFrame(m)).end())
	}
	require.Error(b.t, start(servertest.As(ctx, "a thief"), b.t, b.c, attachFrame(&pb.AttachSession{SessionId: mine.id, ResumeToken: mine.token, AttachSeq: 2})).end())
	require.Error(b.t, start(servertest.As(ctx, servertest.Nobody), b.t, b.c, attachFrame(&pb.AttachSession{SessionId: mine.id, ResumeToken: mine.token, AttachSeq: 2})).end())
	k.send(attachFrame(&pb.AttachSession{SessionId: mine.id, ResumeToken: mine.token, AttachSeq: 3})) // no first frame
	_ = k.end()
}
