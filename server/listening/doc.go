// Package listening decides at which addresses and ports of the service's machine callers may listen.
//
// A listening socket takes connections from whoever reaches it, in the name of
// a machine that is not the caller's. A [Policy] is what the operator thinks of
// that. It is asked in this order, and the first that applies decides:
//
//  1. nobody listens anywhere when the operator says "none";
//  2. multicast addresses are denied;
//  3. loopback addresses (127.0.0.0/8 and ::1) are allowed, at the ports from 1024 on;
//  4. what a rule of the operator's covers is allowed;
//  5. everything else is denied.
//
// # Unspecified addresses
//
// 0.0.0.0 and :: are no addresses of the machine but all of them, those included
// that it will have tomorrow. They need a rule that names them: no prefix covers
// them, not even 0.0.0.0/0. Such a rule covers each single address as well, since
// it gives nothing away that it has not given already: 0.0.0.0 every IPv4
// address, and :: every IPv6 address. For this to be true a socket at :: has to
// take IPv6 connections alone (IPV6_V6ONLY, RFC 3493 section 5.3).
//
// # What it does not do
//
// It opens nothing, and knows neither the addresses that the machine has nor the
// ports that are taken. It does not know who asks. A port below 1024 that a rule
// allows may still need a right that the service does not have.
//
// # Concurrency
//
// A Policy is an immutable snapshot: all its methods may run at once.
//
// # Errors
//
// [DeniedError] is the policy's decision, [RuleError] is the operator's mistake.
// Their Error methods quote and cut what came from outside.
package listening
