package client

import (
	"context"
	"math"

	pb "securesocket/gen/securesocket/v1"
)

// ChannelBinding is a kind of channel binding.
type ChannelBinding = pb.ExportKeyingMaterialRequest_ChannelBinding

// The channel bindings that there are.
const (
	// TLSExporter is that of RFC 9266, 32 bytes.
	TLSExporter = pb.ExportKeyingMaterialRequest_CHANNEL_BINDING_TLS_EXPORTER
	// TLSServerEndPoint is a hash of the peer's certificate (RFC 5929, section 4).
	TLSServerEndPoint = pb.ExportKeyingMaterialRequest_CHANNEL_BINDING_TLS_SERVER_END_POINT
	// TLSUnique is the first Finished message (RFC 5929, section 3). TLS 1.3 has none.
	TLSUnique = pb.ExportKeyingMaterialRequest_CHANNEL_BINDING_TLS_UNIQUE
)

// ExportKeyingMaterial returns length bytes of keying material for label and context (RFC 5705, RFC 8446 section 7.5): at
// most 1,024 for a label of 1 to 255 bytes and a context of at most 255. Under TLS 1.2 a nil context differs from an
// empty one. The bytes are the caller's, and as secret as the connection. The error is an *Error: UNSUPPORTED where the
// connection has no exporter, SESSION_NOT_FOUND or SESSION_STATE once it has ended.
func (c *Conn) ExportKeyingMaterial(ctx context.Context, label string, context []byte, length int) ([]byte, error) {
	if length < 0 || length > math.MaxInt32 { // what fits the message is for the service to judge
		return nil, invalidField("length", "is out of range")
	}
	return c.export(ctx, &pb.ExportKeyingMaterialRequest{Label: label, Context: context, Length: int32(length)})
}

// ChannelBinding returns the data of a channel binding, as SCRAM and others want it. The error is an *Error: UNSUPPORTED
// where the connection has none of that kind, SESSION_NOT_FOUND or SESSION_STATE once it has ended.
func (c *Conn) ChannelBinding(ctx context.Context, kind ChannelBinding) ([]byte, error) {
	if kind == pb.ExportKeyingMaterialRequest_CHANNEL_BINDING_UNSPECIFIED {
		return nil, invalidField("kind", "is missing")
	}
	return c.export(ctx, &pb.ExportKeyingMaterialRequest{ChannelBinding: kind})
}

func (c *Conn) export(ctx context.Context, request *pb.ExportKeyingMaterialRequest) ([]byte, error) {
	request.SessionId, request.Generation = c.facts.sessionID, c.write.generation
	answer, err := call(ctx, c.service.ExportKeyingMaterial, request)
	return answer.GetMaterial(), err
}
