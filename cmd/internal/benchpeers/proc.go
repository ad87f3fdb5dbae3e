package benchpeers

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// tick is the unit of times in /proc, which is the same on every architecture (time(7), USER_HZ).
const tick = 10 * time.Millisecond

// cpuTime is what all threads of a process have used until now, in user and kernel mode (proc_pid_stat(5)).
func cpuTime(pid int) (time.Duration, error) {
	content, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	return parseStat(content)
}

// parseStat reads utime and stime, fields 14 and 15. The second field, in parentheses, may have anything in it.
func parseStat(content []byte) (time.Duration, error) {
	end := bytes.LastIndexByte(content, ')')
	fields := strings.Fields(string(content[end+1:]))
	if end < 0 || len(fields) < 13 {
		return 0, fmt.Errorf("stat has %d fields", len(fields))
	}
	var total time.Duration
	for _, field := range fields[11:13] {
		n, err := strconv.ParseInt(field, 10, 48)
		if err != nil || n < 0 {
			return 0, fmt.Errorf("stat has the time %q", field)
		}
		total += time.Duration(n) * tick
	}
	return total, nil
}

// resident is the memory of a process that is in RAM, in bytes (VmRSS, proc_pid_status(5)).
func resident(pid int) (int64, error) {
	content, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	return parseResident(string(content))
}

func parseResident(status string) (int64, error) {
	for line := range strings.Lines(status) {
		if value, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			n, err := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(value), "kB")), 10, 48)
			if err != nil || n < 0 {
				return 0, fmt.Errorf("status has %q", strings.TrimSpace(line))
			}
			return n << 10, nil
		}
	}
	return 0, fmt.Errorf("status has no VmRSS")
}
