// Package starttls opens an application protocol on a plain connection until its peer lets the connection become TLS:
// SMTP (RFC 3207), LMTP (RFC 2033), IMAP (RFC 9051), POP3 (RFC 2595), FTP (RFC 4217), LDAP (RFC 4511, section 4.14),
// XMPP (RFC 6120, section 5), NNTP (RFC 4642), ManageSieve (RFC 5804), PostgreSQL and MySQL.
//
// A protocol is a function that speaks a [dialogue] and a row of the table in open.go. All of them read through one
// reader, which takes single bytes or exact lengths, so that nothing is taken that belongs to the handshake, and which
// bounds what a peer can make it read and keep.
//
// # What can be believed
//
// Nothing: whoever sits on the wire may have written all of it, the refusal and the greeting too. So what the peer says is
// shown and thrown away; capabilities decide about nothing but whether TLS is asked for, and without TLS there is no
// success. Bytes behind the last reply end the dialogue (RFC 3207, section 6). Lines end with CR LF and nothing else, since
// two readers that disagree about lines disagree about who wrote them.
//
// # Not here
//
// The handshake (package tlsengine), dialling, and what follows under TLS. There the caller begins the protocol anew, as
// each of them demands, except with MySQL: see [Open].
//
// # Concurrency
//
// A connection belongs to [Open] until it returns. [Pending] may run beside anything. No goroutine outlives a call.
//
// # Errors
//
// What the peer did: [RefusedError], [ReplyError], [InjectionError], an io.ErrUnexpectedEOF. What the network did, as it
// comes. What this side did: [ErrUnknownProtocol] and the cause of the context.
package starttls
