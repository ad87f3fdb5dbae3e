package server

import (
	"context"
	"errors"
	"io"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"

	pb "securesocket/gen/securesocket/v1"
	"securesocket/session"
)

// pump moves frames between a stream and the attachment that holds the
// session.
type pump struct {
	stream attachStream
	att    *session.Attachment
	id     string // of the session
}

// send sends what the session has to say. nil: nothing is left now.
func (p *pump) send() error {
	for {
		out, ok, err := p.att.Next()
		if err != nil {
			p.detached(err)
			return err
		}
		if !ok {
			return nil
		}
		if err := p.stream.SendMsg(toFrame(out)); err != nil {
			return err
		}
	}
}

// detached tells the caller why the stream ends, where that is worth a frame.
func (p *pump) detached(err error) {
	var se *session.SupersededError
	var de *session.DrainingError
	if errors.As(err, &se) || errors.As(err, &de) {
		_ = p.stream.Send(&pb.AttachResponse{Frame: &pb.AttachResponse_Detached{Detached: &pb.Detached{Failure: toFailure(err)}}})
	}
}

// superseded gives the sender a moment to tell, and ends the stream.
func (p *pump) superseded(sent <-chan error) error {
	timer := time.NewTimer(detachedTimeout)
	defer timer.Stop()
	select {
	case err := <-sent:
		return endOfStream(err)
	case <-timer.C:
		return p.att.Superseded()
	}
}

// toFrame returns an outFrame or a shortFrame for what moves bytes, and a
// pb.AttachResponse for the rest.
func toFrame(out session.Outgoing) any {
	switch {
	case len(out.Data.Bytes) > 0:
		return socketData(out.Data)
	case out.Progress != nil:
		return outputProgress(out.Progress)
	case out.Event != nil:
		return &pb.AttachResponse{Frame: &pb.AttachResponse_Event{Event: toEvent(out.Event)}}
	case out.Question != nil:
		return &pb.AttachResponse{Frame: &pb.AttachResponse_DecisionRequest{DecisionRequest: toDecisionRequest(out.Question)}}
	case out.Sign != nil:
		m := &pb.SignRequest{
			SignId: out.Sign.ID, SignatureScheme: int32(out.Sign.Scheme), Input: out.Sign.Input, Prehashed: out.Sign.Hashed,
			SpkiSha256: out.Sign.SPKI[:], DeadlineTime: timestamppb.New(out.Sign.Deadline),
		}
		return &pb.AttachResponse{Frame: &pb.AttachResponse_SignRequest{SignRequest: m}}
	}
	return &pb.AttachResponse{Frame: &pb.AttachResponse_Refused{Refused: &pb.Refused{
		FrameNumber: out.Refusal.Frame, Failure: toFailure(out.Refusal.Err),
	}}}
}

func toDecisionRequest(q *session.Question) *pb.DecisionRequest {
	return &pb.DecisionRequest{DecisionId: q.ID, Report: toReport(q.Report), DeadlineTime: timestamppb.New(q.Deadline)}
}

// receive obeys the caller's frames. nil: CloseSend. Any other error ends the
// stream.
func (p *pump) receive(ctx context.Context) error {
	var m inFrame
	for frame := int64(2); ; frame++ {
		err := p.stream.RecvMsg(&m)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return undecodable(frame, err)
		}
		if m.request != nil {
			if err := checkFrame(m.request); err != nil {
				return &grammarError{frame, err.Error()}
			}
			err = p.obey(ctx, frame, m.request)
		} else {
			err = p.bytes(ctx, &m)
		}
		m = inFrame{} // nothing is held while the caller is silent
		if err != nil {
			if fatal(err) {
				return err
			}
			p.att.Refuse(ctx, frame, err)
		}
	}
}

// undecodable turns the error of a frame that is no AttachRequest into a
// grammarError, for which the connection is kept and no defect is logged. The
// RPC library has told the caller its own status by then.
func undecodable(frame int64, err error) error {
	switch status.Code(err) {
	case codes.Internal:
		return &grammarError{frame, "it cannot be decoded"}
	case codes.ResourceExhausted:
		return &grammarError{frame, "it is larger than 4 MiB"}
	}
	return err
}

// maxSignError bounds what a caller says of a signature that he does not give.
const maxSignError = 256

// fatal errors end the stream; any other is a refusal.
func fatal(err error) bool {
	return errors.As(err, new(*grammarError)) || errors.As(err, new(*session.SupersededError)) || errors.As(err, new(*session.GapError)) || errors.As(err, new(*session.WindowError)) ||
		errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}

func (p *pump) obey(ctx context.Context, frame int64, m *pb.AttachRequest) error {
	switch f := m.GetFrame().(type) {
	case *pb.AttachRequest_Data:
		return p.data(ctx, f.Data)
	case *pb.AttachRequest_Ack:
		for _, n := range []struct {
			field string
			value int64
		}{
			{"ack.received_offset", f.Ack.GetReceivedOffset()},
			{"ack.event_seq", f.Ack.GetEventSeq()},
			{"ack.generation", f.Ack.GetGeneration()},
		} {
			if err := checkOffset(n.field, n.value); err != nil {
				return err
			}
		}
		return p.att.Ack(f.Ack.GetGeneration(), f.Ack.GetReceivedOffset(), f.Ack.GetEventSeq())
	case *pb.AttachRequest_Finish:
		if err := checkPosition("finish.", f.Finish.GetOffset(), f.Finish.GetGeneration()); err != nil {
			return err
		}
		return p.att.Finish(f.Finish.GetGeneration(), f.Finish.GetOffset())
	case *pb.AttachRequest_StartTls:
		args, req, err := startTLSOf(f.StartTls, p.id)
		if err != nil {
			p.att.Mistrust()
			return err
		}
		return inSettings("settings.", p.att.StartTLS(args, req))
	case *pb.AttachRequest_Close:
		how, offset, err := closeOf(f.Close)
		if err != nil {
			return err
		}
		return p.att.CloseSocket(how, offset, f.Close.GetGeneration())
	case *pb.AttachRequest_Decision:
		d, err := decisionOf("decision", f.Decision)
		if err != nil {
			return err
		}
		return p.att.Decide(d)
	case *pb.AttachRequest_Signature:
		return p.att.Sign(f.Signature.GetSignId(), f.Signature.GetSignature(), f.Signature.GetError()[:min(len(f.Signature.GetError()), maxSignError)])
	case *pb.AttachRequest_Open, *pb.AttachRequest_Attach:
		return &grammarError{frame, "open and attach come first and once"}
	}
	return &grammarError{frame, "the frame is not known to this version of the service"}
}

// bytes obeys a data frame in its usual form.
func (p *pump) bytes(ctx context.Context, m *inFrame) error {
	defer m.payload.Release()
	if err := checkPosition("data.", m.offset, m.generation); err != nil {
		return err
	}
	return p.att.Write(ctx, m.generation, m.offset, m.payload.pieces...)
}

// data obeys a data frame in any other form.
func (p *pump) data(ctx context.Context, d *pb.Data) error {
	if err := checkPosition("data.", d.GetOffset(), d.GetGeneration()); err != nil {
		return err
	}
	switch n := len(d.GetPayload()); {
	case n == 0:
		return &session.FieldError{Field: "data.payload", Why: "is empty"}
	case n > maxPayloadBytes:
		return errPayloadSize
	}
	return p.att.Write(ctx, d.GetGeneration(), d.GetOffset(), d.GetPayload())
}

var errPayloadSize = &session.FieldError{Field: "data.payload", Why: "has more than 128 KiB"}

// checkPosition checks the fields offset and generation of what path leads to.
func checkPosition(path string, offset, generation int64) error {
	if uint64(offset) <= maxOffset && uint64(generation) <= maxOffset {
		return nil // most are: no names for nothing
	}
	if err := checkOffset(path+"offset", offset); err != nil {
		return err
	}
	return checkOffset(path+"generation", generation)
}
