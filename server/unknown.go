package server

import (
	"fmt"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	pb "securesocket/gen/securesocket/v1"
	"securesocket/session"
)

// maxRequestBytes bounds every request but those of largeRequest.
const maxRequestBytes = 256 << 10

// largeRequest bounds the requests that carry bundles, and those that carry
// CRLs, as far as the RPC library takes them.
func largeRequest(m proto.Message) int {
	switch m.(type) {
	case *pb.AddCertificatesRequest, *pb.SetCertificatesRequest:
		return 2<<20 + 4<<10
	case *pb.ValidateChainRequest:
		return maxReceiveBytes
	}
	return maxRequestBytes
}

// maxPayloadBytes bounds the payload of a Data frame.
const maxPayloadBytes = 128 << 10

// checkKnown refuses a request with anything that this service does not know,
// at any depth: an unknown field or an unknown enum value. The error is a
// FieldError with the path.
func checkKnown(m proto.Message) error {
	if size, limit := proto.Size(m), largeRequest(m); size > limit {
		return &session.FieldError{Field: "request", Why: fmt.Sprintf("has %d bytes; at most %d are allowed", size, limit)}
	}
	return walkKnown(m.ProtoReflect(), "")
}

func walkKnown(m protoreflect.Message, path string) error {
	if unknown := m.GetUnknown(); len(unknown) > 0 {
		return &session.FieldError{Field: path + unknownNumber(unknown), Why: "is not known to this version of the service"}
	}
	var err error
	m.Range(func(fd protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		field := path + string(fd.Name())
		switch {
		case fd.IsMap(): // no request has one
		case fd.IsList():
			for i := range v.List().Len() {
				if err = checkValue(fd, v.List().Get(i), fmt.Sprintf("%s[%d]", field, i)); err != nil {
					return false
				}
			}
		default:
			err = checkValue(fd, v, field)
		}
		return err == nil
	})
	return err
}

func checkValue(fd protoreflect.FieldDescriptor, v protoreflect.Value, path string) error {
	switch fd.Kind() {
	case protoreflect.MessageKind, protoreflect.GroupKind:
		return walkKnown(v.Message(), path+".")
	case protoreflect.EnumKind:
		if fd.Enum().Values().ByNumber(v.Enum()) == nil {
			return &session.FieldError{Field: path, Why: fmt.Sprintf("has the value %d, which is not known to this version of the service", v.Enum())}
		}
	}
	return nil
}

// unknownNumber names the first unknown field by its number.
func unknownNumber(unknown protoreflect.RawFields) string {
	num, _, n := protowire.ConsumeTag(unknown)
	if n < 0 {
		return "?"
	}
	return fmt.Sprintf("#%d", num)
}

// checkFrame is checkKnown for a frame of a stream; data, the hot one, without
// reflection over its payload.
func checkFrame(m *pb.AttachRequest) error {
	if d, ok := m.GetFrame().(*pb.AttachRequest_Data); ok {
		if len(m.ProtoReflect().GetUnknown()) == 0 && len(d.Data.ProtoReflect().GetUnknown()) == 0 {
			return nil
		}
	}
	if m.GetFrame() == nil && len(m.ProtoReflect().GetUnknown()) == 0 {
		return &session.FieldError{Field: "frame", Why: "is empty"}
	}
	return checkKnown(m)
}
