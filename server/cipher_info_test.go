package server_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	pb "securesocket/gen/securesocket/v1"
	"securesocket/server"
	"securesocket/server/servertest"
	"securesocket/session"
)

func TestCipherInfoIsWhole(t *testing.T) {
	t.Parallel()
	for name, legacy := range map[string]bool{"modern": false, "legacy": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := servertest.Start(t, func(sc *session.Config, _ *server.Config) { sc.LegacyTLS = legacy }).Client(t)
			can, err := c.GetCapabilities(t.Context(), &pb.GetCapabilitiesRequest{})
			require.NoError(t, err)
			require.GreaterOrEqual(t, len(can.GetCipherSuites()), 13)
			names := make(map[string]bool)
			for _, s := range can.GetCipherSuites() {
				fields := s.ProtoReflect().Descriptor().Fields()
				for i := range fields.Len() {
					require.True(t, s.ProtoReflect().Has(fields.Get(i)), "%s has no %s", s.GetIanaName(), fields.Get(i).Name())
				}
				for _, n := range []string{s.GetName(), s.GetIanaName()} {
					require.False(t, names[n] && s.GetName() != s.GetIanaName(), "%s is there twice", n)
					names[n] = true
				}
				modern := s.GetProtocol() == "TLSv1.3"
				require.Equal(t, modern, s.GetKeyExchangeMethod() == "any", s.GetIanaName())
				require.Equal(t, modern, s.GetAuthenticationMethod() == "any", s.GetIanaName())
				require.Contains(t, []string{"TLSv1.3", "TLSv1.2", "TLSv1"}, s.GetProtocol())
				require.True(t, strings.HasPrefix(s.GetIanaName(), "TLS_"))
				require.Equal(t, modern, strings.HasPrefix(s.GetName(), "TLS_"), "OpenSSL names those of TLS 1.3 as IANA does")
				require.LessOrEqual(t, s.GetUsedBits(), s.GetSupportedBits())
				require.GreaterOrEqual(t, s.GetUsedBits(), int32(112))
			}
		})
	}
}

func TestCipherOfAConnection(t *testing.T) {
	t.Parallel()
	bothVersions(t, func(t *testing.T, version uint16) {
		addr, ca := echoServer(t, onlyVersion(version))
		c := servertest.Start(t).Client(t)
		can, err := c.GetCapabilities(t.Context(), &pb.GetCapabilitiesRequest{})
		require.NoError(t, err)
		agreed := connectTo(t.Context(), t, c, newIdle(t.Context(), t, c, ca), addr).GetSession().GetTls()
		require.Equal(t, agreed.GetCipherSuite(), agreed.GetCipher().GetIanaName())
		for _, s := range can.GetCipherSuites() {
			if s.GetIanaName() == agreed.GetCipherSuite() {
				require.True(t, proto.Equal(s, agreed.GetCipher()))
				return
			}
		}
		t.Fatalf("%s is not among the capabilities", agreed.GetCipherSuite())
	})
}
