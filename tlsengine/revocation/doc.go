// Package revocation finds out whether the certificates of a verified chain were revoked: by the OCSP response that came
// with the handshake (RFC 6066, section 8), by CRLs (RFC 5280, sections 5 and 6.3) and by OCSP (RFC 6960).
//
// What is at hand is all looked at: the staple, the cache, the CRLs that the caller gave. One that says revoked is final;
// one that says good ends the question. Only when none of them says anything definite are the certificate's own sources
// asked, CRLs first, three at most and over http alone. What cannot be used, for whatever reason, says nothing: it is
// never taken for good, and Result.Detail says what was wrong with it.
//
// A CRL is read as a stream, and of its entries only a digest is kept, within bounds. SHA-1 signatures of OCSP responses and
// CRLs are accepted, MD5 ones are not. Signed answers carry no nonce, since they are shared.
//
// It does not verify chains, follow indirect CRLs, combine CRLs for some reasons only, apply delta CRLs, or ask whether a
// delegated OCSP responder was revoked itself.
//
// # Concurrency
//
// A Checker serves any number of callers at once. The sources of four certificates of a chain are asked beside each other,
// and one fetch serves all questions of one owner that want the same from the same source. It belongs to all of them: it
// ends with its answer, when the last of them has gone, or after five seconds. Its starter pays for it with his turns
// (Query.Turn) and his allowance; when these do not suffice, the others start it anew.
//
// These are the goroutines. A panic in any of them is recovered, told to Config.Panicked, never remembered, and a reason
// for NotChecked.
//
//	name     started by                 ends when                                          owns           who waits for it
//	asking   Check, four at most        the certificates are asked about                   its question   Check
//	flight   the first who wants it     it has its answer, or soon after its context ends  one fetch      nobody: those who want it wait for its answer or for their own contexts
//
// # Between owners
//
// What is not at hand takes a way over the network, and whoever asks can tell. So answers, failures and fetches under way
// are found by the owner (Query.Owner) who has asked before, and by nobody else. Nor are the bytes of a CRL kept for all and
// only confirmed for each by a conditional GET: its server, which may be an owner's own, would see in the validator that
// another has the CRL. An authority is therefore asked by each owner, as if each came by himself; one that is down is asked
// in vain once in some minutes by each, for each thing that he wants from it.
//
// The memory is everybody's. Each owner has an equal part of the cache, among those of whom there is anything, and loses of
// what he has beyond that alone; of the room for CRLs that are being read he takes half at most. That others hold much can
// be felt by one who holds more than his part, and of what they hold nothing.
//
// # Cost
//
// One Check makes 16 fetches at most and reads 64 MiB from them. What is at hand is read by the caller's goroutine, each
// given CRL once for all certificates, with 128 signatures of given CRLs at most. Whatever is parsed or verified is so with
// a turn, which is given back in between: after each given CRL, and whenever the network is read.
//
// # Errors
//
// There are none: what went wrong is the Detail of a Result that is NotChecked.
package revocation
