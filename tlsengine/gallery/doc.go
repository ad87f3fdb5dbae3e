// Package gallery is a collection of bad servers, and of good ones among them, behind one port: each host has one flaw, in
// its certificate, its chain, what is known of its revocation, or its way to speak TLS. The visitor chooses one by the
// name that he sends (SNI). Without TLS the same port shows a page that lists them all with what a good client says about
// each, the root certificate, and the revocation lists and OCSP answers that the certificates point to.
//
// It needs no network and is made anew at every start: keys, root and all. It is for tests, through the wire and by hand,
// and for people who want to see what a verdict looks like. Some of what it knows about time (staples, revocation lists)
// stays fresh for a week.
//
// It shows hosts; it judges nothing. What [Host] expects is written down by hand, and tests compare.
//
// # Concurrency
//
// A [Gallery] does not change after [New]; its methods may run beside each other, Serve several times too. Every connection
// has a goroutine of Serve, which waits for all of them before it returns.
//
// # Errors
//
// New fails for an address that cannot be one, and where a certificate cannot be minted. Serve returns what accepting
// failed with, and nil when its context ended. A visitor's mistakes are his own: nothing is returned or logged.
package gallery
