// Package forge mints certificates: authorities, chains, revocation lists and OCSP answers, good ones and ones with any
// single flaw, which real authorities would never issue.
//
// It is for tests (package tlstest puts it into their terms) and for the gallery of bad servers. Nothing in it is fit for
// anything else: keys lie in the open, and nobody is asked whether a name is his. What is minted is valid from an hour ago
// for a year unless an option says otherwise.
//
// # Concurrency
//
// Authorities and identities are not changed by minting below them: all methods may run beside each other, except for
// [Identity.Append], which changes its receiver.
//
// # Errors
//
// Errors tell which certificate could not be minted and wrap what crypto/x509 said. They are mistakes of the caller, such
// as a signature algorithm that does not fit the issuer's key. A wrong option is reported when it is used.
package forge
