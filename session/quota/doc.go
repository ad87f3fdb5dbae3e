// Package quota counts what callers use up, each for himself and all together,
// and says no, or not yet, beyond a limit.
//
//	Pool          what is held and given back: handshakes, connections, buffered bytes
//	Rate          how often something may be done: attaches, connects
//	Destinations  how many new destinations a second a caller may turn to
//	Shaper        bytes a second; it delays instead of refusing
//	Memory        how near the process is to its memory's limit
//	Descriptors   a Pool of file descriptors, with a reserve
//
// An owner is whoever the limits are counted for, by any text: a caller's
// principal, a session's ID. An owner of whom nothing is held is forgotten; one of
// whom only a rate is remembered is so, as others call, once that has recovered.
// So memory is bounded by the limits themselves.
//
// There is no such thing as unlimited: a limit of 0 or less lets nothing through.
//
// An owner who is refused by his own limit has taken nothing from anybody else,
// not even for a moment. Refusals take nothing at all.
//
// # Not here
//
// Which limits there are and what they are by default; who the caller is; what a
// caller is told; what is shed when memory is short. It does no I/O, except that
// [NewDescriptors] and [MemoryLimit] look at the machine when they are called.
//
// # Concurrency
//
// Every method of every type may run beside every other. Only [Flow.Wait] waits.
// There are no goroutines; a Shaper in which somebody waits has a timer.
//
// # Cost
//
// Every call is O(1), amortised where something old is forgotten on the way. Owners
// are spread over locks of their own; what is counted in all is one atomic number.
//
// # Errors
//
// Whatever is refused is an [Error]. A wait that was given up ends with its context's
// cause, and a machine that does not tell its memory is [ErrNoMemoryLimit].
package quota
