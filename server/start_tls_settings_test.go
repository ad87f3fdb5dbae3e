package server_test

import (
	"crypto/tls"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/types/known/durationpb"

	pb "securesocket/gen/securesocket/v1"
	"securesocket/server/servertest"
)

// What is changed about TLS while the connection is plain holds for its StartTls; the rest is for the next connection, and
// so is what comes when the handshake has begun.
func TestSettingsChangedWhilePlain(t *testing.T) {
	t.Parallel()
	eachEntrance(t, func(t *testing.T, by entrance) {
		addr, ca := echoServer(t, func(c *tls.Config) { c.NextProtos = []string{"b"} })
		c := servertest.Start(t).Client(t)
		name := "localhost"
		k := open(t, c, addr, nil, plainly, keepSession, func(m *pb.Open) {
			m.Settings = &pb.SessionSettings{Tls: &pb.TlsSettings{AlpnProtocols: []string{"a"}, RequireAlpn: new(true)}}
		})
		k.until(func() bool { return last(k.kinds()) == "CONNECTED" })
		update := func(m *pb.SessionSettings) int64 {
			t.Helper()
			resp, err := c.UpdateSession(t.Context(), &pb.UpdateSessionRequest{SessionId: k.session().id, Settings: m})
			require.NoError(t, err)
			return resp.GetEffectiveGeneration()
		}
		require.EqualValues(t, 1, update(&pb.SessionSettings{Tls: &pb.TlsSettings{AlpnProtocols: []string{"b"}, ServerName: &name, MaxVersion: tls12}}))
		require.EqualValues(t, 1, update(&pb.SessionSettings{Label: "another"}))
		require.EqualValues(t, 2, update(&pb.SessionSettings{IdleTimeout: durationpb.New(time.Hour)}))
		require.EqualValues(t, 2, update(&pb.SessionSettings{DetachGrace: durationpb.New(time.Minute), Tls: &pb.TlsSettings{MinVersion: tls12}}), "a part of it")
		_, err := c.AddCertificate(t.Context(), &pb.AddCertificateRequest{SessionId: k.session().id, Certificate: ca.Root().DER(), Trusted: true})
		require.NoError(t, err)
		require.Empty(t, by.begin(k, c, asClient(0, 0))())
		agreed := k.secure().GetTls()
		require.Equal(t, "b", agreed.GetAlpnProtocol())
		require.Equal(t, "localhost", agreed.GetServerName())
		require.Equal(t, tls12, agreed.GetVersion())
		require.EqualValues(t, 2, update(&pb.SessionSettings{Tls: &pb.TlsSettings{AlpnProtocols: []string{"c"}}}), "it is encrypted")
		k.write([]byte("goes on"))
		k.until(func() bool { return string(k.data) == "goes on" })
	})
}

// An identity for the server's role may come while the connection is plain.
func TestIdentityAddedWhilePlain(t *testing.T) {
	t.Parallel()
	eachEntrance(t, func(t *testing.T, by entrance) {
		var identities []*pb.Identity
		p := openPorch(t, func(s *pb.SessionSettings) { identities, s.Tls.Identities = s.Tls.Identities, nil })
		g, s := p.visit(t)
		k := attach(t.Context(), t, p.c, s, 1)
		require.Equal(t, "INVALID_FIELD", by.begin(k, p.c, asServer(0, 0))())
		resp, err := p.c.UpdateSession(t.Context(), &pb.UpdateSessionRequest{SessionId: s.id, Settings: &pb.SessionSettings{Tls: &pb.TlsSettings{Identities: identities}}})
		require.NoError(t, err)
		require.EqualValues(t, 1, resp.GetEffectiveGeneration())
		hello, secured, done := g.hello()
		g.say(hello)
		takingBack(k, 0)
		require.Empty(t, by.begin(k, p.c, asServer(0, 0))())
		require.NoError(t, <-done)
		require.NoError(t, secured.Close())
	})
}
