package benchpeers

import "syscall"

// spareDescriptors is what a process needs beside those of its sessions.
const spareDescriptors = 400

// raiseDescriptors lets this process, and those it starts, have as many descriptors as it may, at least wanted if that is
// allowed, and returns how many that is. The runtime would give its children back what this process began with; a limit
// that is set explicitly stays.
func raiseDescriptors(wanted uint64) uint64 {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return 1024 // what every system gives
	}
	raised := syscall.Rlimit{Cur: max(wanted, limit.Max), Max: max(wanted, limit.Max)}
	if syscall.Setrlimit(syscall.RLIMIT_NOFILE, &raised) == nil {
		return raised.Cur
	}
	limit.Cur = limit.Max
	if syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit) != nil {
		return 1024
	}
	return limit.Cur
}

// mostSessions is how many sessions every way can hold with so many descriptors. A proxy has two for each, and stunnel
// takes no more than 125 clients for 256 descriptors.
func mostSessions(descriptors uint64) int {
	if descriptors <= 2*spareDescriptors {
		return 0
	}
	return int(min((descriptors-spareDescriptors)*125/256, 1<<20)) / 100 * 100 //nolint:gosec // at most 1<<20
}
