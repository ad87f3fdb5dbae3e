package server_test

import (
	"context"
	"net"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	pb "securesocket/gen/securesocket/v1"
	"securesocket/server/servertest"
	"securesocket/tlsengine/tlstest"
)

// A call that is repeated because the first was lost never gets the first one's
// end.
func TestRetriedConnectOutlivesTheCancelledOne(t *testing.T) {
	t.Parallel()
	addr, ca := echoServer(t)
	host, port := hostPort(t, addr)
	c := servertest.Start(t).Client(t)
	for range 100 {
		id := trusting(t, c, ca.DER()).GetSession().GetSessionId()
		req := &pb.ConnectRequest{SessionId: id, Host: host, Port: port, RequestId: "r"}
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() { _, _ = c.Connect(ctx, req) })
		wg.Go(cancel)
		resp, err := c.Connect(t.Context(), req)
		require.NoError(t, err)
		require.Equal(t, pb.State_STATE_ENCRYPTED, resp.GetSession().GetState())
		wg.Wait()
		_, err = c.DeleteSession(t.Context(), &pb.DeleteSessionRequest{SessionId: id})
		require.NoError(t, err)
	}
}

// The same while the peer keeps both waiting: the retry joins what is under way,
// or begins anew, and waits.
func TestRetryOfACancelledConnectWaits(t *testing.T) {
	t.Parallel()
	addr := tlstest.ServeRaw(t, func(conn net.Conn) {
		_, _ = conn.Read(make([]byte, 1<<16))
		_, _ = conn.Read(make([]byte, 1))
	})
	host, port := hostPort(t, addr)
	c := servertest.Start(t).Client(t)
	for range 30 {
		id := create(t, c)
		req := &pb.ConnectRequest{SessionId: id, Host: host, Port: port, RequestId: "r"}
		first, cancel := context.WithCancel(t.Context())
		second, stop := context.WithCancel(t.Context())
		ended := make(chan error, 2)
		go func() { _, err := c.Connect(first, req); ended <- err }()
		_, err := c.Wait(t.Context(), &pb.WaitRequest{SessionId: id, Condition: pb.WaitRequest_CONDITION_CONNECTED})
		require.NoError(t, err)
		cancel()
		require.Error(t, <-ended)
		go func() { _, err := c.Connect(second, req); ended <- err }()
		for range 20 { // by now the first one's end has reached the service
			_, err := c.GetSession(t.Context(), &pb.GetSessionRequest{SessionId: id})
			require.NoError(t, err)
		}
		select {
		case err := <-ended:
			t.Fatalf("the retry ended with %v", err)
		default:
		}
		stop()
		require.Error(t, <-ended)
		_, err = c.DeleteSession(t.Context(), &pb.DeleteSessionRequest{SessionId: id})
		require.NoError(t, err)
	}
}
