package server_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/durationpb"

	pb "securesocket/gen/securesocket/v1"
	"securesocket/server"
	"securesocket/server/servertest"
	"securesocket/session"
)

// draining begins a drain that lasts until end is called.
func draining(t *testing.T, svc *servertest.Service, k *caller) (end func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); svc.Server.Drain(ctx) }()
	k.event("draining")
	return func() { cancel(); <-done }
}

func TestWaitEndsWithTheService(t *testing.T) {
	t.Parallel()
	addr, ca := echoServer(t)
	arrived := make(chan struct{})
	svc := servertest.Start(t, func(_ *session.Config, sv *server.Config) {
		sv.Options = append(sv.Options, grpc.ChainUnaryInterceptor(
			func(ctx context.Context, req any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
				if info.FullMethod == pb.SecureSocketService_Wait_FullMethodName {
					close(arrived)
				}
				return handler(ctx, req)
			}))
	})
	c := svc.Client(t)
	idle := create(t, c)
	k := open(t, c, addr, ca)
	k.secure()
	end := draining(t, svc, k)
	ended := make(chan error, 1)
	go func() {
		_, err := c.Wait(t.Context(), &pb.WaitRequest{
			SessionId: idle, Condition: pb.WaitRequest_CONDITION_ENCRYPTED, Timeout: durationpb.New(time.Minute),
		})
		ended <- err
	}()
	<-arrived
	began := time.Now()
	end()
	require.Equal(t, nameOf(pb.ErrorReason_ERROR_REASON_DRAINING), reasonOf(t, <-ended))
	require.Less(t, time.Since(began), patience)
}

func TestDrainTwiceAndConnectsInBetween(t *testing.T) {
	t.Parallel()
	addr, ca := echoServer(t)
	host, port := hostPort(t, addr)
	svc := servertest.Start(t)
	c := svc.Client(t)
	idle := trusting(t, c, ca.DER()).GetSession().GetSessionId()
	k := open(t, c, addr, ca)
	k.secure()
	end := draining(t, svc, k)
	// What is there may still connect, and is closed with the rest.
	_, err := c.Connect(t.Context(), &pb.ConnectRequest{SessionId: idle, Host: host, Port: port})
	require.NoError(t, err)
	second := make(chan struct{})
	go func() { defer close(second); svc.Server.Drain(t.Context()) }()
	end()
	<-second
	require.Equal(t, pb.CloseCause_CLOSE_CAUSE_DRAIN, k.closed().GetCause())
}

// A generation's last event stays its last.
func TestDrainingOfASessionAtRestBelongsToNoGeneration(t *testing.T) {
	t.Parallel()
	addr, ca := echoServer(t)
	host, port := hostPort(t, addr)
	svc := servertest.Start(t)
	c := svc.Client(t)
	rest := trusting(t, c, ca.DER()).GetSession().GetSessionId()
	_, err := c.Connect(t.Context(), &pb.ConnectRequest{SessionId: rest, Host: host, Port: port})
	require.NoError(t, err)
	_, err = c.Close(t.Context(), &pb.CloseRequest{SessionId: rest})
	require.NoError(t, err)
	k := start(t.Context(), t, c, attachFrame(&pb.AttachSession{SessionId: rest, AttachSeq: 1}))
	live := open(t, c, addr, ca)
	live.secure()
	end := draining(t, svc, live)
	require.Zero(t, k.event("draining").GetGeneration())
	end()
}
