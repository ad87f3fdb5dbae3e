package h2attack

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"maps"
	"net"
	"os"
	"sync"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// wire is one HTTP/2 connection of an attack. Its methods belong to one
// goroutine; a second one reads.
type wire struct {
	ctx     context.Context
	conn    net.Conn
	o       Options
	buf     *bufio.Writer
	fr      *http2.Framer // writes only
	in      *http2.Framer // reads only; the reader's, once there is one
	enc     *hpack.Encoder
	head    bytes.Buffer // what enc has written
	next    uint32       // the ID of the next stream
	waitFor int          // streams that have to be answered before the end
	err     error        // of a write: the server has ended it
	stop    func() bool
	done    chan struct{} // closed when the reader ends; nil before it began
	pong    chan struct{} // closed by the reader
	all     chan struct{} // closed by the reader when await streams have an answer

	mu      sync.Mutex
	await   int  // streams that finish waits for
	closing bool // by this side: how the connection ends says nothing
	r       Result
	answers map[uint32]string // by stream
}

// probe is the PING that comes last.
var probe = [8]byte{'t', 'h', 'e', ' ', 'l', 'a', 's', 't'}

// open makes a connection, with its preface and settings sent.
func open(ctx context.Context, dial Dialer, o Options, settings ...http2.Setting) (*wire, error) {
	o = o.withDefaults()
	conn, err := dial()
	if err != nil {
		return nil, err
	}
	_ = conn.SetDeadline(time.Now().Add(o.Timeout))
	w := &wire{ctx: ctx, conn: conn, o: o, next: 1, pong: make(chan struct{}), all: make(chan struct{}), answers: make(map[uint32]string)}
	w.r.Responses, w.r.Resets = make(map[string]int), make(map[http2.ErrCode]int)
	w.buf = bufio.NewWriterSize(counter{conn, &w.r.Bytes}, 32<<10)
	w.fr = http2.NewFramer(w.buf, nil)
	w.fr.AllowIllegalWrites = true
	w.enc = hpack.NewEncoder(&w.head)
	w.stop = context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	_, w.err = w.buf.WriteString(http2.ClientPreface)
	w.in = http2.NewFramer(nil, conn)
	w.in.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	w.sent(w.fr.WriteSettings(settings...))
	if w.o.Known {
		w.greet()
	}
	return w, nil
}

// greet makes a call with an empty message, and reads until it is answered.
func (w *wire) greet() {
	stream := w.call(false)
	w.sent(w.fr.WriteData(stream, true, make([]byte, 5)))
	if w.err == nil {
		w.err = w.buf.Flush()
	}
	for w.err == nil {
		f, err := w.in.ReadFrame()
		if h, ok := f.(*http2.MetaHeadersFrame); ok && h.StreamID == stream && h.StreamEnded() {
			return
		}
		w.err = err
	}
}

type counter struct {
	io.Writer
	n *int64
}

func (c counter) Write(p []byte) (int, error) {
	n, err := c.Writer.Write(p)
	*c.n += int64(n)
	return n, err
}

// sent counts a frame.
func (w *wire) sent(err error) {
	if err != nil {
		w.err = err
		return
	}
	w.r.Frames++
}

// repeat calls f until Count is reached or the server has ended the connection.
func (w *wire) repeat(f func(i int)) {
	for i := range w.o.Count {
		select {
		case <-w.done: // blocks for ever where nobody reads
			return
		default:
		}
		if w.err != nil || w.ctx.Err() != nil {
			return
		}
		f(i)
	}
}

// request encodes the headers of a call. Fields replace those of the same name,
// and an empty value leaves the field out.
func (w *wire) request(fields ...hpack.HeaderField) []byte {
	w.head.Reset()
	base := []hpack.HeaderField{
		{Name: ":method", Value: "POST"}, {Name: ":scheme", Value: "http"}, {Name: ":path", Value: w.o.Path},
		{Name: ":authority", Value: "h2attack"}, {Name: "content-type", Value: "application/grpc"}, {Name: "te", Value: "trailers"},
	}
	for _, own := range append(base, w.o.Header...) {
		for i, f := range fields {
			if f.Name == own.Name {
				own.Value = f.Value
				fields = append(fields[:i:i], fields[i+1:]...)
				break
			}
		}
		if own.Value != "" {
			_ = w.enc.WriteField(own)
		}
	}
	for _, f := range fields {
		_ = w.enc.WriteField(f)
	}
	return w.head.Bytes()
}

// call opens a stream.
func (w *wire) call(endStream bool, fields ...hpack.HeaderField) (stream uint32) {
	stream = w.next
	w.next += 2
	w.sent(w.fr.WriteHeaders(http2.HeadersFrameParam{
		StreamID: stream, BlockFragment: w.request(fields...), EndStream: endStream, EndHeaders: true,
	}))
	return stream
}

// listen begins to read; without it the server's frames pile up.
func (w *wire) listen() {
	w.done = make(chan struct{})
	go func() {
		defer close(w.done)
		for {
			f, err := w.in.ReadFrame()
			if err != nil {
				w.ended(err)
				return
			}
			w.saw(f)
		}
	}()
}

func (w *wire) ended(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case w.closing:
	case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, net.ErrClosed):
		w.r.End = EndOpen
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		w.r.End = EndClosed
	default:
		w.r.End = EndReset
	}
}

func (w *wire) saw(f http2.Frame) {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch f := f.(type) {
	case *http2.MetaHeadersFrame:
		answer := ""
		for _, h := range f.Fields {
			switch {
			case h.Name == "grpc-status" && answer == "":
				answer = h.Value
			case h.Name == ":status" && h.Value != "200":
				answer = "http " + h.Value
			}
		}
		if answer != "" && w.answers[f.StreamID] == "" {
			w.r.Responses[answer]++
			w.answeredLocked(f.StreamID, answer)
		}
	case *http2.RSTStreamFrame:
		w.r.Resets[f.ErrCode]++
		if w.answers[f.StreamID] == "" {
			w.answeredLocked(f.StreamID, "reset")
		}
	case *http2.DataFrame:
		w.r.DataFrames++
	case *http2.SettingsFrame:
		if f.IsAck() {
			w.r.SettingsAcks++
		}
	case *http2.PingFrame:
		switch {
		case f.IsAck() && f.Data == probe:
			w.r.Answered = true
			close(w.pong)
		case f.IsAck():
			w.r.PingAcks++
		}
	case *http2.GoAwayFrame:
		w.r.GoAway, w.r.Code, w.r.Debug = true, f.ErrCode, string(f.DebugData())
	}
}

func (w *wire) answeredLocked(stream uint32, answer string) {
	w.answers[stream] = answer
	if len(w.answers) == w.await {
		close(w.all)
	}
}

// awaiting makes finish wait until n streams have an answer.
func (w *wire) awaiting(n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.await = n; len(w.answers) >= n {
		close(w.all)
	}
}

// finish asks for a last sign of life, waits for that or for the end, and closes
// the connection.
func (w *wire) finish() (Result, error) {
	defer w.stop()
	w.sent(w.fr.WritePing(false, probe))
	if w.err == nil {
		w.err = w.buf.Flush()
	}
	if w.done == nil {
		w.listen()
	}
	w.awaiting(w.waitFor)
	for _, awaited := range []chan struct{}{w.pong, w.all} {
		select {
		case <-awaited:
		case <-w.done:
		}
	}
	w.mu.Lock()
	w.closing = true
	w.mu.Unlock()
	_ = w.conn.Close()
	<-w.done
	w.mu.Lock()
	defer w.mu.Unlock()
	w.r.Responses, w.r.Resets = maps.Clone(w.r.Responses), maps.Clone(w.r.Resets)
	return w.r, w.ctx.Err()
}
