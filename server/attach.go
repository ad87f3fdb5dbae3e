package server

import (
	"errors"
	"fmt"
	"io"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/durationpb"

	pb "securesocket/gen/securesocket/v1"
	"securesocket/session"
	"securesocket/tlsengine/truststore"
)

type attachStream = grpc.BidiStreamingServer[pb.AttachRequest, pb.AttachResponse]

// Times that bound a stream whose caller does nothing.
const (
	firstFrameTimeout = 10 * time.Second       // to say what the stream is for
	detachedTimeout   = 250 * time.Millisecond // to take the `detached` frame
)

// grammarError ends a stream whose frames break the grammar.
type grammarError struct {
	frame int64
	why   string
}

func (e *grammarError) Error() string { return fmt.Sprintf("frame %d: %s", e.frame, e.why) }

// Attach is the handler of a stream. It waits for the end; receiving and
// sending are goroutines of their own, because either may be blocked by the
// caller while the other ends the stream. The sender is there while there is
// something to send.
func (s *service) Attach(stream attachStream) error {
	ctx := stream.Context()
	att, err := s.begin(stream)
	if err != nil {
		return err
	}
	p := &pump{stream: stream, att: att, id: att.SessionID()}
	sent := make(chan error, 1)
	received := make(chan error, 1)
	log := s.registry.Config().Logger
	att.Start(func() (goesOn bool) {
		err := session.Guard(log, p.send)
		if err != nil {
			sent <- err
		}
		return err == nil
	})
	go func() { received <- session.Guard(log, func() error { return p.receive(ctx) }) }()
	for {
		select {
		case err := <-sent:
			att.Detach(keeps(err))
			return endOfStream(err)
		case err := <-received:
			if err == nil {
				if att.CloseSend() {
					return nil
				}
				received = nil // what is left is still sent
				continue
			}
			att.Detach(keeps(err))
			return err
		case <-att.Gone():
			return p.superseded(sent)
		case <-ctx.Done():
			err := ctx.Err()
			if received != nil { // it ends with ctx, and knows better
				err = <-received
			}
			att.Detach(keeps(err))
			return ctx.Err()
		}
	}
}

// keeps tells whether the connection outlives the stream: it does where the
// service ended the stream, not the caller or the network.
func keeps(err error) bool {
	return errors.As(err, new(*grammarError)) || errors.As(err, new(*session.GapError))
}

// endOfStream: io.EOF is the stream's regular end.
func endOfStream(err error) error {
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

// begin reads the first frame, takes the session and answers `attached`.
func (s *service) begin(stream attachStream) (*session.Attachment, error) {
	m, err := firstFrame(stream)
	if err != nil {
		return nil, err
	}
	defer clearSecrets(m)
	if err := checkFrame(m); err != nil {
		return nil, &grammarError{1, err.Error()}
	}
	switch f := m.GetFrame().(type) {
	case *pb.AttachRequest_Open:
		return s.open(stream, f.Open)
	case *pb.AttachRequest_Attach:
		return s.attach(stream, f.Attach)
	}
	return nil, &grammarError{1, "the first frame has to be open or attach"}
}

// firstFrame waits for the first frame, for a bounded time.
func firstFrame(stream attachStream) (*pb.AttachRequest, error) {
	type result struct {
		m   *pb.AttachRequest
		err error
	}
	got := make(chan result, 1)
	go func() {
		m, err := stream.Recv()
		got <- result{m, err}
	}()
	timer := time.NewTimer(firstFrameTimeout)
	defer timer.Stop()
	select {
	case r := <-got:
		if errors.Is(r.err, io.EOF) {
			return nil, &grammarError{1, "the stream has no frame"}
		}
		if r.err != nil {
			return nil, undecodable(1, r.err)
		}
		return r.m, nil
	case <-timer.C:
		return nil, &grammarError{1, "no frame came within 10 s"}
	}
}

// open creates a session, answers, and begins to connect; or, for a request_id
// that it knows, attaches.
func (s *service) open(stream attachStream, m *pb.Open) (*session.Attachment, error) {
	args, err := connectArgs(m)
	if err != nil {
		return nil, err
	}
	settings, err := s.fromSettings(stream.Context(), m.GetSettings(), nil)
	if err != nil {
		return nil, inSettings("open.settings.", err)
	}
	if err := checkOffset("open.attach_seq", m.GetAttachSeq()); err != nil {
		return nil, err
	}
	certs, err := extraCertificates("open.certificates", m.GetCertificates())
	if err != nil {
		return nil, err
	}
	req, err := requestOf(m.GetRequestId(), m, func(m *pb.Open) { m.RequestId, m.AttachSeq = "", 0 })
	if err != nil {
		return nil, err
	}
	sess, created, _, err := s.registry.Create(principalOf(stream.Context()), settings, !m.GetKeepSession(), req)
	if err != nil {
		return nil, inSettings("open.settings.", err)
	}
	if !created {
		return s.take(stream, sess, session.AttachArgs{Seq: m.GetAttachSeq(), Trusted: true})
	}
	for _, c := range certs {
		if err := sess.AddCertificate(c.Cert, c.Trusted); err != nil {
			sess.Abandon(req, err)
			return nil, err
		}
	}
	// A limit is told instead of `attached`.
	permit, err := sess.Admit(args)
	if err != nil {
		sess.Abandon(req, err)
		return nil, err
	}
	att, err := s.take(stream, sess, session.AttachArgs{Seq: m.GetAttachSeq(), Trusted: true})
	if errors.As(err, new(*session.OffsetError)) || errors.As(err, new(*session.LimitError)) {
		permit.End()
		sess.Abandon(req, err)
		return nil, err
	}
	// Where this stream has failed otherwise, a retry holds the session, or may come for it.
	if failed := sess.BeginAdmitted(args, permit); failed != nil {
		sess.Abandon(req, failed)
		if err == nil {
			att.Detach(false)
			err = failed
		}
		return nil, err
	}
	if err != nil {
		sess.Unclaimed()
	}
	return att, err
}

func (s *service) attach(stream attachStream, m *pb.AttachSession) (*session.Attachment, error) {
	for _, f := range []struct {
		field string
		value int64
	}{
		{"attach.attach_seq", m.GetAttachSeq()},
		{"attach.received_offset", m.GetReceivedOffset()},
		{"attach.received_event_seq", m.GetReceivedEventSeq()},
		{"attach.generation", m.GetGeneration()},
	} {
		if err := checkOffset(f.field, f.value); err != nil {
			return nil, err
		}
	}
	sess, err := s.session(stream.Context(), m.GetSessionId())
	if err != nil {
		return nil, err
	}
	return s.take(stream, sess, session.AttachArgs{
		Token:      m.GetResumeToken(),
		Seq:        m.GetAttachSeq(),
		Offset:     m.GetReceivedOffset(),
		Generation: m.GetGeneration(),
		EventSeq:   m.GetReceivedEventSeq(),
	})
}

// take attaches and answers.
func (s *service) take(stream attachStream, sess *session.Session, args session.AttachArgs) (*session.Attachment, error) {
	att, a, err := sess.Attach(args)
	if err != nil {
		return nil, err
	}
	err = stream.Send(&pb.AttachResponse{Frame: &pb.AttachResponse_Attached{Attached: &pb.Attached{
		Session:          toSession(a.Snapshot),
		ResumeToken:      sess.Token(),
		AcceptedOffset:   a.Accepted,
		SocketDataOffset: a.Offset,
		DetachGrace:      durationpb.New(a.Grace),
		SendLimit:        min(a.SendLimit, maxOffset),
	}}})
	if err != nil {
		att.Detach(false)
		return nil, err
	}
	return att, nil
}

func extraCertificates(field string, in []*pb.ExtraCertificate) ([]truststore.Entry, error) {
	out := make([]truststore.Entry, 0, len(in))
	for i, c := range in {
		cert, err := session.ParseCertificate(c.GetCertificate())
		if ce, ok := errors.AsType[*session.CertificateInputError](err); ok {
			return nil, &session.CertificateInputError{Why: fmt.Sprintf("%s[%d]: %s", field, i, ce.Why)}
		}
		if err != nil {
			return nil, err
		}
		out = append(out, truststore.Entry{Cert: cert, Trusted: c.GetTrusted()})
	}
	return out, nil
}
