package server_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	pb "securesocket/gen/securesocket/v1"
)

// A Read that lasts over a StartTls goes back to receive_offset too: what it has given of the hello is no part of the bytes
// that come after.
func TestReadGoesBackToWhereTLSBegins(t *testing.T) {
	t.Parallel()
	p := openPorch(t)
	g, s := p.visit(t)
	hello, secured, done := g.hello()
	g.say(append([]byte(startTLSLine), hello...))
	readyRead(t, p.c, s, int64(len(startTLSLine)+len(hello)))
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	stream, err := p.c.Read(ctx, &pb.ReadRequest{SessionId: s.id, Wait: true})
	require.NoError(t, err)
	var data []byte
	next := func() {
		m, err := stream.Recv()
		require.NoError(t, err, "%q", data)
		if d := m.GetSocketData(); d != nil {
			if d.GetOffset() < int64(len(data)) {
				require.EqualValues(t, len(startTLSLine), d.GetOffset())
				data = data[:d.GetOffset()]
			}
			require.EqualValues(t, len(data), d.GetOffset())
			data = append(data, d.GetPayload()...)
		}
	}
	for len(data) < len(startTLSLine)+len(hello) {
		next()
	}
	require.NoError(t, outcome(t, startingTLS(t, p.c, s, asServer(int64(len(startTLSLine)), 0))))
	require.NoError(t, <-done)
	_, err = secured.Write([]byte("under TLS"))
	require.NoError(t, err)
	for string(data) != startTLSLine+"under TLS" {
		next()
	}
	require.NoError(t, secured.Close())
}

// A Read that has not been looked at for a while, and goes on long after the switch, has not gone past bytes meanwhile.
func TestSlowReadOverTheSwitch(t *testing.T) {
	t.Parallel()
	for filler := 0; filler <= 3<<20; filler += 111_000 {
		p := openPorch(t, func(s *pb.SessionSettings) { s.ReceiveBufferBytes = 4 << 20 })
		g, s := p.visit(t)
		hello, secured, done := g.hello()
		plain := append(make([]byte, filler), startTLSLine...)
		g.say(append(plain, hello...))
		readyRead(t, p.c, s, int64(len(plain)+len(hello)))
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		stream, err := p.c.Read(ctx, &pb.ReadRequest{SessionId: s.id, Wait: true})
		require.NoError(t, err)
		require.NoError(t, outcome(t, startingTLS(t, p.c, s, asServer(int64(len(plain)), 0))))
		require.NoError(t, <-done)
		_, err = secured.Write(noise()[:1000])
		require.NoError(t, err)
		readyRead(t, p.c, s, int64(len(plain)+1000))
		var data []byte
		for len(data) < len(plain)+1000 {
			m, err := stream.Recv()
			require.NoError(t, err, "filler %d: %d bytes", filler, len(data))
			if d := m.GetSocketData(); d != nil {
				if d.GetOffset() < int64(len(data)) {
					require.EqualValues(t, len(plain), d.GetOffset())
					data = data[:d.GetOffset()]
				}
				require.EqualValues(t, len(data), d.GetOffset())
				data = append(data, d.GetPayload()...)
			}
		}
		require.Equal(t, string(noise()[:1000]), string(data[len(plain):]), "filler %d", filler)
		cancel()
		require.NoError(t, secured.Close())
	}
}
