package client

import (
	"fmt"
	"net"
	"os"
	"slices"
	"sync"
	"syscall"
	"time"

	pb "securesocket/gen/securesocket/v1"
)

const (
	// maxUnsent is how many bytes written wait for the service; then Write waits.
	maxUnsent = 256 << 10
	// maxPayload is the size of a data frame, in bytes. The contract allows twice as much; more than this is no faster.
	maxPayload = 64 << 10
)

// errFinished is what a Write after CloseWrite returns, as with a TCP connection.
var errFinished = fmt.Errorf("securesocket: write after CloseWrite: %w", syscall.EPIPE)

// sendBuffer is the writing half of a Conn. Any number put in, one goroutine (send) takes out.
type sendBuffer struct {
	mu       sync.Mutex
	writable sync.Cond // Write waits: for room, its turn, the end, the deadline, Close
	work     sync.Cond // next waits: for something to send
	deadline deadline
	answers  []*pb.AttachRequest // to questions of the handshake; they wait for nothing
	answered []int64             // the numbers of those that were taken
	frames   [][]byte            // payloads in order, at most maxPayload each
	held     int                 // bytes of frames, and of the one that is being sent
	writing  bool                // a Write is under way: another one waits, so that their bytes do not mix
	finish   bool                // CloseWrite
	finished bool                // the finish frame was taken
	err      error               // what Write returns from now on; frames are dropped with it
	closed   bool                // Close or Abort: Write returns net.ErrClosed
	stopped  bool                // the connection has ended: next returns nil, err is final
	written  int64               // bytes that Write has taken over
	sent     int64               // offset of the next frame
	count    int64               // frames taken, Open included: the number of the last one
	closing  int64               // the number of the close frame, 0 before
}

func (w *sendBuffer) init() {
	w.writable.L, w.work.L, w.deadline.cond = &w.mu, &w.mu, &w.writable
	w.count = 1 // Open
}

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
			n += w.copyLocked(p[n:])
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

// copyLocked takes over as much of p as there is room for.
func (w *sendBuffer) copyLocked(p []byte) (n int) {
	p = p[:min(len(p), maxUnsent-w.held)]
	for len(p) > 0 {
		last := len(w.frames) - 1
		if last < 0 || len(w.frames[last]) == maxPayload {
			w.frames = append(w.frames, make([]byte, 0, min(len(p), maxPayload)))
			last++
		}
		k := min(len(p), maxPayload-len(w.frames[last]))
		w.frames[last] = append(w.frames[last], p[:k]...)
		n, p = n+k, p[k:]
	}
	if n > 0 {
		w.held += n
		w.written += int64(n)
		w.work.Signal()
	}
	return n
}

// next waits for what is to be sent and takes it; nil is the end. A payload belongs to who calls, who tells done when it is
// sent.
func (w *sendBuffer) next() *pb.AttachRequest {
	w.mu.Lock()
	defer w.mu.Unlock()
	for {
		switch {
		case w.stopped:
			return nil
		case len(w.answers) > 0:
			answer := w.answers[0]
			w.answers = w.answers[1:]
			w.count++
			w.answered = append(w.answered, w.count)
			return answer
		case len(w.frames) > 0:
			data := &pb.Data{Offset: w.sent, Generation: generation, Payload: w.frames[0]}
			w.frames[0] = nil
			w.frames = w.frames[1:]
			w.sent += int64(len(data.GetPayload()))
			w.count++
			return &pb.AttachRequest{Frame: &pb.AttachRequest_Data{Data: data}}
		case w.finish && !w.finished && w.err == nil:
			w.finished = true
			w.count++
			return &pb.AttachRequest{Frame: &pb.AttachRequest_Finish{Finish: &pb.Finish{Offset: w.sent, Generation: generation}}}
		case w.closed:
			w.count++
			w.closing = w.count
			how := &pb.CloseSocket{How: pb.CloseSocket_HOW_GRACEFUL, Generation: generation}
			return &pb.AttachRequest{Frame: &pb.AttachRequest_Close{Close: how}}
		}
		w.work.Wait()
	}
}

// answer sends the answer to a question, if the stream still goes on.
func (w *sendBuffer) answer(request *pb.AttachRequest) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.answers = append(w.answers, request)
	w.work.Signal()
}

// done gives back the room of n bytes that are sent.
func (w *sendBuffer) done(n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.held -= n
	w.writable.Broadcast()
}

// refuse is the service's refusal of the frame of that number. Refused bytes are lost, so the writing half is broken and
// Write returns err; but most often the connection has ended, and stop will say how. The refusal of the closing frame
// only says that there is nothing left to close, and that of an answer that the question is over. The goroutine goes on, so that Close can say how the socket is to end.
func (w *sendBuffer) refuse(number int64, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if number == w.closing || w.err != nil || slices.Contains(w.answered, number) {
		return
	}
	w.err = err
	w.dropLocked()
}

// stop makes every Write return err, drops what is not sent and ends the goroutine: the connection has ended, or the
// stream. The first err stands.
func (w *sendBuffer) stop(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.stopped {
		return
	}
	w.stopped = true
	w.err = err
	w.dropLocked()
	w.work.Signal()
}

// dropLocked forgets what is not sent, which nobody will take any more.
func (w *sendBuffer) dropLocked() {
	for _, frame := range w.frames {
		w.held -= len(frame)
	}
	w.frames = nil
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
	w.deadline.stopLocked()
	w.work.Signal()
	w.writable.Broadcast()
}

// undelivered is the error of bytes that were written and did not all reach the peer's socket, of which delivered did;
// nil if all did. It is for after stop.
func (w *sendBuffer) undelivered(delivered int64) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.written <= delivered {
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
