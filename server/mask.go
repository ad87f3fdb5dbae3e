package server

import (
	"fmt"
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	pb "securesocket/gen/securesocket/v1"
)

// maskError is an update_mask that cannot be followed.
type maskError struct{ why string }

func (e *maskError) Error() string { return "update_mask: " + e.why }

// mergeSettings changes what the mask names in have to what want has: a field
// that is absent there goes back to its default. Without a mask every field
// that is present in want is set.
func mergeSettings(have, want *pb.SessionSettings, mask *fieldmaskpb.FieldMask) error {
	if want == nil {
		want = &pb.SessionSettings{}
	}
	paths := mask.GetPaths()
	if len(paths) == 0 {
		mergePresent(have.ProtoReflect(), want.ProtoReflect())
		return nil
	}
	if len(paths) > maxPaths {
		return &maskError{fmt.Sprintf("has more than %d paths", maxPaths)}
	}
	if slices.Equal(paths, []string{"*"}) {
		proto.Reset(have)
		proto.Merge(have, want)
		return nil
	}
	for _, path := range paths {
		if !mergePath(have.ProtoReflect(), want.ProtoReflect(), strings.Split(path, ".")) {
			return &maskError{"names " + bounded(path) + ", which is not a field of the settings"}
		}
	}
	return nil
}

// maxPaths is more than the settings have fields.
const maxPaths = 64

// mergePresent sets every field that want has; lists are replaced, not joined.
func mergePresent(have, want protoreflect.Message) {
	want.Range(func(fd protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		if isSettings(fd) {
			mergePresent(have.Mutable(fd).Message(), v.Message())
		} else {
			have.Set(fd, v)
		}
		return true
	})
}

func mergePath(have, want protoreflect.Message, path []string) bool {
	fd := have.Descriptor().Fields().ByName(protoreflect.Name(path[0]))
	switch {
	case fd == nil:
		return false
	case len(path) > 1:
		return isSettings(fd) && mergePath(have.Mutable(fd).Message(), want.Get(fd).Message(), path[1:])
	case want.Has(fd):
		have.Set(fd, want.Get(fd))
	default:
		have.Clear(fd)
	}
	return true
}

// isSettings: a message of ours, whose fields are set one by one; a duration is
// one value.
func isSettings(fd protoreflect.FieldDescriptor) bool {
	return fd.Kind() == protoreflect.MessageKind && !fd.IsList() && fd.Message().ParentFile().Package() == "securesocket.v1"
}
