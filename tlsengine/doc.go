// Package tlsengine runs one TLS handshake over a connection that the caller has made, and judges the peer's
// certificate chain inside it.
//
// It speaks TLS 1.0 to 1.3 (RFC 2246, 4346, 5246, 8446) through crypto/tls and validates as RFC 5280 and RFC 6125
// ask through crypto/x509. It adds what those two do not give: a report with every problem of every certificate
// instead of the first error, revocation (package revocation), a decision by somebody else in mid-handshake, client
// certificates whose key may be elsewhere (package identity), the alert's number, and the true way in which a connection
// ended.
//
// It does not dial, listen, resolve names or fetch issuers.
//
// # Trust
//
// x509.Certificate.Verify decides, the diagnosis explains. Nothing that explains may raise a verdict. A handshake
// without a verdict fails.
//
// # Concurrency
//
// [Client] and [Server] run on the caller's goroutine and leave no goroutine behind. A [Conn] takes one reader and one
// writer at a time; [Conn.Close] and [Conn.Abort] may be called from anywhere.
//
// # Errors
//
// Every error says who is to blame: [ConfigError] the caller, [CertificateError] the peer's chain, [DecisionError] whoever
// decided about it, identity.SignError the holder of a key, [HandshakeError] the peer's protocol or the pair of
// configurations, [FloodError] a peer that sends what is of no use, [AlertError] whoever sent the alert, [TransportError]
// the connection.
package tlsengine
