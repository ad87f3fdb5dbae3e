package client

import pb "securesocket/gen/securesocket/v1"

// directBytes is how much may be on its way, sent and not accepted, for Write to send by itself. gRPC takes 64 KiB into a
// stream before SendMsg waits, and what the service has accepted is no longer in there; so SendMsg does not wait, and
// deadlines hold.
const directBytes = 48 << 10

// flightCost is what a frame counts there beside its payload: more than its header and gRPC's.
const flightCost = 48

// flight is what is on its way into a stream, in two parts, so that it is counted by frames and settled by positions: a
// part is no longer on its way when all of it is accepted.
type flight struct{ older, newer struct{ end, cost int64 } }

func (f *flight) sent(end int64, size int) {
	f.newer.end = end
	f.newer.cost += int64(size) + flightCost
}

func (f *flight) accepted(position int64) {
	for range 2 {
		if position >= f.older.end {
			f.older, f.newer = f.newer, flight{}.newer
		}
	}
}

func (f *flight) small() bool { return f.older.cost+f.newer.cost <= directBytes }

// outgoing is a frame that is to be sent, and what is to be known about it afterwards: gRPC may have reused it then.
type outgoing struct {
	link    *link
	message any
	end     int64 // data: the position behind it
	last    bool  // this side of the stream ends with it
}

// send is the goroutine that sends what Write does not.
func (c *Conn) send() {
	w := &c.write
	w.mu.Lock()
	defer w.mu.Unlock()
	for {
		out, ok := w.nextLocked()
		switch {
		case ok:
			w.transmitLocked(out)
		case w.quit:
			return
		default:
			w.missed = w.sending // what came meanwhile is seen to when that is done
			w.work.Wait()
		}
	}
}

// sendLocked sends bytes or an ack that have just become due: at once, in the caller's own goroutine, if nothing is before
// them and the stream surely takes them; otherwise by send.
func (w *sendBuffer) sendLocked() {
	for w.link != nil && !w.sending && len(w.answers) == 0 && w.flight.small() && w.urgentLocked() {
		out, ok := w.nextLocked()
		if !ok {
			return
		}
		w.transmitLocked(out)
	}
	if w.urgentLocked() {
		w.work.Signal()
	}
}

func (w *sendBuffer) urgentLocked() bool { return w.sent < w.boundLocked() || w.acks.due }

// boundLocked is how far data may be sent now: what is written behind a StartTLS waits until TLS is up.
func (w *sendBuffer) boundLocked() int64 {
	bound := min(w.ring.end, w.limit)
	if w.entering != nil {
		bound = min(bound, w.entering.send)
	}
	return bound
}

// nextLocked takes the frame that is to be sent next, if there is one; transmitLocked has to follow.
func (w *sendBuffer) nextLocked() (outgoing, bool) {
	if w.link == nil || w.sending || w.quit || w.done {
		return outgoing{}, false
	}
	out := outgoing{link: w.link}
	a := &w.acks
	switch {
	case len(w.answers) > 0:
		out.message = w.answers[0]
		w.answers = w.answers[1:]
		w.link.number(false)
	case a.due:
		a.due = false
		a.toldOffset, a.toldEvent = a.offset, a.event
		out.message = ackFrame(w.generation, a.offset, a.event)
		w.link.number(false)
		if !w.resumable { // the service may stop receiving, so acks fill the stream as well
			w.flight.sent(w.sent, 0)
		}
	case w.sent < w.boundLocked():
		chunk, payload := w.ring.at(w.sent, int(min(maxPayload, w.boundLocked()-w.sent)))
		out.message = dataFrame(w.generation, w.sent, chunk, payload)
		w.sent += int64(len(payload))
		w.highest = max(w.highest, w.sent)
		out.end = w.sent
		w.flight.sent(w.sent, len(payload))
		w.link.number(true)
	case w.entering != nil && !w.entering.told && w.sent == w.entering.send:
		out.message = w.entering.frame
		w.link.number(false)
		w.entering.tell(w.link)
	case w.sent < w.ring.end: // beyond the bound
		return outgoing{}, false
	case w.finish && !w.finished && w.err == nil && w.entering == nil:
		out.message = &pb.AttachRequest{Frame: &pb.AttachRequest_Finish{Finish: &pb.Finish{Offset: w.sent, Generation: w.generation}}}
		w.link.number(!w.repeated)
		w.finished, w.repeated = true, true
	case w.closed && !w.closing && !w.stopped:
		how := &pb.CloseSocket{How: pb.CloseSocket_HOW_GRACEFUL, Generation: w.generation}
		out.message = &pb.AttachRequest{Frame: &pb.AttachRequest_Close{Close: how}}
		out.last = !w.resumable
		w.closing = true
		w.link.number(false)
	case w.settledLocked():
		// The service deletes the session and ends the stream. This side does not: that would be to detach.
		w.done, w.quit = true, true
		w.ending()
		return outgoing{}, false
	default:
		return outgoing{}, false
	}
	w.done = out.last
	return out, true
}

// transmitLocked sends the frame. It lets go of the lock meanwhile.
func (w *sendBuffer) transmitLocked(out outgoing) {
	w.sending = true
	w.mu.Unlock()
	err := out.link.send(out.message, out.last)
	w.mu.Lock()
	w.sending = false
	switch {
	case err != nil:
		// The stream is over; why, only receiving says, behind the data that is still there.
		w.detachLocked(out.link)
		if !w.resumable {
			w.broken()
		}
	case !w.resumable && out.end > 0:
		w.ring.free(out.end)
		w.writable.Broadcast()
	}
	w.quit = w.quit || out.last
	if w.missed || w.quit || w.final {
		w.missed = false
		w.work.Signal()
	}
}

// attach makes l the stream that takes frames, of a service that has the bytes before accepted; the error is a breach.
func (w *sendBuffer) attach(l *link, accepted, limit int64) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.flight = flight{}
	if w.resumable {
		if err := w.acceptLocked(accepted, w.highest); err != nil {
			return err
		}
		w.sent = max(accepted, w.ring.base)
		w.limit = max(w.limit, limit)
	}
	w.link, w.finished, w.closing = l, false, false
	a := &w.acks
	a.toldOffset, a.toldEvent = 0, 0
	w.ackLocked(true)
	w.work.Signal()
	w.writable.Broadcast()
	return nil
}

// start begins at the position up to which a service has the bytes of another process.
func (w *sendBuffer) start(accepted int64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ring.begin(accepted)
	w.sent, w.highest, w.accepted = accepted, accepted, accepted
}

// progress is the service's word about how far the bytes have come. The error is a breach.
func (w *sendBuffer) progress(accepted, limit int64) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.resumable {
		w.accepted = max(w.accepted, min(accepted, w.highest))
		w.flight.accepted(w.accepted)
		return nil
	}
	w.limit = max(w.limit, limit)
	if err := w.acceptLocked(accepted, w.sent); err != nil {
		return err
	}
	w.work.Signal()
	w.writable.Broadcast()
	return nil
}

// acceptLocked takes the service's word that it has the bytes before accepted, of those before sent.
func (w *sendBuffer) acceptLocked(accepted, sent int64) error {
	if accepted < w.accepted || accepted > sent {
		return breach("it has accepted %d bytes; before it were %d, and %d have been sent", accepted, w.accepted, sent)
	}
	w.accepted = accepted
	w.flight.accepted(accepted)
	w.ring.free(accepted)
	return nil
}

// confirmed is how many bytes the service has said that it has.
func (w *sendBuffer) confirmed() int64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.accepted
}

// hasEnded reports whether everything was sent and acked.
func (w *sendBuffer) hasEnded() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.done || w.settledLocked()
}

// settledLocked reports whether the connection has ended, and the service knows that this side has everything.
func (w *sendBuffer) settledLocked() bool {
	return w.final && w.acks.toldOffset >= w.received && w.acks.toldEvent == w.acks.event
}

// detach lets go of a stream that is over.
func (w *sendBuffer) detach(l *link) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.detachLocked(l)
}

func (w *sendBuffer) detachLocked(l *link) {
	if w.link == l {
		w.link = nil
	}
}

// complete says that nothing more will come than the bytes before received and the events up to event: when all is acked,
// the stream may end.
func (w *sendBuffer) complete(received, event int64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.final, w.received = true, received
	w.acks.event = max(w.acks.event, event)
	w.ackLocked(true)
	w.work.Signal()
}

// end ends the goroutine.
func (w *sendBuffer) end() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.quit = true
	if w.acks.timer != nil {
		w.acks.timer.Stop()
	}
	w.work.Signal()
}
