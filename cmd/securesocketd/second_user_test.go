package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	pb "securesocket/gen/securesocket/v1"
)

// The test binary itself is the caller of the second user.
const (
	asCallerEnv    = "SECURESOCKETD_TEST_CALLER" // the service's address
	asCallerIDsEnv = "SECURESOCKETD_TEST_ID"     // a session of the first user
)

const secondUID = 65534

// asCaller asks for a session, and prints the reason and who it is itself.
func asCaller() int {
	cc, err := grpc.NewClient(os.Getenv(asCallerEnv), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return 1
	}
	defer func() { _ = cc.Close() }()
	c := pb.NewSecureSocketServiceClient(cc)
	_, err = c.GetSession(context.Background(), &pb.GetSessionRequest{SessionId: os.Getenv(asCallerIDsEnv)})
	own, ownErr := c.CreateSession(context.Background(), &pb.CreateSessionRequest{})
	if err == nil || ownErr != nil {
		fmt.Println(err, ownErr)
		return 1
	}
	fmt.Println(err, own.GetSession().GetOwner())
	return 0
}

func TestSecondUserSeesNothing(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("needs root, to be two users")
	}
	// The service runs as the second user, who does not administer it; root, who may
	// open every socket, is the first.
	dir, err := os.MkdirTemp("/tmp", "securesocketd-user") //nolint:usetesting // its parents have to be open to the other user
	require.NoError(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	require.NoError(t, os.Chown(dir, secondUID, secondUID))
	second := &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: secondUID, Gid: secondUID}}
	exe := dir + "/caller"
	for from, to := range map[string]string{binary: dir + "/daemon", os.Args[0]: exe} {
		b, err := os.ReadFile(from)
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(to, b, 0o755)) //nolint:gosec // a program
	}
	d := start(t, 1, func(cmd *exec.Cmd) {
		cmd.Path, cmd.SysProcAttr = dir+"/daemon", second
	}, "--listen", "unix://"+dir+"/s.sock", "--administrator", "uid:4294967294")
	resp, err := d.client(t).CreateSession(t.Context(), &pb.CreateSessionRequest{})
	require.NoError(t, err)
	require.Equal(t, "uid:0", resp.GetSession().GetOwner())

	caller := exec.CommandContext(t.Context(), exe)
	caller.SysProcAttr = second
	caller.Env = []string{asCallerEnv + "=" + d.ready[0], asCallerIDsEnv + "=" + resp.GetSession().GetSessionId()}
	out, err := caller.CombinedOutput()
	require.NoError(t, err, string(out))
	require.Contains(t, string(out), fmt.Sprintf("uid:%d", secondUID))
	require.Contains(t, string(out), "NotFound")

	list, err := d.client(t).ListSessions(t.Context(), &pb.ListSessionsRequest{})
	require.NoError(t, err)
	require.Len(t, list.GetSessions(), 1)
}
