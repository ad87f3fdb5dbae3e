// Package proxy asks an outbound proxy for a connection to the peer: by HTTP
// CONNECT (RFC 9110, section 9.3.6; RFC 9112), or as SOCKS version 5 (RFC 1928)
// with a username and password (RFC 1929).
//
// [Ask] speaks over a connection that is there already, and leaves it as the
// connection to the peer: it reads exactly what the proxy says about the request
// and no byte more, so that nothing is lost of a peer that speaks first. Whatever
// comes afterwards is the caller's to read.
//
// # Not here
//
// Dialling the proxy, the judgement of its address and of the target's, and names:
// the proxy is asked for an address, never for a host. TLS to the proxy,
// authentication other than Basic and RFC 1929's, SOCKS version 4, BIND and UDP.
//
// # Concurrency
//
// Ask may run beside itself on other connections. While it runs, its connection is
// its own. It waits for the one goroutine that it may start, which moves the
// connection's deadlines when the context ends.
//
// # Errors
//
// The proxy said no: [RefusedError]. What answers is no such proxy: [ReplyError].
// The configuration cannot be spoken: [ConfigError]. Everything else is about the
// connection or the context and is wrapped, an end of the connection as
// [io.ErrUnexpectedEOF]. None holds the password, in no encoding.
package proxy
