package server_test

import (
	"io"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/types/known/durationpb"

	pb "securesocket/gen/securesocket/v1"
	"securesocket/server"
	"securesocket/server/servertest"
	"securesocket/session"
	"securesocket/tlsengine/tlstest"
)

// TestThreat47PeersThatHoard are peers that never let go of a connection. Each ends all
// the same, by a clock of the caller's or of the service's, and everything is given back.
func TestThreat47PeersThatHoard(t *testing.T) {
	t.Parallel()
	idleSoon := func(m *pb.Open) {
		m.Settings = &pb.SessionSettings{IdleTimeout: durationpb.New(100 * time.Millisecond)}
	}
	forEver := func(conn net.Conn, _ <-chan struct{}) { _, _ = io.Copy(io.Discard, conn) }
	for name, tc := range map[string]struct {
		peer   func(conn net.Conn, released <-chan struct{})
		change func(*pb.Open)
		does   func(*caller)
		cause  pb.CloseCause
	}{
		"says nothing": {forEver, idleSoon, func(*caller) {}, pb.CloseCause_CLOSE_CAUSE_IDLE_TIMEOUT},
		"half-closed, and stays": {func(conn net.Conn, released <-chan struct{}) {
			_ = conn.(*net.TCPConn).CloseWrite()
			forEver(conn, released)
		}, idleSoon, func(*caller) {}, pb.CloseCause_CLOSE_CAUSE_IDLE_TIMEOUT},
		"does not answer a half-close": {func(conn net.Conn, released <-chan struct{}) {
			forEver(conn, released)
			<-released // its end is the service's
		}, idleSoon, func(k *caller) { k.finish() }, pb.CloseCause_CLOSE_CAUSE_IDLE_TIMEOUT},
		"does not read what a close waits for": {func(conn net.Conn, released <-chan struct{}) {
			narrow(conn)
			<-released
		}, func(*pb.Open) {}, func(k *caller) {
			k.write(make([]byte, 400<<10))
			k.send(closeFrame(pb.CloseSocket_HOW_GRACEFUL))
		}, pb.CloseCause_CLOSE_CAUSE_LOCAL},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			released := make(chan struct{})
			addr := tlstest.ServeRaw(t, func(conn net.Conn) { tc.peer(conn, released) })
			defer close(released)
			svc := servertest.Start(t, func(sc *session.Config, _ *server.Config) { sc.GracefulTimeout = 200 * time.Millisecond })
			c := svc.Client(t)
			k := open(t, c, addr, nil, plainly, tc.change)
			k.event("CONNECTED")
			tc.does(k)
			closed := k.closed()
			require.Equal(t, tc.cause, closed.GetCause(), "%v", closed)
			require.NoError(t, k.end())
			givenBack(t, svc)
		})
	}
}

// While bytes move in either direction nothing is idle: a peer that has half-closed may
// be sent to for as long as there is something to send.
func TestThreat47ActivityIsNotHoarding(t *testing.T) {
	t.Parallel()
	const idle = 2 * time.Second
	addr := tlstest.ServeRaw(t, func(conn net.Conn) {
		_ = conn.(*net.TCPConn).CloseWrite()
		_, _ = io.Copy(io.Discard, conn)
	})
	k := open(t, servertest.Start(t).Client(t), addr, nil, plainly, func(m *pb.Open) {
		m.Settings = &pb.SessionSettings{IdleTimeout: durationpb.New(idle)}
	})
	k.event("remote_closed")
	for range 20 { // twice the timeout, in all
		k.write([]byte("still going"))
		time.Sleep(idle / 10)
	}
	require.NotContains(t, k.kinds(), "closed")
	require.Equal(t, pb.CloseCause_CLOSE_CAUSE_IDLE_TIMEOUT, k.closed().GetCause())
	require.EqualValues(t, 20*len("still going"), k.closed().GetSentBytes())
}
