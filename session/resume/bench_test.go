package resume

import (
	"testing"
	"time"
)

var benchPool = NewPool(32 << 10)

func pooled(n int) *Buffer {
	b := benchPool.Get()
	b.Filled(n)
	return b
}

// BenchmarkReceive is a byte's way from the peer to the caller.
func BenchmarkReceive(b *testing.B) {
	for _, bench := range []struct {
		name string
		n    int
	}{{"64B", 64}, {"32KiB", 32 << 10}} {
		b.Run(bench.name, func(b *testing.B) {
			c, now := New(Config{}), time.Unix(1, 0)
			c.Begin(now, Options{Resumable: true})
			_, _ = c.Attach(now, AttachArgs{})
			b.SetBytes(int64(bench.n))
			b.ReportAllocs()
			for b.Loop() {
				_ = c.Received(1, pooled(bench.n))
				f, _ := c.Next(now, 1, 64<<10)
				f.Data.Release()
				_ = c.Ack(now, 1, 1, f.Data.Offset+int64(len(f.Data.Bytes)), 0)
			}
		})
	}
}

// BenchmarkSend is a byte's way from the caller to the peer.
func BenchmarkSend(b *testing.B) {
	for _, bench := range []struct {
		name string
		n    int
	}{{"64B", 64}, {"32KiB", 32 << 10}} {
		b.Run(bench.name, func(b *testing.B) {
			c, now := New(Config{Alloc: func(int) *Buffer { return pooled(0) }}), time.Unix(1, 0)
			c.Begin(now, Options{Resumable: true})
			_, _ = c.Attach(now, AttachArgs{})
			b.SetBytes(int64(bench.n))
			b.ReportAllocs()
			var offset int64
			p := make([]byte, bench.n)
			for b.Loop() {
				_, _ = c.Data(now, 1, 1, offset, p)
				offset += int64(bench.n)
				w := c.NextWrite(1, 64<<10)
				w.Release()
				c.Wrote(now, 1, len(w.Bytes))
				_, _ = c.Next(now, 1, 64<<10)
			}
		})
	}
}

// BenchmarkRing is a full ring of small payloads, filled and emptied.
func BenchmarkRing(b *testing.B) {
	p := make([]byte, 1<<10)
	b.SetBytes(1 << 20)
	b.ReportAllocs()
	var r ring
	for b.Loop() {
		for range 1 << 10 {
			for rest := r.fill(p); len(rest) > 0; rest = r.fill(rest) {
				r.push(pooled(0))
			}
		}
		for r.base < r.end {
			v := r.at(r.base, 64<<10)
			r.freeTo(r.base + int64(len(v.Bytes)))
			v.Release()
		}
	}
}
