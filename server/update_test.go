package server_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	pb "securesocket/gen/securesocket/v1"
	"securesocket/server/servertest"
)

func TestUpdateMasks(t *testing.T) {
	t.Parallel()
	addr, ca := echoServer(t)
	c := servertest.Start(t).Client(t)
	yes, no, name := true, false, "localhost"
	s := newIdle(t.Context(), t, c, ca, &pb.SessionSettings{
		Label: "first", IdleTimeout: durationpb.New(time.Hour), Tls: &pb.TlsSettings{ServerName: &name, AlpnProtocols: []string{"a", "b"}},
	})
	update := func(m *pb.SessionSettings, paths ...string) *pb.UpdateSessionResponse {
		req := &pb.UpdateSessionRequest{SessionId: s.id, Settings: m}
		if len(paths) > 0 {
			req.UpdateMask = &fieldmaskpb.FieldMask{Paths: paths}
		}
		resp, err := c.UpdateSession(t.Context(), req)
		require.NoError(t, err)
		return resp
	}
	got := update(&pb.SessionSettings{Tls: &pb.TlsSettings{AlpnProtocols: []string{"c"}}}).GetSession().GetSettings()
	require.Equal(t, []string{"c"}, got.GetTls().GetAlpnProtocols(), "replaced, not joined")
	require.Equal(t, "localhost", got.GetTls().GetServerName(), "what is absent stays")
	require.Equal(t, "first", got.GetLabel())
	got = update(&pb.SessionSettings{Label: "ignored", Tcp: &pb.TcpSettings{NoDelay: &no}}, "tls.server_name", "tcp.no_delay", "idle_timeout").GetSession().GetSettings()
	require.Nil(t, got.GetTls().ServerName, "back to the default")
	require.Nil(t, got.GetIdleTimeout())
	require.False(t, got.GetTcp().GetNoDelay())
	require.Equal(t, "first", got.GetLabel(), "not in the mask")
	got = update(&pb.SessionSettings{Label: "all"}, "*").GetSession().GetSettings()
	require.Equal(t, "all", got.GetLabel())
	require.Nil(t, got.GetTcp().NoDelay)
	require.Empty(t, got.GetTls().GetAlpnProtocols())
	for _, path := range []string{"nothing", "tls.nothing", "tls.", "", "label.x", "idle_timeout.seconds", "Label"} {
		_, err := c.UpdateSession(t.Context(), &pb.UpdateSessionRequest{
			SessionId: s.id, Settings: &pb.SessionSettings{Label: "x"}, UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"label", path}},
		})
		require.Equal(t, "INVALID_FIELD", reasonOf(t, err), path)
	}
	require.Equal(t, "all", getSession(t.Context(), t, c, s).GetSettings().GetLabel(), "all of it or nothing")

	require.EqualValues(t, 1, update(&pb.SessionSettings{Tcp: &pb.TcpSettings{NoDelay: &yes}}).GetEffectiveGeneration(), "there is no connection yet")
	connectTo(t.Context(), t, c, s, addr)
	require.EqualValues(t, 1, update(&pb.SessionSettings{Tcp: &pb.TcpSettings{NoDelay: &no}}).GetEffectiveGeneration(), "live")
	_, err := c.UpdateSession(t.Context(), &pb.UpdateSessionRequest{SessionId: s.id, Settings: &pb.SessionSettings{Tcp: &pb.TcpSettings{NoDelay: &yes}, Label: strings.Repeat("x", 129)}})
	require.Equal(t, "INVALID_FIELD", reasonOf(t, err))
	require.False(t, getSession(t.Context(), t, c, s).GetSettings().GetTcp().GetNoDelay(), "all of it or nothing")
	require.EqualValues(t, 2, update(&pb.SessionSettings{Tls: &pb.TlsSettings{AlpnProtocols: []string{"x"}}}).GetEffectiveGeneration())
	require.EqualValues(t, 2, update(&pb.SessionSettings{Tcp: &pb.TcpSettings{NoDelay: &yes}, IdleTimeout: durationpb.New(time.Minute)}).GetEffectiveGeneration())
	update(nil, "*")
	stillWorks(t.Context(), t, c, s, addr)
}

func TestListPages(t *testing.T) {
	t.Parallel()
	c := servertest.Start(t).Client(t)
	var want, got []string
	for range 7 {
		want = append(want, newIdle(t.Context(), t, c, nil).id)
		newIdle(servertest.As(t.Context(), "another"), t, c, nil)
	}
	var sizes []int
	for token := ""; ; {
		resp, err := c.ListSessions(t.Context(), &pb.ListSessionsRequest{PageSize: 3, PageToken: token})
		require.NoError(t, err)
		for _, s := range resp.GetSessions() {
			got = append(got, s.GetSessionId())
		}
		sizes = append(sizes, len(resp.GetSessions()))
		if token = resp.GetNextPageToken(); token == "" {
			break
		}
		// A session that goes does not make the pages skip one.
		_, err = c.DeleteSession(t.Context(), &pb.DeleteSessionRequest{SessionId: got[len(got)-1]})
		require.NoError(t, err)
	}
	require.Equal(t, want, got, "oldest first")
	require.Equal(t, []int{3, 3, 1}, sizes)
	for _, bad := range []*pb.ListSessionsRequest{{PageSize: -1}, {PageSize: 1001}, {PageToken: "?"}} {
		_, err := c.ListSessions(t.Context(), bad)
		require.Equal(t, "INVALID_FIELD", reasonOf(t, err))
	}
}
