package client

import (
	pb "securesocket/gen/securesocket/v1"
)

// Event is a lifecycle fact about a connection, with the contract's message in it: switch over the type of GetKind, or
// use the getters. The message is not changed afterwards and may be kept. Texts from certificates were chosen by the
// peer.
type Event struct {
	*pb.Event
}

// Name is the kind as the contract names it: "state_changed", "secure_connected", "closed". Kinds that this package does
// not know, which are never delivered, have the name "".
func (e Event) Name() string {
	field := e.ProtoReflect().WhichOneof(kindOneof)
	if field == nil {
		return ""
	}
	return string(field.Name())
}

// kindOneof is the oneof that says what happened.
var kindOneof = (*pb.Event)(nil).ProtoReflect().Descriptor().Oneofs().ByName("kind")
