// Package egress decides which targets the service may dial.
//
// The service dials on behalf of callers from a place in the network where
// the callers are not: whoever can choose the target can try to reach the
// loopback, the private network, a cloud's metadata service, or the service
// itself. A [Policy] is the answer. The rules are asked in this order, and the
// first that applies decides:
//
//  1. the service's own listening addresses are denied; nothing frees them;
//  2. what the operator allowed explicitly is allowed;
//  3. built-in classes are denied: addresses that are not globally reachable
//     by IANA's special-purpose registries (RFC 6890) and a few more (see
//     special.go), names that mean the local host or a metadata service, and
//     port 25;
//  4. everything else is allowed when no allow list was given, and denied
//     when one was, even an empty one.
//
// An IPv6 address that carries an IPv4 address (see embedded.go) is judged for
// both: whoever allows the outer address has not allowed the inner one.
//
// # How to use it
//
// [ParseHost] turns what the caller wrote into a [Target]; [Policy.CheckName]
// is asked before DNS; [Policy.CheckAddr] is asked for each resolved address,
// and once more in net.Dialer.ControlContext for the address that is really
// dialled. Only CheckAddr opens the way: CheckName only saves a DNS query
// that could not have helped, and the leak that the query would be.
//
// # What it does not do
//
// It resolves nothing, dials nothing and counts nothing. It does not know who
// asks: rules by caller and limits of rate are elsewhere. It takes the local
// interface addresses once, in [New]; make a new Policy when they change.
//
// # Concurrency
//
// A Policy is an immutable snapshot: all its methods may run at once. To change
// the policy, swap the pointer.
//
// # Errors
//
// [SyntaxError] (of which [ErrEmptyHost] is one case) is the caller's mistake,
// [DeniedError] is the policy's decision, [RuleError] is the operator's mistake.
// All may hold text that came from outside; their Error methods quote and cut it.
package egress
