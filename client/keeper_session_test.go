package client_test

import (
	"crypto/rand"
	"errors"
	"fmt"
	"strconv"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"

	pb "securesocket/gen/securesocket/v1"
)

// kept is a session, under the keeper's lock.
type kept struct {
	id, request   string
	token         []byte
	seq           int64
	stream        int // counts streams; the last one counts
	out, in       []byte
	acked         int64
	cursor        int64
	events        []*pb.Event
	told, ackedTo int64 // events
	// What the caller has said at its last attach that it has: it may ack that, whatever is told again.
	has, hasEvent  int64
	finish         int64 // -1: not yet
	ended          bool
	asks           *pb.DecisionRequest
	decided        int
	reported       keptProgress
	stopAnswering  bool
	secureSent     bool
	remoteFinished bool
}

type keptProgress struct{ accepted, limit int64 }

// takeLocked finds or makes the session of a first frame, and gives it to a new stream.
func (k *keeper) takeLocked(first *pb.AttachRequest) (*kept, error) {
	var s *kept
	var seq int64
	if open := first.GetOpen(); open != nil {
		seq = open.GetAttachSeq()
		for _, other := range k.sessions {
			if other.request == open.GetRequestId() {
				s = other
			}
		}
		if s == nil {
			s = &kept{id: rand.Text(), request: open.GetRequestId(), token: []byte(rand.Text()), finish: -1}
			k.sessions[s.id] = s
			s.emit(&pb.Event{Kind: &pb.Event_HostFound{HostFound: &pb.HostFound{Addresses: []string{"192.0.2.1"}}}})
			if open.GetHost() != "asks.example" {
				s.secure()
			} else {
				s.asks = &pb.DecisionRequest{DecisionId: 7, Report: wrongName}
			}
			if !open.GetSettings().GetResumable() || open.GetRequestId() == "" {
				k.tb.Error("not a resumable open")
			}
		}
	} else {
		attach := first.GetAttach()
		seq = attach.GetAttachSeq()
		if s = k.sessions[attach.GetSessionId()]; s == nil {
			return nil, refusal(codes.NotFound, pb.ErrorReason_ERROR_REASON_SESSION_NOT_FOUND, nil)
		}
		switch {
		case string(attach.GetResumeToken()) != string(s.token):
			return nil, refusal(codes.PermissionDenied, pb.ErrorReason_ERROR_REASON_RESUME_TOKEN, nil)
		case seq <= s.seq:
		case attach.GetReceivedOffset() < s.acked || attach.GetReceivedOffset() > int64(len(s.out)),
			attach.GetReceivedEventSeq() > int64(len(s.events)):
			return nil, refusal(codes.OutOfRange, pb.ErrorReason_ERROR_REASON_OFFSET_MISMATCH, nil)
		default:
			s.cursor, s.told = attach.GetReceivedOffset(), attach.GetReceivedEventSeq()
			s.has, s.hasEvent = s.cursor, s.told
		}
	}
	if seq <= s.seq {
		return nil, refusal(codes.Aborted, pb.ErrorReason_ERROR_REASON_SUPERSEDED,
			map[string]string{"attach_seq": strconv.FormatInt(s.seq, 10)})
	}
	if first.GetOpen() != nil {
		s.cursor, s.told = s.acked, 0
	}
	s.told = max(s.told, s.ackedTo)
	s.seq = seq
	s.stream++
	k.moved.Broadcast()
	return s, nil
}

func (k *keeper) messageLocked(s *kept) *pb.Session {
	m := &pb.Session{
		SessionId: s.id, Generation: 1, State: pb.State_STATE_ENCRYPTED, Host: "example.com", Port: 443, AttachSeq: s.seq,
		Local: endpoint(nil), Remote: endpoint(nil), ReceivedBytes: int64(len(s.out)), SentBytes: int64(len(s.in)),
		Tls:               &pb.TlsState{Version: pb.ProtocolVersion_PROTOCOL_VERSION_TLS1_3, ServerName: "example.com"},
		CertificateStatus: pb.CertificateStatus_CERTIFICATE_STATUS_TRUSTED,
		EffectiveSettings: &pb.SessionSettings{Resumable: new(true), ReceiveBufferBytes: int32(k.window)},
	}
	if s.remoteFinished {
		m.ReadCause = pb.CloseCause_CLOSE_CAUSE_PEER_CLOSE_NOTIFY
	}
	if s.ended {
		m.State = pb.State_STATE_UNCONNECTED
		m.CloseCause, m.WriteCause = pb.CloseCause_CLOSE_CAUSE_LOCAL, pb.CloseCause_CLOSE_CAUSE_LOCAL
		if m.ReadCause == 0 {
			m.ReadCause = pb.CloseCause_CLOSE_CAUSE_LOCAL
		}
	}
	return m
}

func (s *kept) emit(event *pb.Event) {
	event.Seq, event.Generation, event.SocketDataOffset = int64(len(s.events)+1), 1, int64(len(s.out))
	s.events = append(s.events, event)
}

func (s *kept) secure() {
	s.secureSent = true
	s.emit(&pb.Event{Kind: &pb.Event_SecureConnected{SecureConnected: &pb.SecureConnected{
		Tls:        &pb.TlsState{Version: pb.ProtocolVersion_PROTOCOL_VERSION_TLS1_3, ServerName: "example.com"},
		Status:     pb.CertificateStatus_CERTIFICATE_STATUS_TRUSTED,
		TrustBasis: pb.CertificateReport_TRUST_BASIS_VALIDATED,
	}}})
}

// close ends the session's socket.
func (s *kept) close(cause pb.CloseCause) {
	if s.ended {
		return
	}
	s.ended = true
	s.emit(&pb.Event{Kind: &pb.Event_Closed{Closed: &pb.Closed{
		Cause: cause, ReadCause: cause, WriteCause: pb.CloseCause_CLOSE_CAUSE_LOCAL,
		ReceivedBytes: int64(len(s.out)), SentBytes: int64(len(s.in)),
	}}})
}

// finished is the peer's answer to a half-close: its own.
func (s *kept) finished() {
	s.remoteFinished = true
	s.emit(&pb.Event{Kind: &pb.Event_RemoteClosed{RemoteClosed: &pb.RemoteClosed{
		Cause: pb.CloseCause_CLOSE_CAUSE_PEER_CLOSE_NOTIFY, FinalOffset: int64(len(s.out)),
	}}})
	s.close(pb.CloseCause_CLOSE_CAUSE_PEER_CLOSE_NOTIFY)
}

func (k *keeper) obeyLocked(s *kept, request *pb.AttachRequest) error {
	have := int64(len(s.in))
	switch frame := request.GetFrame().(type) {
	case *pb.AttachRequest_Data:
		data := frame.Data
		end := data.GetOffset() + int64(len(data.GetPayload()))
		switch {
		case s.ended || end <= have && len(data.GetPayload()) > 0:
			return nil
		case data.GetOffset() > have:
			return fmt.Errorf("a gap: data at %d, expected %d", data.GetOffset(), have)
		case end > s.reported.limit:
			return fmt.Errorf("data up to %d, beyond send_limit %d", end, s.reported.limit)
		case len(data.GetPayload()) == 0:
			return errors.New("data without a payload")
		case data.GetGeneration() != 1:
			return errors.New("another generation")
		}
		fresh := data.GetPayload()[have-data.GetOffset():]
		s.in = append(s.in, fresh...)
		s.out = append(s.out, fresh...)
		if s.finish == int64(len(s.in)) {
			s.finished()
		}
	case *pb.AttachRequest_Ack:
		ack := frame.Ack
		k.acks = append(k.acks, ack)
		if ack.GetReceivedOffset() > max(s.cursor, s.has) || ack.GetEventSeq() > max(s.told, s.hasEvent) || ack.GetGeneration() != 1 {
			return fmt.Errorf("an ack of what was never sent: %v, sent %d and %d", ack, s.cursor, s.told)
		}
		s.acked, s.ackedTo = max(s.acked, ack.GetReceivedOffset()), max(s.ackedTo, ack.GetEventSeq())
	case *pb.AttachRequest_Finish:
		if s.finish < 0 && !s.ended {
			s.finish = frame.Finish.GetOffset()
			if s.finish != have {
				return fmt.Errorf("finish at %d, have %d", s.finish, have)
			}
			s.finished()
		}
	case *pb.AttachRequest_Decision:
		s.decided++
		if !s.secureSent && !s.stopAnswering {
			s.secure()
		}
	case *pb.AttachRequest_Close:
		s.close(pb.CloseCause_CLOSE_CAUSE_LOCAL)
	default:
		return fmt.Errorf("unexpected frame %v", request)
	}
	return nil
}

func (k *keeper) nextLocked(s *kept) *pb.AttachResponse {
	limit := min(int64(len(s.out)), s.acked+k.window, s.cursor+int64(k.chunk))
	if s.told < int64(len(s.events)) {
		event := s.events[s.told]
		if event.GetSocketDataOffset() <= s.cursor {
			s.told++
			return &pb.AttachResponse{Frame: &pb.AttachResponse_Event{Event: proto.CloneOf(event)}}
		}
		limit = min(limit, event.GetSocketDataOffset())
	}
	if now := (keptProgress{int64(len(s.in)), int64(len(s.in)) + k.window}); now.accepted > s.reported.accepted {
		s.reported = now
		return &pb.AttachResponse{Frame: &pb.AttachResponse_OutputProgress{OutputProgress: &pb.OutputProgress{
			AcceptedOffset: now.accepted, WrittenOffset: now.accepted, SendLimit: now.limit, Generation: 1,
		}}}
	}
	if limit <= s.cursor {
		return nil
	}
	data := &pb.Data{Offset: s.cursor, Generation: 1, Payload: s.out[s.cursor:limit]}
	s.cursor = limit
	return &pb.AttachResponse{Frame: &pb.AttachResponse_SocketData{SocketData: data}}
}
