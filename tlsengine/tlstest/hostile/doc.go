// Package hostile has TLS servers and clients that mean harm, for tests: what crypto/tls never sends. A handshake is crypto/tls's, of
// which the key log tells the traffic secrets; what comes after it, or instead of its flight, is sealed here.
//
// Between is neither: it stands on the way, and changes what passes.
//
// It knows the AEAD suites of TLS 1.3 (RFC 8446, section 7.3) and AES-128-GCM under TLS 1.2 (RFC 5288). A Script is one
// peer; each of them goes on until the other side has ended the connection, and ends with the test at the latest.
package hostile
