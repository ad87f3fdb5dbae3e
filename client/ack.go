package client

import (
	"sync/atomic"
	"time"
)

const (
	// maxAckStep is how many bytes are read, at most, before they are acked.
	maxAckStep = 64 << 10
	// ackDelay is how long less than that may wait.
	ackDelay = 25 * time.Millisecond
)

// acks is what a Conn has that is resumable or plain, and what it has told the service about it, under the lock of the
// sendBuffer. All of it is idle for any other.
type acks struct {
	on     atomic.Bool
	manual bool  // Dialer.ManualAck: bytes are acked by Conn.Ack alone
	step   int64 // bytes that are acked at once
	timer  *time.Timer

	offset, event         int64 // what may be acked
	toldOffset, toldEvent int64 // what the stream was told
	due                   bool  // it has to be told now
	waiting               bool  // the timer is running
}

// read notes n bytes that Read has returned.
func (w *sendBuffer) read(n int) {
	if !w.acks.on.Load() || w.acks.manual || n == 0 {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.acks.offset += int64(n)
	if w.ackLocked(false) {
		w.sendLocked()
	}
}

// setAckStep fits the steps to the buffer of that size in which the service keeps what is not acked.
func (w *sendBuffer) setAckStep(buffer int64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.acks.step = min(maxAckStep, buffer/4)
}

// acked notes that the bytes before offset need not be kept by the service any more.
func (w *sendBuffer) acked(offset int64, now bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.acks.offset = max(w.acks.offset, offset)
	if w.ackLocked(now) {
		w.work.Signal()
	}
}

// ackEvent notes that the events up to that one have been told.
func (w *sendBuffer) ackEvent(event int64, now bool) {
	if !w.acks.on.Load() {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.acks.event = max(w.acks.event, event)
	if w.ackLocked(now) {
		w.work.Signal()
	}
}

// ackLocked has acks sent soon. true: one has to be sent now, as enough is there, or now.
func (w *sendBuffer) ackLocked(now bool) bool {
	a := &w.acks
	if !a.on.Load() || a.toldOffset == a.offset && a.toldEvent == a.event || w.quit {
		return false
	}
	if now || a.offset-a.toldOffset >= a.step {
		a.due = true
		return true
	}
	if a.waiting { // for something older, so it comes early enough
		return false
	}
	a.waiting = true
	if a.timer == nil {
		a.timer = time.AfterFunc(ackDelay, w.ackNow)
	} else {
		a.timer.Reset(ackDelay)
	}
	return false
}

// ackNow is called by the timer.
func (w *sendBuffer) ackNow() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.acks.waiting = false
	if w.ackLocked(true) {
		w.work.Signal()
	}
}
