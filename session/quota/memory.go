package quota

import (
	"math"
	"runtime/metrics"
	"sync"
	"sync/atomic"
	"time"
)

// Level is how short memory is.
type Level int32

// The levels of memory.
const (
	Normal Level = iota
	Refuse       // whatever is new is refused
	Shed         // what is detached is given up too
)

func (l Level) String() string {
	switch l {
	case Refuse:
		return "refuse"
	case Shed:
		return "shed"
	default:
		return "normal"
	}
}

// MemoryConfig says how much memory the process may have, and what follows.
type MemoryConfig struct {
	Limit  int64 // bytes; 0 or less: memory is always short
	Refuse int   // percent of Limit from which the level is Refuse; 85
	Shed   int   // percent of Limit from which the level is Shed; 95
	// Calm is how many percent below its beginning a level ends, so that it does not
	// come and go; 5.
	Calm int

	Every  time.Duration // how often memory is looked at, at most; 250 ms
	Sample func() int64  // bytes in use; what the Go runtime has from the system
	Now    func() time.Time
}

// Memory watches the memory of the process. It looks when it is asked.
type Memory struct {
	cfg   MemoryConfig
	clock clock

	next  atomic.Int64 // when it is looked at again
	used  atomic.Int64
	level atomic.Int32
	mu    sync.Mutex // serialises looking
}

// NewMemory returns a Memory that has looked once.
func NewMemory(cfg MemoryConfig) *Memory {
	for _, d := range []struct {
		p   *int
		def int
	}{{&cfg.Refuse, 85}, {&cfg.Shed, 95}, {&cfg.Calm, 5}} {
		if *d.p <= 0 {
			*d.p = d.def
		}
	}
	if cfg.Every <= 0 {
		cfg.Every = 250 * time.Millisecond
	}
	if cfg.Sample == nil {
		cfg.Sample = runtimeBytes
	}
	m := &Memory{cfg: cfg, clock: newClock(cfg.Now)}
	m.look()
	return m
}

// Level is how short memory is now.
func (m *Memory) Level() Level {
	if m.clock.now() >= m.next.Load() {
		m.look()
	}
	return Level(m.level.Load())
}

// Admit says why nothing new may begin: an [Error] about "memory", from [Refuse] on.
func (m *Memory) Admit() error {
	if m.Level() == Normal {
		return nil
	}
	return &Error{What: "memory", Limit: m.cfg.Limit, Used: m.used.Load()}
}

// Used is how many bytes were in use when it was last looked.
func (m *Memory) Used() int64 { return m.used.Load() }

// Limit is how many bytes the process may have.
func (m *Memory) Limit() int64 { return m.cfg.Limit }

func (m *Memory) look() {
	if !m.mu.TryLock() {
		return // somebody looks; until then it is as it was
	}
	defer m.mu.Unlock()
	now := m.clock.now()
	if now < m.next.Load() {
		return
	}
	used := m.cfg.Sample()
	m.used.Store(used)
	m.level.Store(int32(m.judge(used, Level(m.level.Load()))))
	m.next.Store(now + int64(m.cfg.Every))
}

// judge is the level that follows another.
func (m *Memory) judge(used int64, before Level) Level {
	if m.cfg.Limit <= 0 {
		return Shed
	}
	percent := float64(used) / float64(m.cfg.Limit) * 100
	from := func(level Level, begins int) float64 {
		if before >= level {
			begins -= m.cfg.Calm
		}
		return float64(begins)
	}
	switch {
	case percent >= from(Shed, m.cfg.Shed):
		return Shed
	case percent >= from(Refuse, m.cfg.Refuse):
		return Refuse
	default:
		return Normal
	}
}

// runtimeBytes is what the runtime has from the system and has not given back: what
// its own soft limit counts as well.
func runtimeBytes() int64 {
	samples := [...]metrics.Sample{{Name: "/memory/classes/total:bytes"}, {Name: "/memory/classes/heap/released:bytes"}}
	metrics.Read(samples[:])
	return int64(min(samples[0].Value.Uint64()-samples[1].Value.Uint64(), math.MaxInt64)) //nolint:gosec // bounded
}
