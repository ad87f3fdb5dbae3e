package server_test

import (
	"context"
	"errors"
	"io"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/status"

	pb "securesocket/gen/securesocket/v1"
	"securesocket/tlsengine/tlstest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience bounds every wait of a test.
const patience = 20 * time.Second

// hostPort splits an address of a test server.
func hostPort(tb testing.TB, addr string) (string, int32) {
	tb.Helper()
	host, port, err := net.SplitHostPort(addr)
	require.NoError(tb, err)
	n, err := strconv.ParseInt(port, 10, 32)
	require.NoError(tb, err)
	return host, int32(n)
}

// reasonOf reads the one ErrorInfo of an RPC's error.
func reasonOf(tb testing.TB, err error) string {
	tb.Helper()
	require.Error(tb, err)
	reason, _ := infoOf(tb, err)
	return reason
}

func infoOf(tb testing.TB, err error) (string, map[string]string) {
	tb.Helper()
	var found []*errdetails.ErrorInfo
	for _, d := range status.Convert(err).Details() {
		if info, ok := d.(*errdetails.ErrorInfo); ok {
			found = append(found, info)
		}
	}
	require.Len(tb, found, 1, "one ErrorInfo in %v", err)
	require.Equal(tb, "securesocket.v1", found[0].GetDomain())
	return found[0].GetReason(), found[0].GetMetadata()
}

func nameOf(r pb.ErrorReason) string { return strings.TrimPrefix(r.String(), "ERROR_REASON_") }

// caller is one stream, read by one goroutine of the test.
type caller struct {
	tb     testing.TB
	stream pb.SecureSocketService_AttachClient
	cancel context.CancelFunc

	attached *pb.Attached
	data     []byte
	events   []*pb.Event
	progress *pb.OutputProgress
	refused  []*pb.Refused
	detached *pb.Detached
	sent     int64
}

// start begins a stream with a first frame; its answer is not awaited.
func start(ctx context.Context, tb testing.TB, c pb.SecureSocketServiceClient, first *pb.AttachRequest) *caller {
	tb.Helper()
	return startFor(ctx, patience, tb, c, first)
}

// startFor is start for a stream that lasts as long as a whole test.
func startFor(ctx context.Context, atMost time.Duration, tb testing.TB, c pb.SecureSocketServiceClient, first *pb.AttachRequest) *caller {
	tb.Helper()
	ctx, cancel := context.WithTimeout(ctx, atMost)
	tb.Cleanup(cancel)
	stream, err := c.Attach(ctx)
	require.NoError(tb, err)
	if err := stream.Send(first); !errors.Is(err, io.EOF) { // refused already: Recv has the status
		require.NoError(tb, err)
	}
	return &caller{tb: tb, stream: stream, cancel: cancel}
}

func openFrame(m *pb.Open) *pb.AttachRequest {
	return &pb.AttachRequest{Frame: &pb.AttachRequest_Open{Open: m}}
}

func attachFrame(m *pb.AttachSession) *pb.AttachRequest {
	return &pb.AttachRequest{Frame: &pb.AttachRequest_Attach{Attach: m}}
}

func closeFrame(how pb.CloseSocket_How) *pb.AttachRequest {
	return &pb.AttachRequest{Frame: &pb.AttachRequest_Close{Close: &pb.CloseSocket{How: how}}}
}

// open opens a session to a test server whose CA is trusted.
func open(tb testing.TB, c pb.SecureSocketServiceClient, addr string, ca *tlstest.CA, change ...func(*pb.Open)) *caller {
	tb.Helper()
	host, port := hostPort(tb, addr)
	m := &pb.Open{Host: host, Port: port, AttachSeq: 1}
	if ca != nil {
		m.Certificates = []*pb.ExtraCertificate{{Certificate: ca.Root().DER(), Trusted: true}}
	}
	for _, f := range change {
		f(m)
	}
	k := start(tb.Context(), tb, c, openFrame(m))
	k.until(func() bool { return k.attached != nil })
	return k
}

// next takes one frame; false: the stream has ended, with err.
func (k *caller) next() (err error) {
	m, err := k.stream.Recv()
	if err != nil {
		return err
	}
	switch f := m.GetFrame().(type) {
	case *pb.AttachResponse_Attached:
		k.attached = f.Attached
	case *pb.AttachResponse_SocketData:
		require.EqualValues(k.tb, len(k.data), f.SocketData.GetOffset()-k.attached.GetSocketDataOffset(), "no gap and no double")
		k.data = append(k.data, f.SocketData.GetPayload()...)
	case *pb.AttachResponse_Event:
		k.events = append(k.events, f.Event)
	case *pb.AttachResponse_OutputProgress:
		k.progress = f.OutputProgress
	case *pb.AttachResponse_Refused:
		k.refused = append(k.refused, f.Refused)
	case *pb.AttachResponse_Detached:
		k.detached = f.Detached
	}
	return nil
}

// until takes frames until a condition holds.
func (k *caller) until(condition func() bool) {
	k.tb.Helper()
	for !condition() {
		require.NoError(k.tb, k.next(), "events so far: %v", k.kinds())
	}
}

// end takes frames until the stream ends and returns how: nil is OK.
func (k *caller) end() error {
	for {
		if err := k.next(); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
	}
}

// secure waits for secure_connected.
func (k *caller) secure() *pb.SecureConnected {
	k.tb.Helper()
	return k.event("secure_connected").GetSecureConnected()
}

// event waits for the first event of a kind.
func (k *caller) event(kind string) *pb.Event {
	k.tb.Helper()
	var found *pb.Event
	k.until(func() bool {
		for _, e := range k.events {
			if kindOf(e) == kind {
				found = e
			}
		}
		return found != nil
	})
	return found
}

func (k *caller) closed() *pb.Closed {
	k.tb.Helper()
	return k.event("closed").GetClosed()
}

func (k *caller) send(m *pb.AttachRequest) {
	k.tb.Helper()
	require.NoError(k.tb, k.stream.Send(m))
}

// write sends bytes at the next offset of generation 1.
func (k *caller) write(p []byte) {
	k.tb.Helper()
	for len(p) > 0 {
		n := min(len(p), 64<<10)
		k.send(&pb.AttachRequest{Frame: &pb.AttachRequest_Data{Data: &pb.Data{Offset: k.sent, Generation: 1, Payload: p[:n]}}})
		k.sent += int64(n)
		p = p[n:]
	}
}

func (k *caller) finish() {
	k.tb.Helper()
	k.send(&pb.AttachRequest{Frame: &pb.AttachRequest_Finish{Finish: &pb.Finish{Offset: k.sent, Generation: 1}}})
}

// kinds are the events so far, a state change with its new state.
func (k *caller) kinds() []string {
	var out []string
	for _, e := range k.events {
		out = append(out, kindOf(e))
	}
	return out
}

func kindOf(e *pb.Event) string {
	m := e.ProtoReflect()
	fd := m.WhichOneof(m.Descriptor().Oneofs().ByName("kind"))
	if s := e.GetStateChanged(); s != nil {
		return strings.TrimPrefix(s.GetNewState().String(), "STATE_")
	}
	return string(fd.Name())
}
