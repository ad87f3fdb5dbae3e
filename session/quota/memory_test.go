package quota

import (
	"io/fs"
	"os"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"testing/fstest"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestMemoryLevels(t *testing.T) {
	t.Parallel()
	h := newHand()
	var used int64
	m := NewMemory(MemoryConfig{Limit: 1000, Sample: func() int64 { return used }, Now: h.now})
	for i, step := range []struct {
		used int64
		want Level
	}{
		{849, Normal},
		{850, Refuse}, {800, Refuse}, {799, Normal}, // it ends below where it began
		{849, Normal},
		{950, Shed}, {900, Shed}, {899, Refuse}, {949, Refuse},
		{2000, Shed}, {0, Normal},
		{950, Shed}, {820, Refuse}, {799, Normal},
	} {
		used = step.used
		h.advance(250 * time.Millisecond)
		require.Equal(t, step.want, m.Level(), "step %d: %d", i, step.used)
		require.Equal(t, step.used, m.Used())
		if err := m.Admit(); step.want == Normal {
			require.NoError(t, err)
		} else {
			require.Equal(t, Error{What: "memory", Limit: 1000, Used: step.used}, *refused(t, err))
		}
	}
}

// Between its beginning and its end a level depends on what was before, outside it
// does not.
func TestMemoryHysteresis(t *testing.T) {
	t.Parallel()
	m := NewMemory(MemoryConfig{Limit: 1000, Sample: func() int64 { return 0 }})
	rapid.Check(t, func(t *rapid.T) {
		used := rapid.Int64Range(0, 1100).Draw(t, "used")
		before := Level(rapid.Int32Range(0, 2).Draw(t, "before"))
		after := m.judge(used, before)
		require.Equal(t, after, m.judge(used, after), "it stays")
		require.GreaterOrEqual(t, after, m.judge(used, Normal))
		require.LessOrEqual(t, after, m.judge(used+50, Normal))
	})
}

func TestMemoryIsLookedAtSeldom(t *testing.T) {
	t.Parallel()
	h := newHand()
	looked := 0
	m := NewMemory(MemoryConfig{Limit: 1000, Sample: func() int64 { looked++; return 0 }, Now: h.now})
	for range 1000 {
		m.Level()
		h.advance(time.Millisecond)
	}
	require.Equal(t, 4, looked)
}

func TestMemoryUnderStorm(t *testing.T) {
	t.Parallel()
	var inside, overlapped atomic.Int64
	m := NewMemory(MemoryConfig{Limit: 1 << 40, Every: time.Nanosecond, Sample: func() int64 {
		if inside.Add(1) > 1 {
			overlapped.Add(1)
		}
		runtime.Gosched()
		inside.Add(-1)
		return 1
	}})
	var wg sync.WaitGroup
	var other atomic.Int64
	for range 8 {
		wg.Go(func() {
			for range 1000 {
				if m.Level() != Normal {
					other.Add(1)
				}
			}
		})
	}
	wg.Wait()
	require.Zero(t, overlapped.Load())
	require.Zero(t, other.Load())
}

func TestMemoryOfThisProcess(t *testing.T) {
	t.Parallel()
	require.Equal(t, Normal, NewMemory(MemoryConfig{Limit: 1 << 50}).Level())
	require.Equal(t, Shed, NewMemory(MemoryConfig{Limit: 1}).Level())
	require.Equal(t, Shed, NewMemory(MemoryConfig{}).Level(), "no limit is none at all")
	require.Positive(t, NewMemory(MemoryConfig{Limit: 1}).Used())
}

func TestMemoryLimitIsFound(t *testing.T) {
	t.Parallel()
	const meminfo = "MemTotal:       16000 kB\nMemFree:  1 kB\n"
	files := func(pairs ...string) fs.FS {
		tree := fstest.MapFS{}
		for i := 0; i < len(pairs); i += 2 {
			tree[pairs[i]] = &fstest.MapFile{Data: []byte(pairs[i+1])}
		}
		return tree
	}
	for name, tc := range map[string]struct {
		root   fs.FS
		want   int64
		source string
	}{
		"machine alone": {files("proc/meminfo", meminfo), 16000 << 10, "/proc/meminfo"},
		"version 2": {files("proc/meminfo", meminfo, "proc/self/cgroup", "0::/a/b\n",
			"sys/fs/cgroup/a/b/memory.max", "4096000\n"), 4096000, "/sys/fs/cgroup/a/b/memory.max"},
		"version 2, a group above has less": {files("proc/meminfo", meminfo, "proc/self/cgroup", "0::/a/b\n",
			"sys/fs/cgroup/a/b/memory.max", "4096000\n", "sys/fs/cgroup/a/memory.max", "2048000\n"), 2048000, "/sys/fs/cgroup/a/memory.max"},
		"version 2, none": {files("proc/meminfo", meminfo, "proc/self/cgroup", "0::/a\n",
			"sys/fs/cgroup/a/memory.max", "max\n"), 16000 << 10, "/proc/meminfo"},
		"version 2, more than there is": {files("proc/meminfo", meminfo, "proc/self/cgroup", "0::/\n",
			"sys/fs/cgroup/memory.max", "99999999999\n"), 16000 << 10, "/proc/meminfo"},
		"version 2, a container": {files("proc/meminfo", meminfo, "proc/self/cgroup", "0::/../../system.slice/x\n",
			"sys/fs/cgroup/memory.max", "1000000\n"), 1000000, "/sys/fs/cgroup/memory.max"},
		"version 1": {files("proc/meminfo", meminfo, "proc/self/cgroup", "5:cpu:/c\n4:hugetlb,memory:/m\n0::/\n",
			"sys/fs/cgroup/memory/m/memory.limit_in_bytes", "512000\n"), 512000, "/sys/fs/cgroup/memory/m/memory.limit_in_bytes"},
		"version 1, a container": {files("proc/meminfo", meminfo, "proc/self/cgroup", "4:memory:/docker/abc\n",
			"sys/fs/cgroup/memory/memory.limit_in_bytes", "512000\n"), 512000, "/sys/fs/cgroup/memory/memory.limit_in_bytes"},
		"version 1, none": {files("proc/meminfo", meminfo, "proc/self/cgroup", "4:memory:/\n",
			"sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n"), 16000 << 10, "/proc/meminfo"},
		"no meminfo": {files("proc/self/cgroup", "0::/\n", "sys/fs/cgroup/memory.max", "7\n"), 7, "/sys/fs/cgroup/memory.max"},
		"nonsense": {files("proc/meminfo", meminfo, "proc/self/cgroup", "\n:\n0:\nx:memory\n0::\n",
			"sys/fs/cgroup/memory.max", "-5"), 16000 << 10, "/proc/meminfo"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, source, err := MemoryLimit(tc.root)
			require.NoError(t, err)
			require.Equal(t, tc.want, got)
			require.Equal(t, tc.source, source)
		})
	}
	for name, meminfo := range map[string]string{"nothing": "", "zero": "MemTotal: 0 kB\n", "too much": "MemTotal: " + strconv.Itoa(1<<62) + " kB\n", "too much by far": "MemTotal: " + strconv.Itoa(1<<54+1) + " kB\n", "unit": "MemTotal: 5 MB\n"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, _, err := MemoryLimit(files("proc/meminfo", meminfo))
			require.ErrorIs(t, err, ErrNoMemoryLimit)
		})
	}
	t.Run("here", func(t *testing.T) {
		t.Parallel()
		if runtime.GOOS != "linux" {
			t.Skip("Linux has these files")
		}
		got, source, err := MemoryLimit(os.DirFS("/"))
		require.NoError(t, err)
		require.Positive(t, got)
		require.NotEmpty(t, source)
	})
}
