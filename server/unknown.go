package server

import (
	"fmt"
	"sync"

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
	if err := walkKnown(m.ProtoReflect()); err != nil {
		return err
	}
	return nil
}

// walkKnown returns a *session.FieldError, or nil.
func walkKnown(m protoreflect.Message) *session.FieldError {
	if unknown := m.GetUnknown(); len(unknown) > 0 {
		return &session.FieldError{Field: unknownNumber(unknown), Why: "is not known to this version of the service"}
	}
	for _, fd := range fieldsToCheck(m.Descriptor()) {
		if !m.Has(fd) {
			continue
		}
		v := m.Get(fd)
		if !fd.IsList() {
			if err := checkValue(fd, v); err != nil {
				err.Field = string(fd.Name()) + err.Field
				return err
			}
			continue
		}
		for i := range v.List().Len() {
			if err := checkValue(fd, v.List().Get(i)); err != nil {
				err.Field = fmt.Sprintf("%s[%d]%s", fd.Name(), i, err.Field)
				return err
			}
		}
	}
	return nil
}

// checkedFields has what fieldsToCheck found, by descriptor.
var checkedFields sync.Map

// fieldsToCheck are the fields in which there may be something unknown: messages and enums. No request has a map.
func fieldsToCheck(d protoreflect.MessageDescriptor) []protoreflect.FieldDescriptor {
	if found, ok := checkedFields.Load(d); ok {
		return found.([]protoreflect.FieldDescriptor) //nolint:forcetypeassert // the map holds nothing else
	}
	var all []protoreflect.FieldDescriptor
	for i := range d.Fields().Len() {
		switch fd := d.Fields().Get(i); fd.Kind() {
		case protoreflect.MessageKind, protoreflect.GroupKind, protoreflect.EnumKind:
			if !fd.IsMap() {
				all = append(all, fd)
			}
		}
	}
	checkedFields.Store(d, all)
	return all
}

// checkValue names the field in the error by what follows its own name.
func checkValue(fd protoreflect.FieldDescriptor, v protoreflect.Value) *session.FieldError {
	if fd.Kind() != protoreflect.EnumKind {
		err := walkKnown(v.Message())
		if err != nil {
			err.Field = "." + err.Field
		}
		return err
	}
	if fd.Enum().Values().ByNumber(v.Enum()) == nil {
		return &session.FieldError{Why: fmt.Sprintf("has the value %d, which is not known to this version of the service", v.Enum())}
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
