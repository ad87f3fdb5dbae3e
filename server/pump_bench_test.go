package server

import (
	"crypto/tls"
	"errors"
	"io"
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/encoding/protowire"

	pb "securesocket/gen/securesocket/v1"
	"securesocket/session"
	"securesocket/tlsengine/tlstest"
)

const benchPayload = 64 << 10

// dataWire is a data frame of 64 KiB as it comes from HTTP/2, in pooled buffers.
// It is made in the array of wire.
func dataWire(wire mem.BufferSlice, offset int64) mem.BufferSlice {
	const frame = 16 << 10
	inner := sizeInt(fieldOffset, offset) + sizeInt(fieldGeneration, 1) + 1 + protowire.SizeBytes(benchPayload)
	first := buffers.Get(frame)
	head := protowire.AppendVarint(append((*first)[:0], fieldData<<3|2), uint64(inner))
	if offset != 0 {
		head = protowire.AppendVarint(append(head, fieldOffset<<3), uint64(offset))
	}
	head = append(head, fieldGeneration<<3, 1, fieldPayload<<3|2)
	head = protowire.AppendVarint(head, benchPayload)
	rest := len(head) + benchPayload - frame
	wire = append(wire[:0], mem.NewBuffer(first, buffers))
	for ; rest > 0; rest -= frame {
		wire = append(wire, mem.NewBuffer(buffers.Get(min(rest, frame)), buffers))
	}
	return wire
}

func BenchmarkCodecReceive(b *testing.B) {
	c := newCodec()
	var wire mem.BufferSlice
	var f inFrame
	b.SetBytes(benchPayload)
	b.ReportAllocs()
	for b.Loop() {
		wire = dataWire(wire, 1<<40)
		if err := c.Unmarshal(wire, &f); err != nil || f.payload == nil {
			b.Fatal(err, f.request)
		}
		wire.Free()
		f.payload.Release()
	}
}

func BenchmarkCodecSend(b *testing.B) {
	c := newCodec()
	payload := make([]byte, benchPayload)
	r := received(1<<40, 1, payload)
	b.SetBytes(benchPayload)
	b.ReportAllocs()
	for b.Loop() {
		wire, err := c.Marshal(newOutFrame(r))
		if err != nil {
			b.Fatal(err)
		}
		wire.Free()
	}
}

// loop is a stream without HTTP/2: the codec, and a bound on what is done.
type loop struct {
	grpc.ServerStream
	codec  codec
	frames int64 // to receive
	number int64
	sent   int64 // bytes of socket_data, counted on the wire
	until  int64
	wire   mem.BufferSlice
}

func (s *loop) Recv() (*pb.AttachRequest, error) { return nil, io.EOF }
func (s *loop) Send(m *pb.AttachResponse) error  { return s.SendMsg(m) }

func (s *loop) RecvMsg(m any) error {
	if s.number == s.frames {
		return io.EOF
	}
	s.wire = dataWire(s.wire, s.number*benchPayload)
	s.number++
	defer s.wire.Free()
	return s.codec.Unmarshal(s.wire, m)
}

func (s *loop) SendMsg(m any) error {
	wire, err := s.codec.Marshal(m)
	if err != nil {
		return err
	}
	s.sent += int64(wire.Len())
	wire.Free()
	if s.until > 0 && s.sent >= s.until {
		return errEnough
	}
	return nil
}

var errEnough = errors.New("enough")

type anywhere struct{}

func (anywhere) CheckName(string, session.Target) error                 { return nil }
func (anywhere) FirstAllowed() bool                                     { return false }
func (anywhere) Revision() string                                       { return "" }
func (anywhere) CheckAddr(string, session.Target, netip.AddrPort) error { return nil }

// attachedTo is an attachment of a session that is connected to a peer.
func attachedTo(b *testing.B, handle func(*tls.Conn)) *session.Attachment {
	b.Helper()
	ca := tlstest.NewCA(b)
	config := &tls.Config{Certificates: []tls.Certificate{ca.Leaf(tlstest.Names("127.0.0.1")).Certificate()}}
	addr := netip.MustParseAddrPort(tlstest.Serve(b, config, handle))
	r := session.NewRegistry(session.Config{Egress: anywhere{}})
	b.Cleanup(r.Close)
	s, _, _, err := r.Create("owner", session.Settings{}, true, session.Request{})
	require.NoError(b, err)
	require.NoError(b, s.AddCertificate(ca.Certificate, true))
	first, _, err := s.Attach(session.AttachArgs{})
	require.NoError(b, err)
	_, err = s.Begin(session.ConnectArgs{Target: session.Target{Addr: addr.Addr(), Port: int(addr.Port())}}, session.Request{}, true)
	require.NoError(b, err)
	secure := make(chan struct{})
	first.Start(func() bool {
		for {
			out, ok, err := first.Next()
			if !ok || err != nil {
				return err == nil
			}
			if out.Event == nil {
				continue
			}
			if _, ok := out.Event.Kind.(session.SecureConnected); ok {
				close(secure)
			}
		}
	})
	<-secure
	att, _, err := s.Attach(session.AttachArgs{Seq: 2, Trusted: true})
	require.NoError(b, err)
	return att
}

// BenchmarkPumpSend and BenchmarkPumpReceive are all that the service does for a
// frame, but HTTP/2. What they allocate is crypto/tls's: one object for each
// read of a socket, here and in the peer.
func BenchmarkPumpSend(b *testing.B) {
	att := attachedTo(b, func(conn *tls.Conn) {
		for chunk := make([]byte, 256<<10); ; {
			if _, err := conn.Write(chunk); err != nil {
				return
			}
		}
	})
	p := &pump{stream: &loop{codec: newCodec(), until: int64(b.N) * benchPayload}, att: att}
	b.SetBytes(benchPayload)
	b.ReportAllocs()
	b.ResetTimer()
	done := make(chan error)
	att.Start(func() bool {
		err := p.send()
		if err != nil {
			done <- err
		}
		return err == nil
	})
	require.ErrorIs(b, <-done, errEnough)
	b.StopTimer()
	att.Detach(false)
}

func BenchmarkPumpReceive(b *testing.B) {
	done := make(chan int64)
	att := attachedTo(b, func(conn *tls.Conn) {
		n, _ := io.Copy(io.Discard, conn)
		done <- n
	})
	p := &pump{stream: &loop{codec: newCodec(), frames: int64(b.N)}, att: att}
	b.SetBytes(benchPayload)
	b.ReportAllocs()
	b.ResetTimer()
	require.NoError(b, p.receive(b.Context()))
	att.CloseSend()
	require.Equal(b, int64(b.N)*benchPayload, <-done)
	b.StopTimer()
	att.Detach(false)
}
