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
// and one fetch serves all who want the same from the same source. It belongs to all of them: it ends with its answer,
// when the last of them has gone, or after five seconds. Its starter pays for it with his turns (Query.Turn) and his
// allowance; when these do not suffice, the others start it anew.
//
// These are the goroutines. A panic in any of them is recovered, told to Config.Panicked, never remembered, and a reason
// for NotChecked.
//
//	name     started by                 ends when                                          owns           who waits for it
//	asking   Check, four at most        the certificates are asked about                   its question   Check
//	flight   the first who wants it     it has its answer, or soon after its context ends  one fetch      nobody: those who want it wait for its answer or for their own contexts
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
