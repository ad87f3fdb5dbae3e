// Package durable keeps small values over a restart, by bucket and key, in one file of a folder that belongs to the
// service alone.
//
// It knows nothing of what the values mean, and keeps no secret: the file is not encrypted. [Memory] is the same without
// a file, for a service that is to forget.
//
// A value is on the disk when Put returns. After a crash, also in the middle of a Put, the file opens with every value
// that was acknowledged. Every value carries a checksum, and the whole file is examined as it is opened, before anything
// is mapped into memory or written: what is damaged is refused, and left as it was for whoever repairs it. One kind of
// damage cannot be told from a crash: when only the newest header page is bad, the state before the last Put is opened.
//
// # Concurrency
//
// All methods may run at the same time. Puts and Deletes wait for each other and for the disk; Gets wait for nobody. No
// goroutine is started. One process at a time has the file.
//
// # Errors
//
// ErrNotFound and ErrClosed are values. An [ArgumentError] is the program's; a [LockedError], a [PermissionError], a
// [CorruptError] and a [DiskError], as of a full disk, are for the operator, and say what mends them.
package durable
