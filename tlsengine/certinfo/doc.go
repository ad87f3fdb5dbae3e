// Package certinfo reads from a certificate what crypto/x509 leaves out: distinguished names as they were encoded, unique
// identifiers, algorithm identifiers and the bare public key (RFC 5280, section 4.1).
//
// It describes and never judges. Its results own their memory, except for the byte slices, which point into the
// certificate's DER and must not be modified. All functions may run at the same time.
package certinfo
