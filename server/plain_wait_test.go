package server_test

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/types/known/durationpb"

	pb "securesocket/gen/securesocket/v1"
	"securesocket/server/servertest"
	"securesocket/tlsengine/tlstest"
)

// Every Wait, in plain mode and over the switch.
func TestWaitsInPlainModeAndOverTheSwitch(t *testing.T) {
	t.Parallel()
	const connected, encrypted = pb.WaitRequest_CONDITION_CONNECTED, pb.WaitRequest_CONDITION_ENCRYPTED
	const readable, written, disconnected = pb.WaitRequest_CONDITION_READY_READ, pb.WaitRequest_CONDITION_BYTES_WRITTEN, pb.WaitRequest_CONDITION_DISCONNECTED
	ca := tlstest.NewCA(t)
	c := servertest.Start(t).Client(t)
	p := newPlainPeer(t)
	k := open(t, c, p.addr, ca, plainly, keepSession)
	peer := p.next(t)
	k.until(func() bool { return last(k.kinds()) == "CONNECTED" })
	wait := func(cond pb.WaitRequest_Condition, offset int64, timeout time.Duration) *pb.WaitResponse {
		t.Helper()
		resp, err := c.Wait(t.Context(), &pb.WaitRequest{SessionId: k.session().id, Condition: cond, Offset: offset, Timeout: durationpb.New(timeout)})
		require.NoError(t, err)
		return resp
	}
	later := func(cond pb.WaitRequest_Condition, offset int64) chan *pb.WaitResponse {
		out := make(chan *pb.WaitResponse, 1)
		ctx, id := t.Context(), k.session().id
		go func() {
			resp, _ := c.Wait(ctx, &pb.WaitRequest{SessionId: id, Condition: cond, Offset: offset})
			out <- resp
		}()
		return out
	}
	require.True(t, wait(connected, 0, 0).GetReached())
	require.True(t, wait(encrypted, 0, 10*time.Millisecond).GetTimedOut())
	require.True(t, wait(disconnected, 0, 0).GetTimedOut())
	require.True(t, wait(readable, 0, 0).GetTimedOut())
	require.True(t, wait(written, 0, 0).GetReached())
	secure, more, sent := later(encrypted, 0), later(readable, 4), later(written, 8)
	_, _ = io.WriteString(peer, "220 ")
	require.True(t, wait(readable, 3, patience).GetReached())
	require.True(t, wait(readable, 4, 0).GetTimedOut())
	k.write([]byte("STLS"))
	require.True(t, wait(written, 4, patience).GetReached())
	require.True(t, wait(written, 5, 0).GetTimedOut())
	_, err := io.ReadFull(peer, make([]byte, 4))
	require.NoError(t, err)
	k.send(startTLSFrame(pb.TlsRole_TLS_ROLE_CLIENT, 4, 4))
	k.write([]byte("ping"))
	k.event("mode_changed")
	require.True(t, wait(connected, 0, 0).GetReached(), "the handshake is under way")
	require.True(t, wait(encrypted, 0, 0).GetTimedOut())
	require.True(t, wait(written, 8, 0).GetTimedOut())
	secured := tls.Server(peer, &tls.Config{Certificates: []tls.Certificate{ca.Leaf(tlstest.Names("127.0.0.1")).Certificate()}})
	_, err = io.ReadFull(secured, make([]byte, 4))
	require.NoError(t, err)
	_, err = secured.Write([]byte("p"))
	require.NoError(t, err)
	for _, w := range []chan *pb.WaitResponse{secure, more, sent} {
		require.True(t, (<-w).GetReached())
	}
	require.True(t, wait(connected, 0, 0).GetReached())
	gone, never := later(disconnected, 0), later(readable, 5)
	_ = secured.Close()
	require.Equal(t, "SESSION_STATE", nameOf((<-never).GetCause().GetReason()))
	k.finish()
	require.True(t, (<-gone).GetReached())

	// TLS that cannot come true any more.
	broken := open(t, c, p.addr, ca, plainly, keepSession)
	k = broken
	peer = p.next(t)
	k.until(func() bool { return last(k.kinds()) == "CONNECTED" })
	secure, more, sent = later(encrypted, 0), later(readable, 1000), later(written, 1)
	k.send(startTLSFrame(pb.TlsRole_TLS_ROLE_CLIENT, 0, 0))
	_, _ = io.WriteString(peer, "not TLS at all, but text that goes on for more than a record's header\r\n")
	for _, w := range []chan *pb.WaitResponse{secure, more, sent} {
		resp := <-w
		require.False(t, resp.GetReached())
		require.Contains(t, []string{"NOT_TLS", "START_TLS_INJECTION"}, nameOf(resp.GetCause().GetReason()))
	}
	require.True(t, wait(disconnected, 0, patience).GetReached())
	require.NotNil(t, wait(connected, 0, 0).GetCause())
}

// Once either direction has ended, TLS cannot come any more: a Wait for it says so, though the connection goes on.
func TestWaitForTLSOnAHalfOpenConnection(t *testing.T) {
	t.Parallel()
	c := servertest.Start(t).Client(t)
	for name, end := range map[string]func(k *caller, peer *net.TCPConn){
		"the peer's": func(k *caller, peer *net.TCPConn) { _ = peer.CloseWrite(); k.event("remote_closed") },
		"the caller's": func(k *caller, peer *net.TCPConn) {
			k.finish()
			_, err := readEnd(k.tb, peer)
			require.NoError(k.tb, err)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPlainPeer(t)
			k := open(t, c, p.addr, nil, plainly)
			peer := p.next(t)
			end(k, peer)
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			resp, err := c.Wait(ctx, &pb.WaitRequest{SessionId: k.session().id, Condition: pb.WaitRequest_CONDITION_ENCRYPTED, Timeout: durationpb.New(time.Second)})
			require.NoError(t, err)
			require.False(t, resp.GetTimedOut())
			require.Equal(t, "SESSION_STATE", nameOf(resp.GetCause().GetReason()))
		})
	}
}
