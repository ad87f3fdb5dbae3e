// Package metrics is what an operator counts: Prometheus metrics on a registry of
// their own.
//
// A [Metrics] is told of what happens ([Metrics.Ended], [Metrics.Refused] and so
// on), sees RPCs through its interceptors, and asks for what there is now when it
// is scraped, through the functions of its [Config].
//
// # Closed labels
//
// No label holds a host, an address, a principal, a session's label, or any other
// text that a caller or a peer chose: whoever could would make a series of each, and
// each costs memory here and in every monitoring system behind. Every set of labels
// is closed by construction: a value that is not in it is counted as OTHER. Values
// that stand for names of the contract are these names without their prefix, as in
// EGRESS_DENIED.
//
// All series with the prefix securesocket_ are there from the first scrape on, so a
// rate is right from the first event, and nothing that happens later adds one. RPCs
// have at most [MaxRPCSeries] series, and those of a method appear when it is
// called.
//
// # What it does not do
//
// It serves nothing: [Metrics.Handler] is to be mounted by whoever has a listener
// for operators. It logs nothing, and decides nothing.
//
// # Concurrency
//
// Everything may be called at once, and nothing waits for a scrape. There is no
// goroutine, and no state outside of a Metrics.
//
// # Errors
//
// None: what cannot be read, such as the descriptors of a hardened process, is
// absent.
package metrics
