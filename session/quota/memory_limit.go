package quota

import (
	"errors"
	"io/fs"
	"math"
	"path"
	"strconv"
	"strings"
)

// ErrNoMemoryLimit says that the machine does not tell how much memory there is.
var ErrNoMemoryLimit = errors.New("the machine does not tell its memory")

// MemoryLimit finds how many bytes this process may have: the smallest of what its
// control groups (version 2 and 1) and those above them allow, and what the machine
// has. Source is the file that says so. The root is that of the file system,
// os.DirFS("/"); elsewhere than on Linux it has no such files.
func MemoryLimit(root fs.FS) (bytes int64, source string, err error) {
	bytes = math.MaxInt64
	least := func(name string, n int64, ok bool) {
		if ok && n > 0 && n < bytes {
			bytes, source = n, "/"+name
		}
	}
	const meminfo = "proc/meminfo"
	total, ok := memTotal(readText(root, meminfo))
	least(meminfo, total, ok)
	for _, name := range groupFiles(readText(root, "proc/self/cgroup")) {
		// "max" is no limit and no number; version 1 says a number near 2^63, which is
		// more than the machine has.
		n, err := strconv.ParseInt(strings.TrimSpace(readText(root, name)), 10, 64)
		least(name, n, err == nil)
	}
	if source == "" {
		return 0, "", ErrNoMemoryLimit
	}
	return bytes, source, nil
}

// groupFiles are the files with a limit for the groups of /proc/self/cgroup. In a
// container the path there may be that of the host, and only the root is to be seen:
// so every folder upwards is asked, whether it exists or not.
func groupFiles(groups string) (names []string) {
	for entry := range strings.Lines(groups) {
		// hierarchy ID, controllers, path; see cgroups(7)
		_, rest, _ := strings.Cut(strings.TrimSpace(entry), ":")
		controllers, group, ok := strings.Cut(rest, ":")
		var mount, file string
		switch {
		case ok && controllers == "":
			mount, file = "sys/fs/cgroup", "memory.max"
		case ok && hasController(controllers, "memory"):
			mount, file = "sys/fs/cgroup/memory", "memory.limit_in_bytes"
		default:
			continue
		}
		for dir := path.Clean("/" + group); ; dir = path.Dir(dir) {
			names = append(names, path.Join(mount, dir, file))
			if dir == "/" {
				break
			}
		}
	}
	return names
}

func hasController(controllers, name string) bool {
	for c := range strings.SplitSeq(controllers, ",") {
		if c == name {
			return true
		}
	}
	return false
}

func memTotal(meminfo string) (bytes int64, ok bool) {
	for entry := range strings.Lines(meminfo) {
		// "MemTotal:       16384 kB", see proc_meminfo(5)
		if f := strings.Fields(entry); len(f) == 3 && f[0] == "MemTotal:" && f[2] == "kB" {
			kib, err := strconv.ParseInt(f[1], 10, 64)
			return kib << 10, err == nil && kib > 0 && kib <= math.MaxInt64>>10
		}
	}
	return 0, false
}

// readText is a file's text; empty if there is none.
func readText(root fs.FS, name string) string {
	b, err := fs.ReadFile(root, name)
	if err != nil {
		return ""
	}
	return string(b)
}
