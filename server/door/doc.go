// Package door decides how many connections the API may have: before one knows
// whose they are, and after.
//
// A [Door] wraps the service's listeners. A connection is let in if there is
// room for it, and closed at once (TCP: with a reset) if there is none. At first
// it is unclaimed: it counts for the address it comes from, an IPv4 address or
// an IPv6 /64, or for the user at the other end of a Unix socket. The first RPC that is
// authenticated claims it ([Ticket.Claim]); from then on it counts for its
// caller, and for the first one only, whoever else speaks over it.
//
// # Strangers
//
// An unclaimed connection ends when it is older than Config.SetupTimeout and
// Config.UnclaimedTimeout together. There is one way to stay: RPCs that ask for
// no authentication (health, reflection) are visits, see [Ticket.Visit], and a
// connection may stay while a visit goes on, and for UnclaimedTimeout after the
// last. So a load balancer that asks for health every few seconds, or watches
// it, keeps its connection for as long as it likes. Bytes, pings and RPCs that
// were refused keep nothing alive.
//
// Where the unclaimed have no room left, whoever has most of it gives way: the address
// or user with most connections loses its quietest one, at once, to a newcomer whose own
// has at least two fewer. So whoever comes back without end takes places from himself,
// and from a source that has one it is taken only if none has more. There, and within
// a source that has no room left for itself, the one that has been quiet longest gives
// way if it has been so for a second: whoever means to call has called by then.
//
// TCP and Unix sockets have a part of the room each, three quarters and one. Either may
// have all of it, and gives way down to its part, at once, when the other comes. The last
// two places are for Unix sockets.
//
// # Floods
//
// HTTP/2 has frames that cost the sender nothing and the receiver something. A
// [Door.Meter] counts them over a connection, above its TLS, and ends the
// connection that sends far more of them than its data can explain, with GOAWAY
// ENHANCE_YOUR_CALM (RFC 9113 section 7) where it can still be written.
//
// # RPCs
//
// A caller has so many RPCs at once, over all of his connections, all callers have,
// and all strangers have ([Ticket.Begin]), so that streams that are only opened
// cost a bounded number of goroutines. Of those that need no authentication, a
// connection has 32. An unclaimed connection has 4 RPCs in any case, so that strangers
// keep nobody from his first, and those that go on when it is claimed have to fit into
// what its caller may have. The last part of all RPCs, and of all connections, one at least
// of four, is for callers who have few ([quota.Room]). What HTTP/2 keeps of RPCs that have ended, until their
// answers are taken, is as much again at most.
//
// # Messages that do not end
//
// The bytes of a message lie in memory until its last one has come. The meter adds
// them up, for each caller, for all strangers and for everybody, and ends the
// connection that brings more than Config.Unfinished and UnfinishedPerCaller allow.
//
// # Misuse
//
// A flood would go on over the next connection. So whoever sent one, a caller, or
// the address or local user of a stranger, has no new connection for ten seconds;
// those that he has go on. An unclaimed connection that ends, and a caller's that
// HTTP/2 has to end for an error, cost a little: an address may have twice as many
// of the former as it may have connections at once, and a quarter of that every
// second, a caller 16 of the latter and two every second. Who gave way, stayed too
// long or had no room pays nothing.
//
// # What it does not do
//
// It authenticates nobody, knows no RPC by name, and does not bound handshakes
// in time: the HTTP/2 server has a timeout for that. It does not know sessions.
//
// # Concurrency
//
// All methods of a Door and of a Ticket may run at once. The package has no
// goroutines but those of timers, which end with their connection.
//
// # Errors
//
// [LimitError] says that a caller has no room for another connection, [FloodError]
// that a connection sent too many frames, and [BacklogError] that it did not end
// its messages.
package door
