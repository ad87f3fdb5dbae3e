package client

import (
	"fmt"
	"net"
	"os"
	"sync"
	"syscall"
	"time"

	pb "securesocket/gen/securesocket/v1"
)

const (
	// maxUnsent is how many bytes written wait for the stream to take them; then Write waits.
	maxUnsent = 256 << 10
	// maxUnaccepted is the same for a Conn that comes back: how many wait for the service to have them.
	maxUnaccepted = 1 << 20
	// maxPayload is the size of a data frame, in bytes. The contract allows twice as much; more than this is no faster.
	maxPayload = 64 << 10
)

// errFinished is what a Write after CloseWrite returns, as with a TCP connection.
var errFinished = fmt.Errorf("securesocket: write after CloseWrite: %w", syscall.EPIPE)

// sendBuffer is the writing half of a Conn, and all that it sends. Any number put in; what is there is sent by one
// goroutine (send) or by Write itself, one frame at a time.
type sendBuffer struct {
	resumable  bool
	max        int    // bytes that the ring may hold
	generation int64  // of the connection
	broken     func() // is told, under the lock, that link is over, unless the Conn comes back
	ending     func() // is told, under the lock, that everything is done, if it does

	mu       sync.Mutex
	writable sync.Cond // Write waits: for room, its turn, the end, the deadline, Close
	work     sync.Cond // send waits: for something to send
	deadline deadline

	link     *link // the stream that takes frames; nil: there is none now
	sending  bool  // a frame is on its way into a stream, the only one
	missed   bool  // send has looked meanwhile
	ring     ring  // what Write has taken over; before its base: sent, or accepted where the Conn comes back
	sent     int64 // position of the next data frame
	highest  int64 // the largest that sent has ever been
	accepted int64 // what the service has said that it has
	limit    int64 // sent stays below it
	flight   flight

	entering *starting                      // a StartTLS under way; nil: there is none
	answers  []*pb.AttachRequest            // to questions of the handshake; they wait for nothing
	asked    map[question]*pb.AttachRequest // every question of the handshake, with its answer if there is one
	acks     acks
	writing  bool  // a Write is under way: another one waits, so that their bytes do not mix
	finish   bool  // CloseWrite
	finished bool  // link had the finish frame
	repeated bool  // a stream before link had it
	err      error // what Write returns from now on; what is in the ring is dropped with it
	closed   bool  // Close or Abort: Write returns net.ErrClosed
	closing  bool  // link had the close frame
	stopped  bool  // the connection has ended: there is nothing more to send but acks; err is final
	final    bool  // and everything has come from it: once all of received is acked, the stream may end
	received int64 // with final
	done     bool  // CloseSend
	quit     bool  // send ends
}

func (w *sendBuffer) init(resumable bool) {
	w.writable.L, w.work.L, w.deadline.cond = &w.mu, &w.mu, &w.writable
	w.generation = 1
	w.max, w.limit = maxUnsent, maxOffset
	if w.resumable = resumable; resumable {
		w.max, w.limit = maxUnaccepted, 0
	}
}

// maxOffset is the largest number of the contract.
const maxOffset = 1<<53 - 1

// write is Conn.Write. p is copied.
func (w *sendBuffer) write(p []byte) (n int, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for mine := false; ; w.writable.Wait() {
		switch {
		case w.closed:
			err = net.ErrClosed
		case w.finish:
			err = errFinished
		case w.err != nil:
			err = w.err
		case w.deadline.expired:
			err = os.ErrDeadlineExceeded
		case w.writing && !mine:
			continue
		default:
			mine, w.writing = true, true
			n += w.takeLocked(p[n:])
			if n < len(p) {
				continue
			}
		}
		if mine {
			w.writing = false
			w.writable.Broadcast()
		}
		return n, err
	}
}

// takeLocked takes over as much of p as there is room for.
func (w *sendBuffer) takeLocked(p []byte) int {
	p = p[:min(len(p), w.max-w.ring.held())]
	if len(p) > 0 {
		w.ring.write(p)
		w.sendLocked()
	}
	return len(p)
}

// refuse is the service's refusal of the frame of that number on l. Refused bytes are lost, so the writing half is broken
// and Write returns err; but most often the connection has ended, and stop will say how. The refusal of a closing frame
// only says that there is nothing left to close, that of an answer that the question is over, and that of a finish that
// came again that nothing is left to finish. The goroutine goes on, so that Close can say how the socket is to end.
func (w *sendBuffer) refuse(l *link, number int64, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err != nil || l.harmless(number) {
		return
	}
	w.err = err
	w.dropLocked()
	w.work.Signal() // what stood behind it, the close above all
}

// stop makes every Write return err and drops what is not sent: the connection has ended, or the stream for good. The first
// err stands.
func (w *sendBuffer) stop(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.stopped {
		return
	}
	w.stopped = true
	w.err = err
	w.answers = nil
	w.dropLocked()
	w.work.Signal()
}

// dropLocked forgets what is not sent, which nobody will take any more.
func (w *sendBuffer) dropLocked() {
	w.ring.drop()
	w.sent = w.ring.end
	w.writable.Broadcast()
}

// closeWrite is Conn.CloseWrite.
func (w *sendBuffer) closeWrite() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case w.closed:
		return net.ErrClosed
	case w.finish:
		return nil
	case w.err != nil:
		return w.err
	}
	w.finish = true
	w.work.Signal()
	w.writable.Broadcast()
	return nil
}

// close makes every Write return at once; what is there is still sent, and then the closing frame.
func (w *sendBuffer) close() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.closed = true
	if w.entering != nil {
		w.entering.leaveLocked(net.ErrClosed)
	}
	w.deadline.stopLocked()
	w.work.Signal()
	w.writable.Broadcast()
}

// written is how many bytes Write has taken over, counted from the start of the session.
func (w *sendBuffer) written() int64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.ring.end
}

// undelivered is the error of bytes that were written and did not all reach the peer's socket, of which delivered did;
// nil if all did. It is for after stop.
func (w *sendBuffer) undelivered(delivered int64) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.ring.end <= delivered {
		return nil
	}
	return w.err
}

// setDeadline is Conn.SetWriteDeadline.
func (w *sendBuffer) setDeadline(t time.Time) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return net.ErrClosed
	}
	w.deadline.moveLocked(t)
	return nil
}
