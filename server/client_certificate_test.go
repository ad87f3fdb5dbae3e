package server_test

import (
	"crypto"
	"crypto/tls"
	"testing"

	"github.com/stretchr/testify/require"

	pb "securesocket/gen/securesocket/v1"
	"securesocket/server"
	"securesocket/server/servertest"
	"securesocket/session"
	"securesocket/tlsengine/identity"
	"securesocket/tlsengine/tlstest"
)

func TestClientCertificates(t *testing.T) {
	t.Parallel()
	bothVersions(t, func(t *testing.T, version uint16) {
		eachKey(t, func(t *testing.T, key crypto.Signer) {
			clients := tlstest.NewCA(t)
			id := clientLeaf(clients, tlstest.Key(key))
			d := serveDoorman(t, version, tls.RequireAndVerifyClientCert, clients)
			c := servertest.Start(t).Client(t)
			for name, form := range formsOf(t, id) {
				t.Run(name, func(t *testing.T) {
					s := newIdle(t.Context(), t, c, d.ca, having(keyPair(form)))
					stillWorks(t.Context(), t, c, s, d.addr)
					d.admits(t, id)
				})
			}
		})
	})
}

// The operator's identities are shown by name, and their chain is his.
func TestIdentitiesOfTheOperator(t *testing.T) {
	t.Parallel()
	bothVersions(t, func(t *testing.T, version uint16) {
		clients := tlstest.NewCA(t)
		id := clientLeaf(clients.Intermediate())
		held, err := identity.FromPEM("billing", id.ChainPEM(), id.KeyPEM(), "")
		require.NoError(t, err)
		d := serveDoorman(t, version, tls.RequireAndVerifyClientCert, clients)
		c := servertest.Start(t, func(sc *session.Config, _ *server.Config) {
			sc.Identities = map[string]*identity.Identity{"billing": held}
		}).Client(t)
		s := newIdle(t.Context(), t, c, d.ca, having(identityRef("billing")))
		stillWorks(t.Context(), t, c, s, d.addr)
		d.admits(t, id)
		spki := held.SPKISHA256()
		shown := getSession(t.Context(), t, c, s).GetSettings().GetTls().GetIdentities()
		require.Len(t, shown, 1)
		requireSame(t, &pb.PublicIdentity{SpkiSha256: spki[:], IdentityRef: "billing"}, shown[0].GetPublic(), "what is shown")
		_, err = c.UpdateSession(t.Context(), &pb.UpdateSessionRequest{SessionId: s.id, Settings: having(shown...)})
		require.NoError(t, err)
		stillWorks(t.Context(), t, c, s, d.addr)
		d.admits(t, id)

		for _, name := range []string{"", "payroll", "Billing"} {
			_, err := c.CreateSession(t.Context(), &pb.CreateSessionRequest{Settings: having(identityRef(name))})
			reason, metadata := infoOf(t, err)
			require.Equal(t, "INVALID_FIELD", reason)
			require.Equal(t, "settings.tls.identities[0].identity_ref", metadata["field"])
		}
	})
}

// The first that fits what the server asks for is shown, and none where none
// does.
func TestTheIdentityThatFits(t *testing.T) {
	t.Parallel()
	bothVersions(t, func(t *testing.T, version uint16) {
		clients, others := tlstest.NewCA(t, tlstest.CommonName("Clients")), tlstest.NewCA(t, tlstest.CommonName("Others"))
		first, second, stranger := clientLeaf(clients), clientLeaf(clients), clientLeaf(others)
		pair := func(id *tlstest.Identity) *pb.Identity {
			return keyPair(&pb.KeyPair{CertificateChain: id.Chain, PrivateKey: id.KeyPEM()})
		}
		d := serveDoorman(t, version, tls.VerifyClientCertIfGiven, clients)
		c := servertest.Start(t).Client(t)
		for name, tc := range map[string]struct {
			have []*pb.Identity
			want *tlstest.Identity
		}{
			"none":               {nil, nil},
			"none that fits":     {[]*pb.Identity{pair(stranger)}, nil},
			"the second":         {[]*pb.Identity{pair(stranger), pair(first)}, first},
			"the first of three": {[]*pb.Identity{pair(second), pair(first), pair(stranger)}, second},
		} {
			t.Run(name, func(t *testing.T) {
				s := newIdle(t.Context(), t, c, d.ca, having(tc.have...))
				stillWorks(t.Context(), t, c, s, d.addr)
				if tc.want != nil {
					d.admits(t, tc.want)
					return
				}
				v := d.next(t)
				require.NoError(t, v.err)
				require.Empty(t, v.chain)
			})
		}
	})
}

// Under TLS 1.2 a server refuses a client within the handshake; under TLS 1.3 it
// is over for the client by then, and the alert is the first that it reads.
func TestClientCertificatesThatAreRefused(t *testing.T) {
	t.Parallel()
	bothVersions(t, func(t *testing.T, version uint16) {
		clients := tlstest.NewCA(t)
		for name, tc := range map[string]struct {
			id    *tlstest.Identity // nil: none
			alert map[uint16]string
		}{
			"none":     {nil, map[uint16]string{tls.VersionTLS12: "handshake_failure", tls.VersionTLS13: "certificate_required"}},
			"expired":  {clientLeaf(clients, tlstest.Expired()), map[uint16]string{tls.VersionTLS12: "certificate_expired", tls.VersionTLS13: "certificate_expired"}},
			"stranger": {clientLeaf(tlstest.NewCA(t)), map[uint16]string{tls.VersionTLS12: "unknown_ca", tls.VersionTLS13: "unknown_ca"}},
		} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				d := serveDoorman(t, version, tls.RequireAndVerifyClientCert, clients)
				c := servertest.Start(t).Client(t)
				settings := having()
				if tc.id != nil {
					settings = having(keyPair(&pb.KeyPair{CertificateChain: tc.id.Chain, PrivateKey: tc.id.KeyPEM()}))
				}
				refusedClient(t, open(t, c, d.addr, d.ca, func(m *pb.Open) { m.Settings, m.KeepSession = settings, true }), version, tc.alert[version])
				require.Error(t, d.next(t).err)

				s := newIdle(t.Context(), t, c, d.ca, settings)
				_, err := tryConnect(t.Context(), t, c, s, d.addr)
				if version == tls.VersionTLS13 {
					require.NoError(t, err, "for the client the handshake is over")
				} else {
					reason, metadata := infoOf(t, err)
					require.Equal(t, "PEER_ALERT", reason)
					require.Equal(t, tc.alert[version], metadata["alert_name"])
				}
			})
		}
	})
}

// refusedClient follows a connection whose peer does not like the client.
func refusedClient(t *testing.T, k *caller, version uint16, alert string) {
	t.Helper()
	closed := k.closed()
	require.Equal(t, pb.CloseCause_CLOSE_CAUSE_PEER_ALERT, closed.GetCause())
	require.Equal(t, pb.ErrorReason_ERROR_REASON_PEER_ALERT, closed.GetFailure().GetReason())
	require.Equal(t, alert, closed.GetFailure().GetMetadata()["alert_name"])
	failed := k.event("io_error").GetIoError()
	requireSame(t, closed.GetFailure(), failed.GetFailure(), "the failure")
	if version == tls.VersionTLS13 {
		require.Equal(t, pb.Phase_PHASE_DATA, failed.GetPhase())
		require.Equal(t, []string{"ENCRYPTED", "secure_connected", "io_error"}, k.kinds()[6:9])
		return
	}
	require.Equal(t, pb.Phase_PHASE_HANDSHAKE, failed.GetPhase())
	require.Equal(t, []string{"HANDSHAKING", "io_error", "UNCONNECTED", "closed"}, k.kinds()[5:])
}
