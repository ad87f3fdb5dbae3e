package server_test

import (
	"crypto/tls"
	"slices"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	pb "securesocket/gen/securesocket/v1"
	"securesocket/server"
	"securesocket/server/servertest"
	"securesocket/session"
	"securesocket/tlsengine/tlstest"
	"securesocket/tlsengine/tlstest/hostile"
)

// road is a service, an honest server, and the way between them.
type road struct {
	c       pb.SecureSocketServiceClient
	ca      *tlstest.CA
	server  string
	reached atomic.Int64 // handshakes that the server believes in
}

// newRoad has a server of both protocols "first" and "second".
func newRoad(t *testing.T, versions func(*tls.Config), opts ...servertest.Option) *road {
	t.Helper()
	r := &road{c: servertest.Start(t, opts...).Client(t), ca: tlstest.NewCA(t)}
	config := serverConfig(r.ca.Leaf())
	config.NextProtos = []string{"first", "second"}
	versions(config)
	r.server = tlstest.Serve(t, config, func(conn *tls.Conn) { r.reached.Add(1); tlstest.Echo(conn) })
	return r
}

// travel opens a session over the changed way, and has bytes ready for whoever is at its end.
func (r *road) travel(t *testing.T, change hostile.Change, settings *pb.TlsSettings) *caller {
	t.Helper()
	if settings == nil {
		settings = &pb.TlsSettings{}
	}
	settings.AlpnProtocols, settings.HandshakeTimeout = []string{"first", "second"}, durationpb.New(patience)
	k := open(t, r.c, tlstest.ServeRaw(t, hostile.Between(t.Context(), r.server, change)), r.ca, func(m *pb.Open) {
		m.Settings = &pb.SessionSettings{ConnectTimeout: durationpb.New(patience), Tls: settings}
	})
	_ = k.stream.Send(dataFrame(1, 0, "a secret")) // it may have ended by now
	return k
}

// refused is a travel that neither side may take for a connection.
func (r *road) refused(t *testing.T, change hostile.Change, settings *pb.TlsSettings, want pb.ErrorReason) {
	t.Helper()
	k := r.travel(t, change, settings)
	closed := k.closed()
	require.Equal(t, want, closed.GetFailure().GetReason(), "%v", closed)
	require.Equal(t, want, k.event("io_error").GetIoError().GetFailure().GetReason())
	require.NotContains(t, k.kinds(), "secure_connected")
	require.NotContains(t, k.kinds(), "ENCRYPTED")
	require.Zero(t, closed.GetSentBytes())
	require.Zero(t, closed.GetReceivedBytes())
	require.Zero(t, r.reached.Load(), "the server believes in it")
}

// versionsOf makes the extension of a client that supports these versions.
func versionsOf(versions ...uint16) func(*hostile.Hello) {
	return func(h *hostile.Hello) {
		list := []byte{byte(2 * len(versions))}
		for _, v := range versions {
			list = append(list, byte(v>>8), byte(v))
		}
		h.Set(hostile.SupportedVersions, list...)
		h.Drop(51) // key_share: TLS 1.3's
	}
}

func withoutExtensions(kinds ...uint16) func(*hostile.Hello) {
	return func(h *hostile.Hello) { h.Drop(kinds...) }
}

// sentinel is what a server of TLS 1.3, or of 1.2, says by the end of its random when it agreed on less (RFC 8446, section
// 4.1.3).
func sentinel(last byte) func(*hostile.Hello) {
	return func(h *hostile.Hello) { copy(h.Random[24:], append([]byte("DOWNGRD"), last)) }
}

func anotherRandom(h *hostile.Hello) { h.Random[31] ^= 1 }

// lesserSuites leaves a client, of either version, with a suite that is not its first choice.
func lesserSuites(h *hostile.Hello) {
	h.Suites = []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA, tls.TLS_CHACHA20_POLY1305_SHA256}
}

func suite(id uint16) func(*hostile.Hello) {
	return func(h *hostile.Hello) { h.Suites = []uint16{id} }
}

const (
	misbehaved   = pb.ErrorReason_ERROR_REASON_PEER_MISBEHAVED
	incompatible = pb.ErrorReason_ERROR_REASON_PEER_INCOMPATIBLE
	alerted      = pb.ErrorReason_ERROR_REASON_PEER_ALERT
)

// Who is on the way and takes the newest version away is found out: by the sentinel, and by the server's signature where he
// hides that too.
func TestThreat21OlderVersions(t *testing.T) {
	t.Parallel()
	legacy := func(sc *session.Config, _ *server.Config) { sc.LegacyTLS = true }
	v10 := pb.ProtocolVersion_PROTOCOL_VERSION_TLS1_0
	for name, tc := range map[string]struct {
		client, server func(*hostile.Hello)
		min            pb.ProtocolVersion
		want           pb.ErrorReason
	}{
		"1.2 alone":                        {versionsOf(tls.VersionTLS12), nil, 0, misbehaved},
		"no supported_versions":            {withoutExtensions(hostile.SupportedVersions), nil, 0, misbehaved},
		"1.2, and no sentinel":             {versionsOf(tls.VersionTLS12), anotherRandom, 0, misbehaved},
		"1.2, and the older sentinel":      {versionsOf(tls.VersionTLS12), sentinel(0), 0, misbehaved},
		"1.1":                              {versionsOf(tls.VersionTLS11), nil, v10, misbehaved},
		"1.1, and no sentinel":             {versionsOf(tls.VersionTLS11), anotherRandom, v10, misbehaved},
		"1.0":                              {versionsOf(tls.VersionTLS10), nil, v10, misbehaved},
		"1.0, and no sentinel":             {versionsOf(tls.VersionTLS10), anotherRandom, v10, misbehaved},
		"1.0, which is not asked for":      {versionsOf(tls.VersionTLS10), nil, 0, incompatible},
		"1.1, in the server's hello alone": {nil, func(h *hostile.Hello) { h.Drop(hostile.SupportedVersions); h.Version = tls.VersionTLS11 }, 0, incompatible},
		"1.2, in the server's hello alone": {nil, withoutExtensions(hostile.SupportedVersions), 0, misbehaved},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRoad(t, func(c *tls.Config) { c.MinVersion = tls.VersionTLS10 }, legacy)
			r.refused(t, hostile.ChangedHellos(tc.client, tc.server), &pb.TlsSettings{MinVersion: tc.min}, tc.want)
		})
	}
}

// Whatever else of the hellos is changed, the two sides find that they have not heard the same.
func TestThreat21ChangedHellos(t *testing.T) {
	t.Parallel()
	type want map[uint16]pb.ErrorReason
	const tls12, tls13 = tls.VersionTLS12, tls.VersionTLS13
	required := &pb.TlsSettings{RequireAlpn: proto.Bool(true)}
	for name, tc := range map[string]struct {
		client, server func(*hostile.Hello)
		settings       *pb.TlsSettings
		want           want
	}{
		"suites taken away":       {lesserSuites, nil, nil, want{tls12: alerted, tls13: misbehaved}},
		"ALPN taken away":         {withoutExtensions(hostile.ALPN), nil, nil, want{tls12: alerted, tls13: misbehaved}},
		"required ALPN":           {withoutExtensions(hostile.ALPN), nil, required, want{tls12: pb.ErrorReason_ERROR_REASON_ALPN_MISMATCH, tls13: misbehaved}},
		"extended_master_secret":  {withoutExtensions(hostile.ExtendedMasterSecret), nil, nil, want{tls12: alerted, tls13: misbehaved}},
		"the client's name":       {func(h *hostile.Hello) { h.Set(hostile.ServerName, []byte("\x00\x0c\x00\x00\x09elsewhere")...) }, nil, nil, want{tls12: alerted, tls13: misbehaved}},
		"the client's random":     {anotherRandom, nil, nil, want{tls12: misbehaved, tls13: misbehaved}},
		"an extension more":       {func(h *hostile.Hello) { h.Set(0x7a7a, 1, 2, 3) }, nil, nil, want{tls12: alerted, tls13: misbehaved}},
		"the order of extensions": {func(h *hostile.Hello) { slices.Reverse(h.Extensions) }, nil, nil, want{tls12: alerted, tls13: misbehaved}},
		"signature algorithms":    {func(h *hostile.Hello) { h.Set(hostile.SignatureAlgorithms, 0, 2, 4, 3) }, nil, nil, want{tls12: alerted, tls13: misbehaved}},

		"the server's random":        {nil, anotherRandom, nil, want{tls12: misbehaved, tls13: misbehaved}},
		"a sentinel out of nowhere":  {nil, sentinel(1), nil, want{tls12: misbehaved, tls13: misbehaved}},
		"the server's session":       {nil, func(h *hostile.Hello) { h.SessionID = append([]byte{1}, h.SessionID...)[:len(h.SessionID)] }, nil, want{tls13: misbehaved}},
		"a suite not offered":        {nil, suite(tls.TLS_RSA_WITH_RC4_128_SHA), nil, want{tls12: incompatible, tls13: misbehaved}},
		"another suite, of 1.2":      {nil, suite(tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256), nil, want{tls12: alerted, tls13: misbehaved}},
		"another suite, of 1.3":      {nil, suite(tls.TLS_CHACHA20_POLY1305_SHA256), nil, want{tls12: incompatible, tls13: misbehaved}},
		"compression":                {nil, func(h *hostile.Hello) { h.Compression = []byte{1} }, nil, want{tls12: misbehaved, tls13: misbehaved}},
		"the server's ALPN":          {nil, withoutExtensions(hostile.ALPN), nil, want{tls12: alerted}},
		"the server's required ALPN": {nil, withoutExtensions(hostile.ALPN), required, want{tls12: pb.ErrorReason_ERROR_REASON_ALPN_MISMATCH}},
		"ALPN that was offered":      {nil, func(h *hostile.Hello) { h.Set(hostile.ALPN, []byte("\x00\x07\x06second")...) }, nil, want{tls12: alerted, tls13: misbehaved}},
		"ALPN that was not":          {nil, func(h *hostile.Hello) { h.Set(hostile.ALPN, []byte("\x00\x06\x05third")...) }, nil, want{tls12: misbehaved, tls13: misbehaved}},
		"the server's binding":       {nil, withoutExtensions(hostile.ExtendedMasterSecret), nil, want{tls12: alerted}},
	} {
		for version, reason := range tc.want {
			t.Run(name+", "+tls.VersionName(version), func(t *testing.T) {
				t.Parallel()
				r := newRoad(t, onlyVersion(version))
				var settings *pb.TlsSettings
				if tc.settings != nil {
					settings = &pb.TlsSettings{RequireAlpn: tc.settings.RequireAlpn}
				}
				r.refused(t, hostile.ChangedHellos(tc.client, tc.server), settings, reason)
			})
		}
	}
}

// The way itself, and taking hellos apart, spoils nothing.
func TestThreat21UnchangedHellos(t *testing.T) {
	t.Parallel()
	bothVersions(t, func(t *testing.T, version uint16) {
		r := newRoad(t, onlyVersion(version))
		same := func(*hostile.Hello) {}
		k := r.travel(t, hostile.ChangedHellos(same, same), nil)
		require.Equal(t, "first", k.secure().GetTls().GetAlpnProtocol())
		require.Equal(t, version, versionOf(k.secure().GetTls()))
		k.until(func() bool { return string(k.data) == "a secret" })
		require.EqualValues(t, 1, r.reached.Load())
	})
}
