package server

import (
	"context"

	pb "securesocket/gen/securesocket/v1"
	"securesocket/session"
)

// StartTls enters TLS on a plain connection.
func (s *service) StartTls(ctx context.Context, req *pb.StartTlsRequest) (*pb.StartTlsResponse, error) {
	if req.GetStartTls() == nil {
		return nil, &session.FieldError{Field: "start_tls", Why: "is required"}
	}
	args, r, err := startTLSOf(req.GetStartTls(), req.GetSessionId())
	if err != nil {
		return nil, err
	}
	sess, err := s.session(ctx, req.GetSessionId())
	if err != nil {
		return nil, err
	}
	attempt, err := sess.StartTLS(args, r, false)
	if err != nil {
		return nil, inSettings("settings.", err)
	}
	if err := attempt.Wait(ctx); err != nil {
		return nil, err
	}
	return &pb.StartTlsResponse{Session: toSession(sess.Snapshot())}, nil
}

// startTLSOf reads a StartTls. The request is the same whether it comes as a call
// or as a frame.
func startTLSOf(m *pb.StartTls, id string) (session.StartTLSArgs, session.Request, error) {
	args := session.StartTLSArgs{
		Role:          session.Role(m.GetRole()),
		ReceiveOffset: m.GetReceiveOffset(),
		SendOffset:    m.GetSendOffset(),
		Generation:    m.GetGeneration(),
	}
	if args.Role == 0 {
		return args, session.Request{}, &session.FieldError{Field: "start_tls.role", Why: "is required"}
	}
	for _, n := range []struct {
		field string
		value int64
	}{
		{"start_tls.receive_offset", args.ReceiveOffset},
		{"start_tls.send_offset", args.SendOffset},
		{"start_tls.generation", args.Generation},
	} {
		if err := checkOffset(n.field, n.value); err != nil {
			return args, session.Request{}, err
		}
	}
	req, err := requestOf(m.GetRequestId(), &pb.StartTlsRequest{SessionId: id, StartTls: m}, func(m *pb.StartTlsRequest) { m.StartTls.RequestId = "" })
	return args, req, err
}
