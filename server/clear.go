package server

import (
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
)

// clearSecrets overwrites what the contract marks as secret (debug_redact) in a message of ours, at any depth: keys and
// tokens, which are bytes. Passphrases and passwords are strings, which nobody can clear. Nothing that was made from the
// message refers to these bytes.
func clearSecrets(m proto.Message) { clearIn(m.ProtoReflect()) }

func clearIn(m protoreflect.Message) {
	m.Range(func(fd protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		switch {
		case fd.IsMap():
		case fd.Kind() == protoreflect.MessageKind && fd.IsList():
			for i := range v.List().Len() {
				clearIn(v.List().Get(i).Message())
			}
		case fd.Kind() == protoreflect.MessageKind:
			clearIn(v.Message())
		case fd.Kind() == protoreflect.BytesKind && !fd.IsList() && isSecret(fd):
			clear(v.Bytes())
		}
		return true
	})
}

func isSecret(fd protoreflect.FieldDescriptor) bool {
	options, ok := fd.Options().(*descriptorpb.FieldOptions)
	return ok && options.GetDebugRedact()
}

// decoding has decode read a message in one piece, and overwrites it afterwards where it lay: it may have a key in it, and
// the buffers go back to a pool. Nobody else refers to these bytes: they came for this message alone.
func decoding(wire mem.BufferSlice, decode func(mem.BufferSlice) error) error {
	whole := wire
	if len(wire) > 1 { // or gRPC would copy it into a buffer of its own pool
		whole = mem.BufferSlice{mem.SliceBuffer(wire.Materialize())}
		defer clearBuffers(whole)
	}
	defer clearBuffers(wire)
	return decode(whole)
}

func clearBuffers(buffers mem.BufferSlice) {
	for _, b := range buffers {
		clear(b.ReadOnlyData())
	}
}
