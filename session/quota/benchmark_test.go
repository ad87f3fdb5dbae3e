package quota

import (
	"strconv"
	"sync/atomic"
	"testing"
)

const plenty = int64(1) << 50

func BenchmarkPoolAcquireRelease(b *testing.B) {
	for _, owners := range []int{1, 64} {
		b.Run("owners="+strconv.Itoa(owners), func(b *testing.B) {
			p := NewPool(PoolConfig{PerOwner: plenty, Total: plenty})
			var next atomic.Int64
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				owner := "owner " + strconv.Itoa(int(next.Add(1))%owners)
				for pb.Next() {
					if err := p.Acquire(owner, 1); err != nil {
						b.Error(err)
					}
					p.Release(owner, 1)
				}
			})
		})
	}
}

func BenchmarkRateAllow(b *testing.B) {
	r := NewRate(RateConfig{PerOwner: Limit{PerSecond: 1e9, Burst: plenty}, Total: Limit{PerSecond: 1e9, Burst: plenty}})
	b.ReportAllocs()
	for b.Loop() {
		if err := r.Allow("owner", 1); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkDestinations(b *testing.B) {
	limit := Limit{PerSecond: 1e9, Burst: plenty}
	for name, ports := range map[string]int{"known": 100, "new": 1 << 30} {
		b.Run(name, func(b *testing.B) {
			d := NewDestinations(DestinationsConfig{PerOwner: limit, Total: limit})
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				if err := d.Allow("owner", "example.com", i%ports); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkShaperUncontended(b *testing.B) {
	s := NewShaper(ShaperConfig{PerOwner: Limit{PerSecond: 1 << 40}, Total: Limit{PerSecond: 1 << 40}})
	f := s.Flow("owner")
	defer f.Close()
	ctx := b.Context()
	b.ReportAllocs()
	for b.Loop() {
		if err := f.Wait(ctx, 1024); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkShaperParallel(b *testing.B) {
	s := NewShaper(ShaperConfig{PerOwner: Limit{PerSecond: 1 << 40}, Total: Limit{PerSecond: 1 << 40}})
	var next atomic.Int64
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		f := s.Flow(strconv.Itoa(int(next.Add(1))))
		defer f.Close()
		for pb.Next() {
			if err := f.Wait(b.Context(), 1024); err != nil {
				b.Error(err)
			}
		}
	})
}

func BenchmarkMemoryLevel(b *testing.B) {
	m := NewMemory(MemoryConfig{Limit: plenty})
	b.ReportAllocs()
	for b.Loop() {
		if m.Level() != Normal {
			b.Fatal("not normal")
		}
	}
}
