package main

import (
	"net"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	pb "securesocket/gen/securesocket/v1"
)

// Threats 11 and 51. Without a descriptor nothing is let by that was denied before, nothing
// is dialled from another address than the operator's, and the policy that could not be read
// is in force as soon as it can be.
func TestThreat11WithoutDescriptors(t *testing.T) {
	t.Parallel()
	addr, _ := echo(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	r := startRuled(t, loopback, "--egress-source-addresses", "127.0.0.9")
	made, err := r.operator.CreateSession(t.Context(), &pb.CreateSessionRequest{})
	require.NoError(t, err)
	connect := func(addr string) (reason string) {
		t.Helper()
		host, port, err := net.SplitHostPort(addr)
		require.NoError(t, err)
		_, err = r.operator.Connect(t.Context(), &pb.ConnectRequest{SessionId: made.GetSession().GetSessionId(), Host: host, Port: atoi32(t, port), Plain: true})
		if err == nil {
			return ""
		}
		return reasonOf(t, err)
	}
	own := r.ready[1][len("grpc://"):]
	require.Equal(t, "EGRESS_DENIED", connect(own))

	pid := r.cmd.Process.Pid
	var before unix.Rlimit
	require.NoError(t, unix.Prlimit(pid, unix.RLIMIT_NOFILE, nil, &before))
	require.NoError(t, unix.Prlimit(pid, unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: 3, Max: before.Max}, nil))
	require.Equal(t, "LOCAL_RESOURCES", connect(l.Addr().String()))
	r.write(denying(addr))
	first := r.line(brokenLine, 1)["policy"]
	require.Equal(t, first, r.line(brokenLine, 2)["policy"], "it is tried again")
	require.Empty(t, r.lines(loadedLine))
	require.Equal(t, "EGRESS_DENIED", connect(own))
	require.Equal(t, "LOCAL_RESOURCES", connect(l.Addr().String()))

	require.NoError(t, unix.Prlimit(pid, unix.RLIMIT_NOFILE, &before, nil))
	require.NotEqual(t, first, r.line(loadedLine, 1)["policy"], "without anybody who asks for it")
	require.Equal(t, "EGRESS_DENIED", connect(addr))
	require.Equal(t, "EGRESS_DENIED", connect(own))
	require.Empty(t, connect(l.Addr().String()))
	conn, err := l.Accept()
	require.NoError(t, err)
	defer conn.Close()
	require.Equal(t, "127.0.0.9", conn.RemoteAddr().(*net.TCPAddr).IP.String())
}
