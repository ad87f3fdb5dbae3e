package server

import (
	"context"

	"google.golang.org/grpc"

	pb "securesocket/gen/securesocket/v1"
	"securesocket/session"
)

// Write takes bytes from a caller without a stream.
func (s *service) Write(ctx context.Context, req *pb.WriteRequest) (*pb.WriteResponse, error) {
	if err := checkPosition("", req.GetOffset(), req.GetGeneration()); err != nil {
		return nil, err
	}
	switch n := len(req.GetPayload()); {
	case n == 0 && !req.GetFinish():
		return nil, &session.FieldError{Field: "payload", Why: "is empty, without finish"}
	case n > maxPayloadBytes:
		return nil, &session.FieldError{Field: "payload", Why: "has more than 128 KiB"}
	}
	sess, err := s.session(ctx, req.GetSessionId())
	if err != nil {
		return nil, err
	}
	p, err := sess.Write(ctx, req.GetGeneration(), req.GetOffset(), req.GetPayload(), req.GetFinish())
	if err != nil {
		return nil, err
	}
	return &pb.WriteResponse{Progress: &pb.OutputProgress{
		AcceptedOffset: p.Accepted, WrittenOffset: p.Written, SendLimit: min(p.SendLimit, maxOffset), Generation: p.Generation,
	}}, nil
}

// Read sends a caller without a stream what came from the peer, and events.
func (s *service) Read(req *pb.ReadRequest, stream grpc.ServerStreamingServer[pb.ReadResponse]) error {
	if err := checkKnown(req); err != nil {
		return err
	}
	if err := checkPosition("", req.GetOffset(), req.GetGeneration()); err != nil {
		return err
	}
	if err := checkOffset("event_seq", req.GetEventSeq()); err != nil {
		return err
	}
	sess, err := s.session(stream.Context(), req.GetSessionId())
	if err != nil {
		return err
	}
	args := session.ReadArgs{Generation: req.GetGeneration(), Offset: req.GetOffset(), EventSeq: req.GetEventSeq(), Wait: req.GetWait()}
	return sess.Read(stream.Context(), args, func(out session.Outgoing) error { return stream.Send(toReadResponse(out)) })
}

func toReadResponse(out session.Outgoing) *pb.ReadResponse {
	switch {
	case out.Event != nil:
		return &pb.ReadResponse{Frame: &pb.ReadResponse_Event{Event: toEvent(out.Event)}}
	case out.Question != nil:
		return &pb.ReadResponse{Frame: &pb.ReadResponse_DecisionRequest{DecisionRequest: toDecisionRequest(out.Question)}}
	}
	return &pb.ReadResponse{Frame: &pb.ReadResponse_SocketData{SocketData: &pb.Data{
		Offset: out.Data.Offset, Generation: out.Data.Generation, Payload: out.Data.Bytes,
	}}}
}
