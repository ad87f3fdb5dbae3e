// Package h2attack speaks HTTP/2 (RFC 9113) to a gRPC server as its enemies do:
// floods of frames that cost the sender nothing, headers that grow when they are
// unpacked, streams that the server is made to reset, paths that are not quite
// those of a method, messages that announce more than they bring, and
// connections on which nothing happens.
//
// Each [Attack] uses connections of its own, TLS or not, as the [Dialer] makes
// them; it is bounded in frames and in time, and tells what it saw. It judges
// nothing: what a server has to do is up to the test.
//
// Attacks may run beside each other. Their errors are of this side alone: a
// connection that could not be made, a context that ended. What the server does
// to a connection is in the [Result].
//
// For tests only.
package h2attack
