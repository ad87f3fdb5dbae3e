package gallery

import (
	"io"
	"net"
	"slices"
)

// wire is a visitor's connection, with what was read of it already, and bad manners. One goroutine uses it, but for Close.
type wire struct {
	net.Conn
	head []byte // read before anything else

	crumbs bool                // every byte is written alone
	spoil  func([]byte) []byte // changes the next write; nil: nothing
	budget int                 // of bytes that may be written before spent is called; only with spent
	spent  func(*wire)         // ends the connection; nil: there is no such end
}

func (w *wire) Read(p []byte) (int, error) {
	if len(w.head) == 0 {
		return w.Conn.Read(p)
	}
	n := copy(p, w.head)
	w.head = w.head[n:]
	return n, nil
}

func (w *wire) Write(p []byte) (int, error) {
	out := p
	if w.spoil != nil {
		out, w.spoil = w.spoil(p), nil
	}
	if w.spent != nil {
		if len(out) >= w.budget {
			_, _ = w.Conn.Write(out[:w.budget])
			w.spent(w)
			return 0, net.ErrClosed
		}
		w.budget -= len(out)
	}
	step := max(len(out), 1)
	if w.crumbs {
		step = 1
	}
	for crumb := range slices.Chunk(out, step) {
		if _, err := w.Conn.Write(crumb); err != nil {
			return 0, err
		}
	}
	return len(p), nil
}

// finish sends FIN and waits for the visitor to go: data that nobody read would turn the FIN into a reset.
func (w *wire) finish() {
	if tcp, ok := w.Conn.(interface{ CloseWrite() error }); ok {
		_ = tcp.CloseWrite()
	}
	_, _ = io.Copy(io.Discard, w.Conn)
}

// reset sends RST.
func (w *wire) reset() {
	if tcp, ok := w.Conn.(interface{ SetLinger(sec int) error }); ok {
		_ = tcp.SetLinger(0)
	}
	_ = w.Conn.Close()
}

// say writes what is no TLS of ours, and then FIN.
func (w *wire) say(p []byte) {
	_, _ = w.Conn.Write(p)
	w.finish()
}
