// Package picture draws what the service found out about a peer: the verdict, its problems with what mends them, the
// chain as a tree from the trust anchor down to the leaf, and where the time went. It draws the same things twice, as
// text for a terminal and as one SVG.
//
// It judges nothing and asks nobody: all of it is in the service's answer. Most texts in there were chosen by the peer.
// Text escapes them for a terminal; SVG escapes them for a terminal first, which leaves no control and no invisible
// character, and then for XML.
//
// # Concurrency
//
// A Diagnosis is only read, and may be drawn by several goroutines at once.
//
// # Errors
//
// There are none. What an answer does not have is left out, or drawn as a gap.
package picture

import (
	"securesocket/client"
	pb "securesocket/gen/securesocket/v1"
)

// Diagnosis is what is drawn. It is not changed by drawing it.
type Diagnosis struct {
	// Target is what was judged, for people: HOST:PORT, or the name of a file.
	Target string
	// Reply is what the service found; of a chain from a file, its report alone.
	Reply *pb.ProbeResponse
	// FromFile says that the chain was read from a file: there was no connection.
	FromFile bool
	// Added are the certificates that the caller sent along, in DER: those of the path that came from nowhere else.
	Added [][]byte
	// Err is Reply's failure, or why a chain from a file is refused; nil: it is trusted. Its side and remedy are used
	// where no problem of a certificate has its own.
	Err *client.Error
}
