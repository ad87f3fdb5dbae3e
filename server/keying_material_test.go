package server_test

import (
	"crypto/elliptic"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/tls"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	pb "securesocket/gen/securesocket/v1"
	"securesocket/server/servertest"
	"securesocket/tlsengine/tlstest"
)

const (
	bindingExporter  = pb.ExportKeyingMaterialRequest_CHANNEL_BINDING_TLS_EXPORTER
	bindingEndPoint  = pb.ExportKeyingMaterialRequest_CHANNEL_BINDING_TLS_SERVER_END_POINT
	bindingTLSUnique = pb.ExportKeyingMaterialRequest_CHANNEL_BINDING_TLS_UNIQUE
)

// statefulPeer echoes, and tells what its side of each connection agreed on.
func statefulPeer(tb testing.TB, id *tlstest.Identity, change ...func(*tls.Config)) (string, <-chan tls.ConnectionState) {
	tb.Helper()
	states := make(chan tls.ConnectionState, 8)
	cfg := serverConfig(id)
	for _, f := range change {
		f(cfg)
	}
	return tlstest.Serve(tb, cfg, func(conn *tls.Conn) {
		states <- conn.ConnectionState()
		tlstest.Echo(conn)
	}), states
}

func TestBothSidesExportTheSame(t *testing.T) {
	t.Parallel()
	bothVersions(t, func(t *testing.T, version uint16) {
		ca := tlstest.NewCA(t)
		addr, states := statefulPeer(t, ca.Leaf(), onlyVersion(version))
		c := servertest.Start(t).Client(t)
		s := newIdle(t.Context(), t, c, ca)
		connectTo(t.Context(), t, c, s, addr)
		peer := <-states
		export := func(req *pb.ExportKeyingMaterialRequest) []byte {
			req.SessionId = s.id
			resp, err := c.ExportKeyingMaterial(t.Context(), req)
			require.NoError(t, err)
			return resp.GetMaterial()
		}
		for _, tc := range []struct {
			label   string
			context []byte
			length  int
		}{
			{"EXPORTER-test", nil, 32},
			{"EXPORTER-test", []byte{}, 32},
			{"EXPORTER-test", []byte("context"), 32},
			{"EXPORTER-test", make([]byte, 255), 1},
			{strings.Repeat("x", 200), nil, 1024},
			{"another", nil, 7},
		} {
			want, err := peer.ExportKeyingMaterial(tc.label, tc.context, tc.length)
			require.NoError(t, err)
			require.Equal(t, want, export(&pb.ExportKeyingMaterialRequest{Label: tc.label, Context: tc.context, Length: int32(tc.length)}), "%v", tc)
		}
		without := export(&pb.ExportKeyingMaterialRequest{Label: "l", Length: 32, Generation: 1})
		empty := export(&pb.ExportKeyingMaterialRequest{Label: "l", Length: 32, Context: []byte{}})
		require.Equal(t, version == tls.VersionTLS13, string(without) == string(empty), "they differ under TLS 1.2 alone")

		want, err := peer.ExportKeyingMaterial("EXPORTER-Channel-Binding", []byte{}, 32)
		require.NoError(t, err)
		require.Equal(t, want, export(&pb.ExportKeyingMaterialRequest{ChannelBinding: bindingExporter}))
	})
}

func TestServerEndPoint(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		ca   *tlstest.CA
		hash func([]byte) []byte
	}{
		"SHA-256": {tlstest.NewCA(t), func(b []byte) []byte { s := sha256.Sum256(b); return s[:] }},
		"SHA-384": {tlstest.NewCA(t, tlstest.ECDSA(elliptic.P384())), func(b []byte) []byte { s := sha512.Sum384(b); return s[:] }},
		"SHA-512": {tlstest.NewCA(t, tlstest.ECDSA(elliptic.P521())), func(b []byte) []byte { s := sha512.Sum512(b); return s[:] }},
		"none":    {tlstest.NewCA(t, tlstest.Ed25519()), nil}, // Ed25519 has none of its own
	} {
		leaf := tc.ca.Leaf()
		addr := serveChain(t, leaf)
		c := servertest.Start(t).Client(t)
		s := newIdle(t.Context(), t, c, tc.ca)
		connectTo(t.Context(), t, c, s, addr)
		resp, err := c.ExportKeyingMaterial(t.Context(), &pb.ExportKeyingMaterialRequest{SessionId: s.id, ChannelBinding: bindingEndPoint})
		if tc.hash == nil {
			require.Equal(t, "UNSUPPORTED", reasonOf(t, err), name)
			continue
		}
		require.NoError(t, err, name)
		require.Equal(t, tc.hash(leaf.Leaf.Raw), resp.GetMaterial(), name)
	}
}

func TestTLSUnique(t *testing.T) {
	t.Parallel()
	bothVersions(t, func(t *testing.T, version uint16) {
		ca := tlstest.NewCA(t)
		addr, states := statefulPeer(t, ca.Leaf(), onlyVersion(version))
		c := servertest.Start(t).Client(t)
		s := newIdle(t.Context(), t, c, ca)
		connectTo(t.Context(), t, c, s, addr)
		peer := <-states
		resp, err := c.ExportKeyingMaterial(t.Context(), &pb.ExportKeyingMaterialRequest{SessionId: s.id, ChannelBinding: bindingTLSUnique})
		if version == tls.VersionTLS13 {
			require.Equal(t, "UNSUPPORTED", reasonOf(t, err))
			require.Equal(t, codes.Unimplemented, status.Code(err))
			_, metadata := infoOf(t, err)
			require.Equal(t, "channel_binding", metadata["field"])
			return
		}
		require.NoError(t, err)
		require.NotEmpty(t, peer.TLSUnique)
		require.Equal(t, peer.TLSUnique, resp.GetMaterial())
	})
}

func TestRefusedKeyingMaterial(t *testing.T) {
	t.Parallel()
	addr, ca := echoServer(t)
	c := servertest.Start(t).Client(t)
	s := newIdle(t.Context(), t, c, ca)
	good := func() *pb.ExportKeyingMaterialRequest {
		return &pb.ExportKeyingMaterialRequest{SessionId: s.id, Label: "EXPORTER-test", Length: 32}
	}
	refused := func(ask func(*pb.ExportKeyingMaterialRequest)) string {
		req := good()
		ask(req)
		_, err := c.ExportKeyingMaterial(t.Context(), req)
		return reasonOf(t, err)
	}
	require.Equal(t, "SESSION_STATE", refused(func(*pb.ExportKeyingMaterialRequest) {}), "before the first connect")
	connectTo(t.Context(), t, c, s, addr)
	for name, ask := range map[string]func(*pb.ExportKeyingMaterialRequest){
		"no label":           func(m *pb.ExportKeyingMaterialRequest) { m.Label = "" },
		"a long label":       func(m *pb.ExportKeyingMaterialRequest) { m.Label = strings.Repeat("x", 256) },
		"no length":          func(m *pb.ExportKeyingMaterialRequest) { m.Length = 0 },
		"a negative length":  func(m *pb.ExportKeyingMaterialRequest) { m.Length = -1 },
		"a large length":     func(m *pb.ExportKeyingMaterialRequest) { m.Length = 1025 },
		"a long context":     func(m *pb.ExportKeyingMaterialRequest) { m.Context = make([]byte, 256) },
		"binding and label":  func(m *pb.ExportKeyingMaterialRequest) { m.ChannelBinding, m.Length = bindingExporter, 0 },
		"binding and length": func(m *pb.ExportKeyingMaterialRequest) { m.ChannelBinding, m.Label = bindingExporter, "" },
		"binding and context": func(m *pb.ExportKeyingMaterialRequest) {
			m.ChannelBinding, m.Label, m.Length, m.Context = bindingExporter, "", 0, []byte{}
		},
		"an unknown binding": func(m *pb.ExportKeyingMaterialRequest) { m.ChannelBinding, m.Label, m.Length = 9, "", 0 },
		"no session":         func(m *pb.ExportKeyingMaterialRequest) { m.SessionId = "" },
	} {
		require.Equal(t, "INVALID_FIELD", refused(ask), name)
	}
	for name, generation := range map[string]int64{"another": 2, "none": -1} {
		require.Equal(t, "SESSION_STATE", refused(func(m *pb.ExportKeyingMaterialRequest) { m.Generation = generation }), name)
	}
	_, err := c.ExportKeyingMaterial(servertest.As(t.Context(), "mallory"), good())
	require.Equal(t, "SESSION_NOT_FOUND", reasonOf(t, err))
	_, err = c.ExportKeyingMaterial(servertest.As(t.Context(), servertest.Nobody), good())
	require.Equal(t, "UNAUTHENTICATED", reasonOf(t, err))
	_, err = c.ExportKeyingMaterial(t.Context(), good())
	require.NoError(t, err)

	_, err = c.Close(t.Context(), &pb.CloseRequest{SessionId: s.id})
	require.NoError(t, err)
	require.Equal(t, "SESSION_STATE", refused(func(*pb.ExportKeyingMaterialRequest) {}), "after the end")
}

func TestLabelsOfTLSItself(t *testing.T) {
	t.Parallel()
	addr, ca := echoServer(t, onlyVersion(tls.VersionTLS12))
	c := servertest.Start(t).Client(t)
	s := newIdle(t.Context(), t, c, ca)
	connectTo(t.Context(), t, c, s, addr)
	for _, label := range []string{"client finished", "server finished", "master secret", "key expansion"} {
		_, err := c.ExportKeyingMaterial(t.Context(), &pb.ExportKeyingMaterialRequest{SessionId: s.id, Label: label, Length: 32})
		require.Equal(t, "INVALID_FIELD", reasonOf(t, err), label)
	}
}

// Under TLS 1.2 the extended master secret (RFC 7627) is what binds material to its connection.
func TestNoExporterWithoutTheExtendedMasterSecret(t *testing.T) {
	conf := filepath.Join(t.TempDir(), "openssl.cnf")
	require.NoError(t, os.WriteFile(conf, []byte("openssl_conf = conf\n[conf]\nssl_conf = ssl\n[ssl]\nsystem_default = system\n"+
		"[system]\nOptions = -ExtendedMasterSecret\n"), 0o600))
	t.Setenv("OPENSSL_CONF", conf) // not beside other tests that run openssl
	addr, ca, _ := serveOpenSSL(t, tls.VersionTLS12, t.TempDir())
	c := servertest.Start(t).Client(t)
	s := newIdle(t.Context(), t, c, ca)
	connectTo(t.Context(), t, c, s, addr)
	for _, req := range []*pb.ExportKeyingMaterialRequest{
		{SessionId: s.id, Label: "EXPORTER-test", Length: 32},
		{SessionId: s.id, ChannelBinding: bindingExporter},
	} {
		_, err := c.ExportKeyingMaterial(t.Context(), req)
		require.Equal(t, "UNSUPPORTED", reasonOf(t, err))
	}
	resp, err := c.ExportKeyingMaterial(t.Context(), &pb.ExportKeyingMaterialRequest{SessionId: s.id, ChannelBinding: bindingEndPoint})
	require.NoError(t, err)
	require.Len(t, resp.GetMaterial(), 32)
}
