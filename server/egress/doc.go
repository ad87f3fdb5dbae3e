// Package egress decides which targets the service may dial.
//
// The service dials on behalf of callers from a place in the network where
// the callers are not: whoever can choose the target can try to reach the
// loopback, the private network, a cloud's metadata service, or the service
// itself. A [Policy] is the answer. The rules are asked in this order, and the
// first that applies decides:
//
//  1. what the operator denied explicitly is denied;
//  2. the service's own listening addresses are denied; nothing frees them;
//  3. what the operator allowed explicitly is allowed;
//  4. built-in classes are denied: addresses that are not globally reachable
//     by IANA's special-purpose registries (RFC 6890) and a few more (see
//     special.go), names that mean the local host or a metadata service, and
//     port 25;
//  5. everything else is allowed when no allow list was given, and denied
//     when one was, even an empty one.
//
// An allow rule about *.NAME or * satisfies the allow list of the last step, and
// does not free from the built-in classes. An IPv6 address that carries an IPv4
// address (see embedded.go) is judged for both: whoever allows the outer address
// has not allowed the inner one, and a deny rule about the inner one is enough.
//
// Explicit rules come from a file ([ParseFile] has its format) and, to allow, from
// --egress-allow. They may be about callers, ports and a CEL condition. In
// [ModeReport] the first and the last step are reported and not enforced; the second
// and the fourth always are.
//
// # How to use it
//
// [ParseHost] turns what the caller wrote into a [Target]; [Policy.CheckName]
// is asked before DNS; [Policy.CheckAddr] is asked for each resolved address,
// and once more in net.Dialer.ControlContext for the address that is really
// dialled. Only CheckAddr opens the way: CheckName only saves a DNS query
// that could not have helped, and the leak that the query would be.
// [Policy.Explain] shows an administrator the same, rule by rule.
//
// # What it does not do
//
// It resolves nothing, dials nothing, reads no file and counts nothing: limits of
// rate are elsewhere. A caller is a text that somebody else vouches for. It takes
// the local interface addresses once, in [New]; make a new Policy when they change.
//
// # Concurrency
//
// A Policy is an immutable snapshot: all its methods may run at once. To change
// the policy, store another one in a [Live].
//
// # Errors
//
// [SyntaxError] (of which [ErrEmptyHost] is one case) is the caller's mistake,
// [DeniedError] is the policy's decision, [RuleError] and [FileError] are the
// operator's mistakes. All may hold text that came from outside; their Error
// methods quote and cut it.
package egress
