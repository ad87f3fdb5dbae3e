package server_test

import (
	"bytes"

	pb "securesocket/gen/securesocket/v1"
)

// take takes one frame and judges it.
func (r *resumer) take(m *pb.AttachResponse) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	defer r.moved.Broadcast()
	a := m.GetAttached()
	if (a != nil) != r.attaching {
		return faultf("attached comes first and once, not %v", m)
	}
	switch f := m.GetFrame().(type) {
	case *pb.AttachResponse_Attached:
		return r.takeAttached(a)
	case *pb.AttachResponse_SocketData:
		return r.takeData(f.SocketData)
	case *pb.AttachResponse_OutputProgress:
		return r.takeProgress(f.OutputProgress)
	case *pb.AttachResponse_Event:
		return r.takeEvent(f.Event)
	case *pb.AttachResponse_Refused:
		r.refused = append(r.refused, f.Refused)
	default:
		return faultf("unexpected %v", m)
	}
	return nil
}

func (r *resumer) takeAttached(a *pb.Attached) error {
	s := a.GetSession()
	switch {
	case r.id != "" && r.id != s.GetSessionId():
		return faultf("another session")
	case r.id != "" && !bytes.Equal(r.token, a.GetResumeToken()):
		return faultf("another resume_token")
	case len(a.GetResumeToken()) != 32:
		return faultf("a resume_token of %d bytes", len(a.GetResumeToken()))
	case !s.GetAttached() || s.GetAttachSeq() != int64(r.tries):
		return faultf("attached %v with attach_seq %d, not %d", s.GetAttached(), s.GetAttachSeq(), r.tries)
	case a.GetSocketDataOffset() != int64(len(r.in)):
		return faultf("socket_data goes on at %d, after %d", a.GetSocketDataOffset(), len(r.in))
	}
	r.attaching = false
	r.id, r.token = s.GetSessionId(), a.GetResumeToken()
	r.next = a.GetAcceptedOffset()
	if s.GetGeneration() == 0 { // not begun: there is no limit yet
		return nil
	}
	return r.progress(a.GetAcceptedOffset(), r.written, a.GetSendLimit())
}

func (r *resumer) takeData(d *pb.Data) error {
	switch {
	case d.GetGeneration() != 1:
		return faultf("bytes of generation %d", d.GetGeneration())
	case d.GetOffset() != int64(len(r.in)):
		return faultf("bytes at %d, after %d", d.GetOffset(), len(r.in))
	case len(d.GetPayload()) == 0 || len(d.GetPayload()) > 128<<10:
		return faultf("%d bytes in a frame", len(d.GetPayload()))
	case r.closed != nil:
		return faultf("bytes after closed")
	}
	r.in = append(r.in, d.GetPayload()...)
	return nil
}

func (r *resumer) takeProgress(p *pb.OutputProgress) error {
	if p.GetGeneration() != 1 {
		return faultf("progress of generation %d", p.GetGeneration())
	}
	return r.progress(p.GetAcceptedOffset(), p.GetWrittenOffset(), p.GetSendLimit())
}

// progress takes how far the bytes have come: nothing ever goes back, or beyond
// what was sent.
func (r *resumer) progress(accepted, written, limit int64) error {
	if accepted < r.accepted || written < r.written || limit < r.limit || accepted > r.sent || written > accepted || limit < accepted {
		return faultf("progress from accepted %d, written %d, limit %d of %d sent to %d, %d, %d",
			r.accepted, r.written, r.limit, r.sent, accepted, written, limit)
	}
	r.accepted, r.written, r.limit = accepted, written, limit
	return nil
}

func (r *resumer) takeEvent(e *pb.Event) error {
	switch {
	case e.GetSeq() != int64(len(r.events)+1):
		return faultf("event %d after %d", e.GetSeq(), len(r.events))
	case r.closed != nil:
		return faultf("an event after closed")
	case e.GetGeneration() != 1 || e.GetSocketDataOffset() != int64(len(r.in)):
		return faultf("after %d bytes: %v", len(r.in), e)
	}
	r.events = append(r.events, e)
	if r.closed = e.GetClosed(); r.closed == nil {
		return nil
	}
	if r.closed.GetReceivedBytes() != int64(len(r.in)) || r.closed.GetSentBytes() > r.accepted {
		return faultf("after %d bytes received and %d accepted: %v", len(r.in), r.accepted, r.closed)
	}
	return nil
}
