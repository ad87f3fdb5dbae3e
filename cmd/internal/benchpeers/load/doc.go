// Package load makes traffic and measures it: a TLS peer on loopback that sends, takes or returns bytes as it is asked to,
// and the far side of it, which opens sessions by whatever way a [Dial] knows and says how fast they were. So every way to
// the same peer is measured by the same code.
//
// What is measured is a span of wall time, which on a shared machine is mostly the machine's: only figures of one run,
// taken in turn, may be compared.
//
// # What the peer insists on
//
// TLS 1.3, TLS_AES_128_GCM_SHA256, X25519, an ECDSA P-256 certificate, and a full handshake unless it was started to
// resume: a way that negotiates anything else is refused, as its figures would mean something else.
//
// # Concurrency
//
// A [Session] belongs to one goroutine. The functions that measure start a goroutine for each session or worker and wait
// for all of them. A [Peer] has one for its listener and one for each connection; Close waits for them.
//
// # Errors
//
// Whatever the way or the peer says, wrapped; a measurement is whole or an error. All of them end with their context, and
// by themselves soon after the time they were given.
package load
