package server_test

import (
	"bytes"
	"crypto/tls"
	"encoding/binary"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	pb "securesocket/gen/securesocket/v1"
	"securesocket/server/servertest"
	"securesocket/tlsengine/tlstest"
)

// neighbours is how many streams of one HTTP/2 connection stand still while one
// goes on: their windows together are several times that of the connection.
const neighbours = 50

// messages is how many the other one echoes.
func messages() int {
	if raceEnabled {
		return 200
	}
	return 1000
}

func TestNeighbourOfCallersThatNeverReceiveGoesOn(t *testing.T) {
	t.Parallel()
	var moved atomic.Int64
	ca := tlstest.NewCA(t)
	stuck := tlstest.Serve(t, serverConfig(ca.Leaf(tlstest.Names("127.0.0.1"))), func(conn *tls.Conn) {
		buf := make([]byte, 16<<10)
		for {
			n, err := conn.Write(buf)
			moved.Add(int64(n))
			if err != nil {
				return
			}
		}
	})
	c := servertest.Start(t).Client(t)
	for i := range neighbours {
		open(t, c, stuck, ca, resumableIf(i%2 == 1)).secure()
	}
	settled(t, moved.Load)
	goesOn(t, c)
}

func TestNeighbourOfSendersToPeersThatNeverReadGoesOn(t *testing.T) {
	t.Parallel()
	var moved atomic.Int64
	ca := tlstest.NewCA(t)
	release := make(chan struct{})
	stuck := tlstest.Serve(t, serverConfig(ca.Leaf(tlstest.Names("127.0.0.1"))), func(conn *tls.Conn) {
		<-release
	})
	defer close(release)
	c := servertest.Start(t).Client(t)
	for i := range neighbours {
		resumable := i%2 == 1
		k := open(t, c, stuck, ca, resumableIf(resumable))
		k.secure()
		limit := k.attached.GetSendLimit()
		if k.progress != nil {
			limit = k.progress.GetSendLimit()
		}
		go func() {
			for buf := make([]byte, 32<<10); ; {
				p := buf[:min(int64(len(buf)), limit-k.sent)]
				if len(p) == 0 || k.stream.Send(payloadAt(k.sent, p)) != nil {
					return
				}
				k.sent += int64(len(p))
				moved.Add(int64(len(p)))
			}
		}()
	}
	settled(t, moved.Load)
	require.Greater(t, moved.Load(), int64(neighbours*256<<10), "more than the connection's window has come")
	goesOn(t, c)
}

func payloadAt(offset int64, payload []byte) *pb.AttachRequest {
	return &pb.AttachRequest{Frame: &pb.AttachRequest_Data{Data: &pb.Data{Offset: offset, Generation: 1, Payload: payload}}}
}

func resumableIf(resumable bool) func(*pb.Open) {
	return func(m *pb.Open) { m.Settings = &pb.SessionSettings{Resumable: &resumable} }
}

// goesOn has a session echo messages of several sizes, each before the next.
func goesOn(t *testing.T, c pb.SecureSocketServiceClient) {
	t.Helper()
	addr, ca := echoServer(t)
	k := open(t, c, addr, ca)
	k.secure()
	for i := range messages() {
		message := binary.BigEndian.AppendUint32(nil, uint32(i))
		if i%10 == 0 {
			message = bytes.Repeat(message, 8<<10)
		}
		k.attached.SocketDataOffset += int64(len(k.data))
		k.data = k.data[:0]
		k.write(message)
		k.until(func() bool { return len(k.data) == len(message) })
		require.Equal(t, message, k.data)
	}
	k.finish()
	k.closed()
}
