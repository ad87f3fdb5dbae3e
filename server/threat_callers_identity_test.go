package server_test

import (
	"crypto/rand"
	"crypto/tls"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	pb "securesocket/gen/securesocket/v1"
	"securesocket/server/servertest"
	"securesocket/tlsengine/tlstest"
)

// shownIdentity is the public half of what a session of a caller has.
func shownIdentity(t *testing.T, w *accessWorld, who string, settings *pb.SessionSettings) (idle, *pb.Identity) {
	t.Helper()
	s := newIdle(w.as(who), t, w.c, nil, settings)
	shown := getSession(w.as(who), t, w.c, s).GetSettings().GetTls().GetIdentities()
	require.Len(t, shown, 1)
	require.NotNil(t, shown[0].GetPublic())
	return s, shown[0]
}

// TestThreat26ForeignIdentities: the public half of what another's session shows names nothing, wherever it is given: it is
// refused as one is that never was. A session does not lend to another of its own caller, either.
func TestThreat26ForeignIdentities(t *testing.T) {
	t.Parallel()
	w := newAccessWorld(t)
	clients := tlstest.NewCA(t)
	leaf := clientLeaf(clients)
	for name, settings := range map[string]*pb.SessionSettings{
		"a key pair": having(uploaded(t, leaf)), "a caller's signer": having(callerSigner(leaf)),
	} {
		holder, public := shownIdentity(t, w, theOwner, settings)
		never := proto.CloneOf(public)
		_, _ = rand.Read(never.GetPublic().GetSpkiSha256())
		for _, who := range []string{theNeighbour, theOwner, theAdministrator} {
			own := newIdle(w.as(who), t, w.c, nil)
			for path, give := range map[string]func(id *pb.Identity) error{
				"CreateSession": func(id *pb.Identity) error {
					_, err := w.c.CreateSession(w.as(who), &pb.CreateSessionRequest{Settings: having(id)})
					return err
				},
				"UpdateSession": func(id *pb.Identity) error {
					_, err := w.c.UpdateSession(w.as(who), &pb.UpdateSessionRequest{SessionId: own.id, Settings: having(id)})
					return err
				},
				"Open": func(id *pb.Identity) error {
					return start(w.as(who), t, w.c, openFrame(&pb.Open{Host: "127.0.0.1", Port: 1, Settings: having(id)})).end()
				},
				"Listen": func(id *pb.Identity) error {
					_, err := w.lc.Listen(w.as(who), &pb.ListenRequest{Address: "127.0.0.1", Settings: having(id)})
					return err
				},
				"Probe": func(id *pb.Identity) error {
					_, err := w.dc.Probe(w.as(who), &pb.ProbeRequest{Host: "127.0.0.1", Port: 1, Settings: having(id)})
					return err
				},
				"UpdateDefaults": func(id *pb.Identity) error {
					_, err := w.tc.UpdateDefaults(w.as(who), &pb.UpdateDefaultsRequest{Settings: having(id)})
					return err
				},
			} {
				refused := give(public)
				require.Equal(t, "INVALID_FIELD", reasonOf(t, refused), "%s as %s: %s", path, who, name)
				requireSame(t, status.Convert(give(never)).Proto(), status.Convert(refused).Proto(), path)
			}
		}
		_, err := w.c.UpdateSession(w.as(theOwner), &pb.UpdateSessionRequest{SessionId: holder.id, Settings: having(public)})
		require.NoError(t, err, "the session that has it may say so")
	}
}

// TestThreat26Resumption: a neighbour with the same settings, at the same peer, is not resumed as the owner, and is not
// shown to it with the owner's certificate.
func TestThreat26Resumption(t *testing.T) {
	t.Parallel()
	bothVersions(t, func(t *testing.T, version uint16) {
		w := newAccessWorld(t)
		leaf := clientLeaf(w.ca)
		peer := newTicketPeer(w.ca.Leaf(), version, func(c *tls.Config) { c.ClientAuth = tls.RequestClientCert })
		addr := peer.serve(t)
		owner := newIdle(w.as(theOwner), t, w.c, w.ca, having(uploaded(t, leaf)))
		require.False(t, resumes(w.as(theOwner), t, w.c, owner, addr))
		require.True(t, resumes(w.as(theOwner), t, w.c, owner, addr), "it could be resumed")
		for range 2 {
			state := <-peer.states
			require.Equal(t, leaf.Leaf.Raw, state.PeerCertificates[0].Raw)
		}
		offered := peer.offered.Load()
		for name, settings := range map[string]*pb.SessionSettings{
			"nothing": having(), "the same key": having(uploaded(t, leaf)),
		} {
			neighbour := newIdle(w.as(theNeighbour), t, w.c, w.ca, settings)
			require.False(t, resumes(w.as(theNeighbour), t, w.c, neighbour, addr), name)
			require.Equal(t, offered, peer.offered.Load(), "%s: no ticket of the owner's was offered", name)
			state := <-peer.states
			require.Equal(t, name == "the same key", len(state.PeerCertificates) > 0, name)
		}
	})
}

// A request_id is its caller's: another's is not told what it made, and does not get it.
func TestRequestIDsAreTheCallersOwn(t *testing.T) {
	t.Parallel()
	w := newAccessWorld(t)
	req := &pb.CreateSessionRequest{RequestId: "once"}
	seen := map[string]string{}
	for _, who := range []string{theOwner, theNeighbour, theOwner, theNeighbour} {
		resp, err := w.c.CreateSession(w.as(who), req)
		require.NoError(t, err)
		require.Equal(t, who, resp.GetSession().GetOwner())
		if id := seen[who]; id != "" {
			require.Equal(t, id, resp.GetSession().GetSessionId())
		}
		seen[who] = resp.GetSession().GetSessionId()
	}
	require.NotEqual(t, seen[theOwner], seen[theNeighbour])
	_, err := w.c.CreateSession(servertest.As(t.Context(), theNeighbour), &pb.CreateSessionRequest{RequestId: "once", Settings: having()})
	require.Equal(t, "REQUEST_ID_REUSED", reasonOf(t, err), "each has a log of his own")
}
