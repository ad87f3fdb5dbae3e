package main

import (
	"fmt"
	"io"
	"sync"
	"time"
)

// logLines is how many lines may wait for whoever reads the log.
const logLines = 1024

// logFlush is how long the end of the program waits for them.
const logFlush = time.Second

// logWriter writes lines to a sink that may be slow or stuck without ever
// waiting for it: what finds no room is dropped, and the sink is told how many
// lines that were once it takes some again.
type logWriter struct {
	sink io.Writer
	done chan struct{} // closed when every line is written, after Close

	mu      sync.Mutex
	closed  bool
	dropped int         // since the sink was told
	ever    uint64      // dropped
	lines   chan []byte // closed by Close
}

func newLogWriter(sink io.Writer) *logWriter {
	w := &logWriter{sink: sink, lines: make(chan []byte, logLines), done: make(chan struct{})}
	go w.run()
	return w
}

func (w *logWriter) run() {
	defer close(w.done)
	for line := range w.lines {
		_, _ = w.sink.Write(line) // a log that cannot be written has nobody to tell
		w.mu.Lock()
		dropped := w.dropped
		w.dropped = 0
		w.mu.Unlock()
		if dropped > 0 {
			_, _ = fmt.Fprintf(w.sink, "securesocketd: %d log lines were dropped: the log is read too slowly\n", dropped)
		}
	}
}

// Write takes a line and never fails. p is copied.
func (w *logWriter) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return len(p), nil
	}
	select {
	case w.lines <- append([]byte(nil), p...):
	default:
		w.dropped++
		w.ever++
	}
	return len(p), nil
}

// Dropped is how many lines were dropped, ever.
func (w *logWriter) Dropped() uint64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.ever
}

// Close waits for what is left, for a bounded time.
func (w *logWriter) Close() {
	w.mu.Lock()
	if !w.closed {
		w.closed = true
		close(w.lines)
	}
	w.mu.Unlock()
	timer := time.NewTimer(logFlush)
	defer timer.Stop()
	select {
	case <-w.done:
	case <-timer.C:
	}
}
