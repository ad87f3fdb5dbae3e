package main

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/encoding/protojson"

	pb "securesocket/gen/securesocket/v1"
	"securesocket/tlsengine/tlstest"
)

func TestSessions(t *testing.T) {
	t.Parallel()
	address, c := startService(t)
	p := startPeer(t, tlstest.Echo)
	var ids []string
	for range 60 { // more than a page
		created, err := c.Service().CreateSession(t.Context(), &pb.CreateSessionRequest{Settings: &pb.SessionSettings{Label: "one\x1b\tlabel"}})
		require.NoError(t, err)
		ids = append(ids, created.GetSession().GetSessionId())
	}
	to, err := parseTarget(p.address)
	require.NoError(t, err)
	_, err = c.Service().Connect(t.Context(), &pb.ConnectRequest{SessionId: ids[0], Host: to.host, Port: to.port})
	require.Error(t, err) // not trusted; the session knows its target now

	r := runWith(t.Context(), nil, "sessions", "--server", address)
	require.Equal(t, exitDone, r.code, r.stderr)
	lines := strings.Split(strings.TrimSuffix(r.stdout, "\n"), "\n")
	require.Len(t, lines, 1+len(ids))
	for i, id := range ids {
		require.True(t, strings.HasPrefix(lines[1+i], id+"  unconnected"), lines[1+i])
		require.Contains(t, lines[1+i], `one\x1b\tlabel`)
	}
	require.Contains(t, lines[1], p.address)

	r = runWith(t.Context(), nil, "sessions", "-o", "json", "--server", address)
	require.Equal(t, exitDone, r.code, r.stderr)
	var list pb.ListSessionsResponse
	require.NoError(t, protojson.Unmarshal([]byte(r.stdout), &list))
	require.Len(t, list.GetSessions(), len(ids))
	require.Equal(t, "one\x1b\tlabel", list.GetSessions()[0].GetSettings().GetLabel())
}

func TestNoSessions(t *testing.T) {
	t.Parallel()
	require.Equal(t, 1, strings.Count(string(sessionTable(nil, false, time.Now())), "\n"))
	r := runLocal(t, "sessions -o json")
	require.Equal(t, exitDone, r.code)
	require.NoError(t, protojson.Unmarshal([]byte(r.stdout), &pb.ListSessionsResponse{}))
}

func TestCapabilities(t *testing.T) {
	t.Parallel()
	r := runLocal(t, "capabilities -o json")
	require.Equal(t, exitDone, r.code, r.stderr)
	var can pb.GetCapabilitiesResponse
	require.NoError(t, protojson.Unmarshal([]byte(r.stdout), &can))
	require.True(t, can.GetSecureSockets())
	require.Len(t, can.GetVersions(), 2)

	r = runLocal(t, "capabilities")
	require.Equal(t, exitDone, r.code)
	for _, suite := range can.GetCipherSuites() {
		require.Contains(t, r.stdout, suite.GetIanaName())
	}
	require.Contains(t, r.stdout, "TLS 1.2, TLS 1.3")

	r = runLocal(t, "capabilities --legacy-tls")
	require.Contains(t, r.stdout, "TLS 1.0, TLS 1.1, TLS 1.2, TLS 1.3")
}
