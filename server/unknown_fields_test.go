package server_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	pb "securesocket/gen/securesocket/v1"
	"securesocket/server/servertest"
)

// withUnknown adds a field that no version of the contract has.
func withUnknown[M proto.Message](m M) M {
	m.ProtoReflect().SetUnknown(protowire.AppendVarint(protowire.AppendTag(nil, 9999, protowire.VarintType), 1))
	return m
}

func TestUnknownFieldsOfRequests(t *testing.T) {
	t.Parallel()
	addr, ca := echoServer(t)
	c := servertest.Start(t).Client(t)
	s := newIdle(t.Context(), t, c, ca)
	for _, tc := range []struct {
		field string
		call  func(context.Context) error
	}{
		{"#9999", func(ctx context.Context) error {
			_, err := c.GetCapabilities(ctx, withUnknown(&pb.GetCapabilitiesRequest{}))
			return err
		}},
		{"#9999", func(ctx context.Context) error {
			_, err := c.DeleteSession(ctx, withUnknown(&pb.DeleteSessionRequest{SessionId: s.id}))
			return err
		}},
		{"settings.tls.#9999", func(ctx context.Context) error {
			_, err := c.CreateSession(ctx, &pb.CreateSessionRequest{Settings: &pb.SessionSettings{Tls: withUnknown(&pb.TlsSettings{})}})
			return err
		}},
		{"settings.idle_timeout.#9999", func(ctx context.Context) error {
			m := &pb.SessionSettings{IdleTimeout: withUnknown(durationpb.New(time.Second))}
			_, err := c.UpdateSession(ctx, &pb.UpdateSessionRequest{SessionId: s.id, Settings: m})
			return err
		}},
		{"settings.idle_timeout", func(ctx context.Context) error {
			_, err := c.CreateSession(ctx, &pb.CreateSessionRequest{Settings: &pb.SessionSettings{IdleTimeout: durationpb.New(-1)}})
			return err
		}},
		{"settings.connect_timeout", func(ctx context.Context) error {
			m := &pb.SessionSettings{ConnectTimeout: &durationpb.Duration{Seconds: 1, Nanos: -1}}
			_, err := c.UpdateSession(ctx, &pb.UpdateSessionRequest{SessionId: s.id, Settings: m})
			return err
		}},
		{"update_mask", func(ctx context.Context) error {
			mask := &fieldmaskpb.FieldMask{Paths: []string{"nothing"}}
			_, err := c.UpdateSession(ctx, &pb.UpdateSessionRequest{SessionId: s.id, UpdateMask: mask})
			return err
		}},
		{"close.how", func(ctx context.Context) error {
			_, err := c.Close(ctx, &pb.CloseRequest{SessionId: s.id, Close: &pb.CloseSocket{How: 99}})
			return err
		}},
		{"condition", func(ctx context.Context) error {
			_, err := c.Wait(ctx, &pb.WaitRequest{SessionId: s.id, Condition: 99})
			return err
		}},
		{"request", func(ctx context.Context) error { // more than 256 KiB
			_, err := c.AddCertificate(ctx, &pb.AddCertificateRequest{SessionId: s.id, Certificate: make([]byte, 256<<10+1)})
			return err
		}},
	} {
		err := tc.call(t.Context())
		require.Equal(t, codes.InvalidArgument, status.Code(err), tc.field)
		reason, metadata := infoOf(t, err)
		require.Equal(t, "INVALID_FIELD", reason)
		require.Equal(t, tc.field, metadata["field"])
	}
	stillWorks(t.Context(), t, c, s, addr)
}
