package starttls

import "net"

// Pending reports whether a byte of the peer could be read from conn now, without waiting, and takes none. The end of a
// connection is no byte; of a connection that has failed it reports false, whatever came before, and leaves the failure to
// the next read. The error is that of a closed connection or of the system, in rare cases a reset that came at this moment.
//
// Only connections of package net over TCP and Unix sockets, on Unix systems, can be asked; with others it is false, nil:
// what wraps a socket may hold bytes that nobody sees from here. It may run beside reads and writes, and heeds no deadline.
func Pending(conn net.Conn) (bool, error) { return pending(conn) }
