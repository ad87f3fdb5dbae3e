package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"net"
	pb "securesocket/gen/securesocket/v1"
)

// What the machine does not have is said at the start, with the place that has to be changed.
func TestSourceAddressThatTheMachineHasNot(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "config.yaml")
	require.NoError(t, os.WriteFile(file, []byte("egress:\n  source_addresses: [\"127.0.0.9\", \"2001:db8::10\"]\n"), 0o600))
	require.Contains(t, fails(t, exitError, "--config", file), file+":2: egress.source_addresses: 2001:db8::10")
	require.Contains(t, fails(t, exitError, "--egress-source-addresses", "192.0.2.10"), "--egress-source-addresses: 192.0.2.10")
	require.Contains(t, fails(t, exitUsage, "--egress-source-addresses", "localhost"), "--egress-source-addresses")
}

func TestSourceAddressOfTheDaemon(t *testing.T) {
	t.Parallel()
	d := start(t, 1, nil, "--listen", "unix://"+filepath.Join(t.TempDir(), "s.sock"), "--egress-allow", "127.0.0.1", "--egress-source-addresses", "127.0.0.9")
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	c := pb.NewSecureSocketServiceClient(connection(t, d))
	made, err := c.CreateSession(t.Context(), &pb.CreateSessionRequest{})
	require.NoError(t, err)
	_, port, err := net.SplitHostPort(l.Addr().String())
	require.NoError(t, err)
	_, err = c.Connect(t.Context(), &pb.ConnectRequest{SessionId: made.GetSession().GetSessionId(), Host: "127.0.0.1", Port: atoi32(t, port), Plain: true})
	require.NoError(t, err)
	conn, err := l.Accept()
	require.NoError(t, err)
	defer conn.Close()
	require.Equal(t, "127.0.0.9", conn.RemoteAddr().(*net.TCPAddr).IP.String())
}
