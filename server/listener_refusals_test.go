package server_test

import (
	"net"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	pb "securesocket/gen/securesocket/v1"
	"securesocket/server"
	"securesocket/server/servertest"
	"securesocket/session"
	"securesocket/tlsengine/identity"
	"securesocket/tlsengine/tlstest"
)

func TestRefusedListen(t *testing.T) {
	t.Parallel()
	ca := tlstest.NewCA(t)
	w := plainListener(t, []servertest.Option{servertest.AllowListening(t, "203.0.113.0/24", "10.1.2.3:8000-8010")})
	taken := w.l.GetLocal().GetPort()
	many := make([]*pb.ExtraCertificate, 101)
	for i := range many {
		many[i] = &pb.ExtraCertificate{Certificate: ca.DER()}
	}
	tlsOf := func(m *pb.TlsSettings) *pb.SessionSettings { return &pb.SessionSettings{Tls: m} }
	for name, tc := range map[string]struct {
		m      *pb.ListenRequest
		reason string
		code   codes.Code
		field  string
	}{
		"no address":        {&pb.ListenRequest{}, "HOST_REQUIRED", codes.InvalidArgument, ""},
		"a name":            {&pb.ListenRequest{Address: "localhost"}, "INVALID_FIELD", codes.InvalidArgument, "address"},
		"no address at all": {&pb.ListenRequest{Address: "127.1"}, "HOST_SYNTAX", codes.InvalidArgument, ""},
		"brackets":          {&pb.ListenRequest{Address: "[::1]"}, "HOST_SYNTAX", codes.InvalidArgument, ""},
		"zone":              {&pb.ListenRequest{Address: "fe80::1%lo"}, "HOST_SYNTAX", codes.InvalidArgument, ""},
		"port -1":           {&pb.ListenRequest{Address: "127.0.0.1", Port: -1}, "PORT_OUT_OF_RANGE", codes.OutOfRange, "port"},
		"port 65536":        {&pb.ListenRequest{Address: "127.0.0.1", Port: 65536}, "PORT_OUT_OF_RANGE", codes.OutOfRange, "port"},
		"backlog -1":        {&pb.ListenRequest{Address: "127.0.0.1", Backlog: -1}, "INVALID_FIELD", codes.InvalidArgument, "backlog"},
		"backlog 1025":      {&pb.ListenRequest{Address: "127.0.0.1", Backlog: 1025}, "INVALID_FIELD", codes.InvalidArgument, "backlog"},
		"everywhere":        {&pb.ListenRequest{Address: "0.0.0.0"}, "LISTEN_DENIED", codes.PermissionDenied, ""},
		"everywhere, IPv6":  {&pb.ListenRequest{Address: "::"}, "LISTEN_DENIED", codes.PermissionDenied, ""},
		"foreign":           {&pb.ListenRequest{Address: "192.0.2.1"}, "LISTEN_DENIED", codes.PermissionDenied, ""},
		"foreign, a port":   {&pb.ListenRequest{Address: "192.0.2.1", Port: 8443}, "LISTEN_DENIED", codes.PermissionDenied, ""},
		"below the range":   {&pb.ListenRequest{Address: "10.1.2.3", Port: 7999}, "LISTEN_DENIED", codes.PermissionDenied, ""},
		"above the range":   {&pb.ListenRequest{Address: "10.1.2.3", Port: 8011}, "LISTEN_DENIED", codes.PermissionDenied, ""},
		"not ours":          {&pb.ListenRequest{Address: "203.0.113.1", Port: 8443}, "ADDRESS_UNAVAILABLE", codes.FailedPrecondition, ""},
		"not ours, any":     {&pb.ListenRequest{Address: "203.0.113.1"}, "ADDRESS_UNAVAILABLE", codes.FailedPrecondition, ""},
		"taken":             {&pb.ListenRequest{Address: "127.0.0.1", Port: taken}, "ADDRESS_IN_USE", codes.AlreadyExists, ""},
		"no identity":       {&pb.ListenRequest{Address: "127.0.0.1", StartTlsOnAccept: true}, "INVALID_FIELD", codes.InvalidArgument, "settings.tls.identities"},
		"a key of nobody": {&pb.ListenRequest{Address: "127.0.0.1", Settings: having(keyPair(&pb.KeyPair{CertificateChain: [][]byte{ca.DER()}, PrivateKey: []byte("x")}))},
			"INVALID_PRIVATE_KEY", codes.InvalidArgument, "settings.tls.identities[0].key_pair.private_key"},
		"SSL 3": {&pb.ListenRequest{Address: "127.0.0.1", Settings: tlsOf(&pb.TlsSettings{MinVersion: pb.ProtocolVersion_PROTOCOL_VERSION_SSL3})},
			"UNSUPPORTED_PROTOCOL", codes.FailedPrecondition, "settings.tls.min_version"},
		"cipher": {&pb.ListenRequest{Address: "127.0.0.1", Settings: tlsOf(&pb.TlsSettings{CipherSuites: []string{"TLS_NULL"}})},
			"UNSUPPORTED_CIPHER", codes.InvalidArgument, "settings.tls.cipher_suites"},
		"source address": {&pb.ListenRequest{Address: "127.0.0.1", Settings: &pb.SessionSettings{Tcp: &pb.TcpSettings{SourceAddress: "127.0.0.1"}}},
			"UNSUPPORTED", codes.Unimplemented, "settings.tcp.source_address"},
		"pin": {&pb.ListenRequest{Address: "127.0.0.1", Settings: tlsOf(&pb.TlsSettings{Trust: &pb.TrustSettings{SpkiSha256Pins: [][]byte{{1}}}})},
			"INVALID_FIELD", codes.InvalidArgument, "settings.tls.trust.spki_sha256_pins[0]"},
		"grace": {&pb.ListenRequest{Address: "127.0.0.1", Settings: &pb.SessionSettings{DetachGrace: durationpb.New(time.Millisecond)}},
			"INVALID_FIELD", codes.InvalidArgument, "settings.detach_grace"},
		"request_id": {&pb.ListenRequest{Address: "127.0.0.1", RequestId: string(make([]byte, 129))}, "INVALID_FIELD", codes.InvalidArgument, "request_id"},
		"certificate": {&pb.ListenRequest{Address: "127.0.0.1", Certificates: []*pb.ExtraCertificate{{Certificate: []byte("x")}}},
			"INVALID_CERTIFICATE", codes.InvalidArgument, ""},
		"101 certificates": {&pb.ListenRequest{Address: "127.0.0.1", Certificates: many}, "LIMIT", codes.ResourceExhausted, ""},
	} {
		t.Run(name, func(t *testing.T) { //nolint:paralleltest // while the listener that has the port lives
			_, err := w.lc.Listen(t.Context(), tc.m)
			reason, metadata := infoOf(t, err)
			require.Equal(t, tc.reason, reason)
			require.Equal(t, tc.code, status.Code(err))
			if tc.field != "" {
				require.Equal(t, tc.field, metadata["field"])
			}
		})
	}
}

func TestRefusedAccept(t *testing.T) {
	t.Parallel()
	w := plainListener(t, nil)
	refused := func(m *pb.AcceptRequest) (string, map[string]string) {
		stream, err := w.lc.Accept(t.Context(), m)
		require.NoError(t, err)
		_, err = stream.Recv()
		return infoOf(t, err)
	}
	for _, credit := range []int32{-1, 1025} {
		reason, metadata := refused(&pb.AcceptRequest{ListenerId: w.l.GetListenerId(), Credit: credit})
		require.Equal(t, "INVALID_FIELD", reason)
		require.Equal(t, "credit", metadata["field"])
	}
	reason, metadata := refused(&pb.AcceptRequest{})
	require.Equal(t, "INVALID_FIELD", reason)
	require.Equal(t, "listener_id", metadata["field"])
	reason, _ = refused(&pb.AcceptRequest{ListenerId: "nobody"})
	require.Equal(t, "LISTENER_NOT_FOUND", reason)

	a := w.accept(1024)
	w.dialPlain()
	a.next()
	w.nothingMore(a)
}

// Nothing that the service does not know is passed over, in any message.
func TestListenersRefuseWhatIsUnknown(t *testing.T) {
	t.Parallel()
	w := plainListener(t, nil)
	id := w.l.GetListenerId()
	more := func(m proto.Message) {
		m.ProtoReflect().SetUnknown(protowire.AppendVarint(protowire.AppendTag(nil, 999, protowire.VarintType), 1))
	}
	listen := func(m *pb.ListenRequest) error { _, err := w.lc.Listen(t.Context(), m); return err }
	deep := &pb.ListenRequest{Address: "127.0.0.1", Certificates: []*pb.ExtraCertificate{{}}}
	more(deep.GetCertificates()[0])
	settings := &pb.ListenRequest{Address: "127.0.0.1", Settings: &pb.SessionSettings{Tls: &pb.TlsSettings{}}}
	more(settings.GetSettings().GetTls())
	level := &pb.ListenRequest{Address: "127.0.0.1", Settings: &pb.SessionSettings{Tls: &pb.TlsSettings{ClientAuth: 77}}}
	top, get, list, end, accept := &pb.ListenRequest{Address: "127.0.0.1"}, &pb.GetListenerRequest{ListenerId: id}, &pb.ListListenersRequest{},
		&pb.CloseListenerRequest{ListenerId: id}, &pb.AcceptRequest{ListenerId: id}
	read := &pb.ReadRequest{SessionId: create(t, w.c)}
	for _, m := range []proto.Message{top, get, list, end, accept, read} {
		more(m)
	}
	for name, tc := range map[string]struct {
		field string
		call  func() error
	}{
		"ListenRequest":        {"#999", func() error { return listen(top) }},
		"ExtraCertificate":     {"certificates[0].#999", func() error { return listen(deep) }},
		"settings":             {"settings.tls.#999", func() error { return listen(settings) }},
		"client_auth":          {"settings.tls.client_auth", func() error { return listen(level) }},
		"GetListenerRequest":   {"#999", func() error { _, err := w.lc.GetListener(t.Context(), get); return err }},
		"ListListenersRequest": {"#999", func() error { _, err := w.lc.ListListeners(t.Context(), list); return err }},
		"CloseListenerRequest": {"#999", func() error { _, err := w.lc.CloseListener(t.Context(), end); return err }},
		"AcceptRequest": {"#999", func() error {
			stream, err := w.lc.Accept(t.Context(), accept)
			require.NoError(t, err)
			_, err = stream.Recv()
			return err
		}},
		"ReadRequest": {"#999", func() error {
			stream, err := w.c.Read(t.Context(), read)
			require.NoError(t, err)
			_, err = stream.Recv()
			return err
		}},
	} {
		reason, metadata := infoOf(t, tc.call())
		require.Equal(t, "INVALID_FIELD", reason, name)
		require.Equal(t, tc.field, metadata["field"], name)
	}
	w.look()
}

func TestListenRequestID(t *testing.T) {
	t.Parallel()
	w := plainListener(t, nil)
	m := &pb.ListenRequest{Address: "127.0.0.1", RequestId: "one"}
	first, err := w.lc.Listen(t.Context(), m)
	require.NoError(t, err)
	again, err := w.lc.Listen(t.Context(), m)
	require.NoError(t, err)
	requireSame(t, first.GetListener(), again.GetListener(), "listener")
	_, err = w.lc.Listen(t.Context(), &pb.ListenRequest{Address: "127.0.0.2", RequestId: "one"})
	require.Equal(t, "REQUEST_ID_REUSED", reasonOf(t, err))
	_, err = w.c.CreateSession(t.Context(), &pb.CreateSessionRequest{RequestId: "one"})
	require.Equal(t, "REQUEST_ID_REUSED", reasonOf(t, err))
	// Of another caller it is another.
	other, err := w.lc.Listen(servertest.As(t.Context(), "other"), m)
	require.NoError(t, err)
	require.NotEqual(t, first.GetListener().GetListenerId(), other.GetListener().GetListenerId())

	_, err = w.lc.CloseListener(t.Context(), &pb.CloseListenerRequest{ListenerId: first.GetListener().GetListenerId()})
	require.NoError(t, err)
	_, err = w.lc.Listen(t.Context(), m)
	require.Equal(t, "LISTENER_NOT_FOUND", reasonOf(t, err))
}

// Port 0 is one of those that are allowed.
func TestPortWithinARange(t *testing.T) {
	t.Parallel()
	addr, first := ownAddress(t), freePorts(t, 2)
	rule := net.JoinHostPort(addr, strconv.Itoa(first)+"-"+strconv.Itoa(first+1))
	c := pb.NewListenerServiceClient(servertest.Start(t, servertest.AllowListening(t, rule)).Dial(t))
	ports := map[int32]bool{}
	for range 2 {
		resp, err := c.Listen(t.Context(), &pb.ListenRequest{Address: addr})
		require.NoError(t, err)
		ports[resp.GetListener().GetLocal().GetPort()] = true
	}
	require.Equal(t, map[int32]bool{int32(first): true, int32(first + 1): true}, ports)
	_, err := c.Listen(t.Context(), &pb.ListenRequest{Address: addr})
	require.Equal(t, "ADDRESS_IN_USE", reasonOf(t, err))
	_, err = c.Listen(t.Context(), &pb.ListenRequest{Address: addr, Port: int32(first + 2)})
	require.Equal(t, "LISTEN_DENIED", reasonOf(t, err))
}

// ownAddress is an address of this machine beside the loopback ones.
func ownAddress(tb testing.TB) string {
	tb.Helper()
	addrs, err := net.InterfaceAddrs()
	require.NoError(tb, err)
	for _, a := range addrs {
		if n, ok := a.(*net.IPNet); ok && n.IP.To4() != nil && !n.IP.IsLoopback() {
			return n.IP.String()
		}
	}
	tb.Skip("the machine has loopback addresses alone")
	return ""
}

// freePorts finds so many ports in a row that are free everywhere now.
func freePorts(tb testing.TB, n int) int {
	tb.Helper()
	var first int
	require.Eventually(tb, func() bool {
		for i := range n {
			port := 0
			if i > 0 {
				port = first + i
			}
			l, err := net.ListenTCP("tcp4", &net.TCPAddr{Port: port}) //nolint:gosec // to see what is free, at all addresses
			if err != nil {
				return false
			}
			defer l.Close()
			if i == 0 {
				first = l.Addr().(*net.TCPAddr).Port
			}
		}
		return first+n < 65535
	}, patience, time.Millisecond)
	return first
}

// What a listener does not say itself is as the caller's defaults have it.
func TestListenerFollowsTheDefaults(t *testing.T) {
	t.Parallel()
	ca := tlstest.NewCA(t)
	leaf := ca.Leaf(tlstest.Names(listenerName))
	held, err := identity.FromPEM("operator's", leaf.ChainPEM(), leaf.KeyPEM(), "")
	require.NoError(t, err)
	cc := servertest.Start(t, func(sc *session.Config, _ *server.Config) {
		sc.Identities = map[string]*identity.Identity{"operator's": held}
	}).Dial(t)
	w := &listenerWorld{tb: t, c: pb.NewSecureSocketServiceClient(cc), lc: pb.NewListenerServiceClient(cc), ca: ca}
	_, err = pb.NewTrustServiceClient(cc).UpdateDefaults(t.Context(), &pb.UpdateDefaultsRequest{
		Settings: &pb.SessionSettings{
			DetachGrace: durationpb.New(time.Second),
			Tls:         &pb.TlsSettings{Identities: []*pb.Identity{identityRef("operator's")}},
		},
		UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"detach_grace", "tls.identities"}},
	})
	require.NoError(t, err)
	w.l = w.listen(func(m *pb.ListenRequest) { m.StartTlsOnAccept = true })
	a := w.accept(0)
	peer := w.dial()
	w.talks(peer, w.attach(a.next()))
	a.cancel()
	w.gone() // long before a minute, which the service's default is
}
