package server_test

import (
	"crypto/tls"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	pb "securesocket/gen/securesocket/v1"
	"securesocket/server/servertest"
)

func mask(paths ...string) *fieldmaskpb.FieldMask { return &fieldmaskpb.FieldMask{Paths: paths} }

func TestGroups(t *testing.T) {
	t.Parallel()
	addr, ca := echoServer(t)
	c := servertest.Start(t).Client(t)
	can, err := c.GetCapabilities(t.Context(), &pb.GetCapabilitiesRequest{})
	require.NoError(t, err)
	require.NotEmpty(t, can.GetGroups())
	s := newIdle(t.Context(), t, c, ca)
	update := func(m *pb.TlsSettings) error {
		_, err := c.UpdateSession(t.Context(), &pb.UpdateSessionRequest{
			SessionId: s.id, Settings: &pb.SessionSettings{Tls: m}, UpdateMask: mask("tls.groups", "tls.max_version"),
		})
		return err
	}
	classic := 0
	for _, group := range can.GetGroups() {
		require.NoError(t, update(&pb.TlsSettings{Groups: []string{group}}))
		require.Equal(t, group, connectTo(t.Context(), t, c, s, addr).GetSession().GetTls().GetGroup())

		// TLS 1.2 has the classic ones alone.
		if err := update(&pb.TlsSettings{Groups: []string{group}, MaxVersion: tls12}); err != nil {
			require.Equal(t, "INVALID_FIELD", reasonOf(t, err))
			continue
		}
		classic++
		agreed := connectTo(t.Context(), t, c, s, addr).GetSession().GetTls()
		require.Equal(t, tls12, agreed.GetVersion())
		require.Equal(t, group, agreed.GetGroup())
	}
	require.Equal(t, 4, classic)
	require.NoError(t, update(&pb.TlsSettings{}))
	require.Equal(t, can.GetGroups()[0], connectTo(t.Context(), t, c, s, addr).GetSession().GetTls().GetGroup(), "most preferred first")
}

func TestNoGroupInCommon(t *testing.T) {
	t.Parallel()
	bothVersions(t, func(t *testing.T, version uint16) {
		addr, ca := echoServer(t, onlyVersion(version), func(c *tls.Config) { c.CurvePreferences = []tls.CurveID{tls.CurveP384} })
		c := servertest.Start(t).Client(t)
		s := newIdle(t.Context(), t, c, ca, &pb.SessionSettings{Tls: &pb.TlsSettings{Groups: []string{"x25519", "secp256r1"}}})
		_, err := tryConnect(t.Context(), t, c, s, addr)
		require.Equal(t, "PEER_INCOMPATIBLE", reasonOf(t, err))
		_, err = c.UpdateSession(t.Context(), &pb.UpdateSessionRequest{SessionId: s.id, Settings: &pb.SessionSettings{
			Tls: &pb.TlsSettings{Groups: []string{"x25519", "secp384r1"}},
		}})
		require.NoError(t, err)
		stillWorks(t.Context(), t, c, s, addr)
		require.Equal(t, "secp384r1", connectTo(t.Context(), t, c, s, addr).GetSession().GetTls().GetGroup())
	})
}
