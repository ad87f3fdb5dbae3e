// Package identity holds what one side of a TLS handshake shows of itself: a certificate chain (RFC 5280) with its
// private key, or with somebody elsewhere who has the key and signs.
//
// It reads keys in PKCS #8 (RFC 5958), PKCS #1 (RFC 8017) and SEC 1 (RFC 5915), DER or PEM, encrypted by PBES2 (RFC 8018)
// or in the old way of PEM (RFC 1423), and PKCS #12 (RFC 7292). It does not validate the chain, does not know whether a
// peer will like it, and never gives a key out.
//
// # Bounds
//
// An encrypted key names its own cost. The cost is read and refused before it is paid, as is every size.
//
// # Secrets
//
// No error and no printed form has bytes of a key or a passphrase in it, nor a text of a library that was given them.
//
// What this package decodes or decrypts on the way to a key it clears, whether the key is taken or not: blocks of PEM,
// decrypted PKCS #8, the parts of a PKCS #12 file. Not cleared is what others make of it. The standard library and
// go-pkcs12 copy while they parse, and let go of the copies. A passphrase is a string, which nobody can clear.
//
// The key itself lives as long as its Identity and the handshakes that use it, and is not overwritten after them. That
// could not be promised: crypto/rsa, crypto/ecdsa and crypto/ed25519 keep forms of their own where nobody outside can reach
// them, so that to wipe the numbers beside would remove one copy of several; and it would not be safe, for nothing says
// when the last handshake has read them. Built with GOEXPERIMENT=runtimesecret, on Linux on amd64 and arm64, the collector
// erases what parsing has left, the libraries' copies and the key included, as it frees it; but not what a signature has
// made of the key.
//
// # Concurrency
//
// An [Identity] may be used by any number of handshakes at once. All functions may run at the same time.
//
// # Errors
//
// An [InputError] is about what was handed over. A [SignError] is about the holder of a key, in a handshake.
package identity
