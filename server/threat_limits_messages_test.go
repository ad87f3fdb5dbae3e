package server_test

import (
	"bytes"
	"context"
	"net"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protowire"

	pb "securesocket/gen/securesocket/v1"
	"securesocket/server/servertest"
	"securesocket/server/servertest/h2attack"
)

// wireBytes sends a message as it is.
type wireBytes struct{}

func (wireBytes) Marshal(v any) ([]byte, error)   { return *v.(*[]byte), nil }
func (wireBytes) Unmarshal(b []byte, v any) error { *v.(*[]byte) = bytes.Clone(b); return nil }
func (wireBytes) Name() string                    { return "proto" }

// TestThreat40CompressedMessages: no compressor is registered, so that nothing is ever
// unpacked.
func TestThreat40CompressedMessages(t *testing.T) {
	t.Parallel()
	svc := servertest.Start(t)
	for _, method := range append(methodsOf, pb.SecureSocketService_Attach_FullMethodName) {
		r, err := h2attack.GzipMessage(t.Context(), func() (net.Conn, error) { return svc.DialContext(t.Context(), "") }, h2attack.Options{Path: method})
		require.NoError(t, err)
		require.Equal(t, map[string]int{"12": 1}, r.Responses, "%s: UNIMPLEMENTED", method)
	}
}

// methodsOf are those that read most of a request.
var methodsOf = []string{
	pb.SecureSocketService_CreateSession_FullMethodName, pb.SecureSocketService_UpdateSession_FullMethodName,
	pb.SecureSocketService_Connect_FullMethodName, pb.SecureSocketService_AddCertificate_FullMethodName,
	pb.ListenerService_Listen_FullMethodName, pb.TrustService_UpdateDefaults_FullMethodName,
	pb.DiagnosticService_Probe_FullMethodName, pb.SecureSocketService_Write_FullMethodName,
}

// invoke calls a method with bytes, whatever they are.
func invoke(ctx context.Context, cc *grpc.ClientConn, method string, message []byte) error {
	var answer []byte
	return cc.Invoke(ctx, method, &message, &answer, grpc.ForceCodec(wireBytes{}), grpc.MaxCallSendMsgSize(64<<20))
}

// nested is a message in a message, so many times, in field number.
func nested(depth int, number protowire.Number) []byte {
	var open, end []byte
	for range depth { // of groups: their end needs no length
		open = protowire.AppendTag(open, number, protowire.StartGroupType)
		end = protowire.AppendTag(end, number, protowire.EndGroupType)
	}
	return append(open, end...)
}

// TestThreat41Messages has messages that are too large, too deep, or not known, at every
// place that reads one: each is refused, and the next caller is served.
func TestThreat41Messages(t *testing.T) {
	t.Parallel()
	svc := servertest.Start(t)
	cc := svc.Dial(t)
	n := newNeighbour(t, svc.Client(t))
	settings := func(p []byte) []byte { // in a message's settings
		return protowire.AppendBytes(protowire.AppendTag(nil, 1, protowire.BytesType), p)
	}
	unknown := func(p []byte) []byte {
		return protowire.AppendBytes(protowire.AppendTag(nil, 500, protowire.BytesType), p)
	}
	for name, tc := range map[string]struct {
		message []byte
		codes   []codes.Code
	}{
		"giant":                   {make([]byte, 5<<20), []codes.Code{codes.ResourceExhausted}},
		"larger than a request":   {unknown(make([]byte, 3<<20)), []codes.Code{codes.InvalidArgument}},
		"unknown field":           {unknown([]byte("x")), []codes.Code{codes.InvalidArgument}},
		"unknown field, inside":   {settings(unknown([]byte("x"))), []codes.Code{codes.InvalidArgument, codes.Internal}},
		"unknown groups, 5,000":   {nested(5_000, 500), []codes.Code{codes.InvalidArgument}},
		"unknown groups, 100,000": {nested(100_000, 500), []codes.Code{codes.InvalidArgument, codes.Internal}},
		"a group without an end":  {protowire.AppendTag(nil, 500, protowire.StartGroupType), []codes.Code{codes.Internal, codes.InvalidArgument}},
		"an endless number":       {bytes.Repeat([]byte{0xff}, 1000), []codes.Code{codes.Internal, codes.InvalidArgument}},
		"100,000 unknown fields":  {bytes.Repeat(unknown(nil), 80_000), []codes.Code{codes.InvalidArgument}},
	} {
		t.Run(name, func(t *testing.T) { //nolint:paralleltest // the neighbour is asked after all of them
			for _, method := range methodsOf {
				err := invoke(t.Context(), cc, method, tc.message)
				require.Contains(t, tc.codes, status.Code(err), "%s: %v", method, err)
				if status.Code(err) == codes.InvalidArgument {
					require.Equal(t, "INVALID_FIELD", reasonOf(t, err))
				}
				require.Less(t, len(err.Error()), 4<<10)
			}
		})
	}
	n.talks()
}

// FuzzThreat41Messages sends any bytes to any method: the service answers, and lives.
func FuzzThreat41Messages(f *testing.F) {
	svc := servertest.Start(f, servertest.AllowEgress(f), servertest.AllowListening(f))
	cc := svc.Dial(f)
	for i := range methodsOf {
		f.Add(uint8(i), []byte(nil))
		f.Add(uint8(i), nested(3, 1))
		f.Add(uint8(i), []byte("\x0a\x02\x08\x01\x12\x01x"))
	}
	f.Fuzz(func(t *testing.T, method uint8, message []byte) {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		err := invoke(ctx, cc, methodsOf[int(method)%len(methodsOf)], message)
		require.NotContains(t, []codes.Code{codes.Unknown, codes.Unavailable, codes.DeadlineExceeded}, status.Code(err), "%v", err)
		_, err = pb.NewSecureSocketServiceClient(cc).GetCapabilities(ctx, &pb.GetCapabilitiesRequest{})
		require.NoError(t, err)
		list, err := pb.NewSecureSocketServiceClient(cc).ListSessions(ctx, &pb.ListSessionsRequest{PageSize: 100})
		require.NoError(t, err)
		for _, s := range list.GetSessions() { // what a message made
			_, err := pb.NewSecureSocketServiceClient(cc).DeleteSession(ctx, &pb.DeleteSessionRequest{SessionId: s.GetSessionId()})
			require.NoError(t, err)
		}
	})
}
