package main

import (
	"net"
	"testing"

	"github.com/stretchr/testify/require"

	pb "securesocket/gen/securesocket/v1"
)

// Where callers may listen is the operator's word; without it, at loopback addresses.
func TestListenAllow(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		args []string
		at   map[string]string // address to reason
	}{
		{nil, map[string]string{"127.0.0.1": "", "0.0.0.0": "LISTEN_DENIED", "192.0.2.1": "LISTEN_DENIED"}},
		{[]string{"--listen-allow", "none"}, map[string]string{"127.0.0.1": "LISTEN_DENIED"}},
		{
			[]string{"--listen-allow", "0.0.0.0:20000-60000", "--listen-allow", "192.0.2.0/24"},
			map[string]string{"127.0.0.1": "", "0.0.0.0": "", "192.0.2.1": "ADDRESS_UNAVAILABLE", "198.51.100.1": "ADDRESS_UNAVAILABLE", "::": "LISTEN_DENIED"},
		},
	} {
		listeners := pb.NewListenerServiceClient(connection(t, start(t, 1, nil, c.args...)))
		for address, reason := range c.at {
			opened, err := listeners.Listen(t.Context(), &pb.ListenRequest{Address: address})
			if reason != "" {
				require.Equal(t, reason, reasonOf(t, err), "%v %s", c.args, address)
				continue
			}
			require.NoError(t, err, "%v %s", c.args, address)
			local := opened.GetListener().GetLocal()
			require.Equal(t, address, local.GetAddress())
			if len(c.args) > 2 && address == "0.0.0.0" {
				require.GreaterOrEqual(t, local.GetPort(), int32(20000))
				require.LessOrEqual(t, local.GetPort(), int32(60000))
			}
			conn, err := net.Dial("tcp", net.JoinHostPort("127.0.0.1", itoa(int(local.GetPort()))))
			require.NoError(t, err)
			conn.Close()
		}
	}
}

func TestListenAllowUsage(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{
		{"--listen-allow", "10.0.0.1/8"},
		{"--listen-allow", "example.com"},
		{"--listen-allow", "10.0.0.1:0"},
		{"--listen-allow", ""},
		{"--listen-allow", "none", "--listen-allow", "10.0.0.1"},
	} {
		require.Contains(t, fails(t, exitUsage, args...), "--listen-allow", "%v", args)
	}
}
