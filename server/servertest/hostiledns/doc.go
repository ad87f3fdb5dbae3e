// Package hostiledns is a name server (RFC 1035) as nobody wants one: it answers
// over UDP and TCP on loopback what a test's script says, which may be another
// address for every question, more than fits, something else than was asked for,
// or bytes that are no message.
//
// A [Script] gives a [Reply] for each question; replies are made by functions of
// this package and by those that change another reply, such as [Late] and
// [WrongID]. [Server.Resolver] is Go's own resolver, asking this server alone.
//
// Questions are answered beside each other, so that a Script must be fit to run at
// once with itself. The server ends with its test, and waits for what it began.
//
// For tests only.
package hostiledns
