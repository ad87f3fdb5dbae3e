package server_test

import (
	"crypto/rand"
	"io"
	"net"
	"testing"

	"github.com/stretchr/testify/require"

	pb "securesocket/gen/securesocket/v1"
	"securesocket/tlsengine/tlstest"
)

// What a peer said when it refused is its owner's, too: administrators are told that it did.
func TestAdministratorsAreNotToldAPeersWords(t *testing.T) {
	t.Parallel()
	w := newAccessWorld(t)
	words := rand.Text()
	addr := tlstest.ServeRaw(t, func(conn net.Conn) {
		_, _ = io.WriteString(conn, "554 "+words+"\r\n")
		_, _ = io.Copy(io.Discard, conn)
	})
	s := newIdle(w.as(theOwner), t, w.c, nil)
	host, port := hostPort(t, addr)
	_, err := w.c.Connect(w.as(theOwner), &pb.ConnectRequest{SessionId: s.id, Host: host, Port: port, StartTlsProtocol: "smtp"})
	require.Equal(t, "START_TLS_REFUSED", reasonOf(t, err))
	var said sieve
	said.add("words", []byte(words))
	find := func(who string) (found []string) {
		resp, err := w.c.GetSession(w.as(who), &pb.GetSessionRequest{SessionId: s.id})
		require.NoError(t, err)
		require.Equal(t, "START_TLS_REFUSED", nameOf(resp.GetSession().GetLastError().GetReason()))
		return said.find(answer{reply: resp}.text(t))
	}
	require.NotEmpty(t, find(theOwner), "the test of the test")
	require.Empty(t, find(theAdministrator))
	list, err := w.c.ListSessions(w.as(theAdministrator), &pb.ListSessionsRequest{AllCallers: true})
	require.NoError(t, err)
	require.Empty(t, said.find(answer{reply: list}.text(t)))
}
