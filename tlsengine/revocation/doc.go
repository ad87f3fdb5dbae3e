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
// A Checker serves any number of callers at once. The certificates of a chain are asked about beside each other, and one
// fetch serves all who want the same. It belongs to all of them: it ends with its answer, when the last of them
// has gone, or after five seconds.
//
// # Errors
//
// There are none: what went wrong is the Detail of a Result that is NotChecked.
package revocation
