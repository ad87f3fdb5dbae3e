// Package client is the Go SDK of the secure socket service: a TLS connection that the service makes or accepts, validates
// and holds, as a [net.Conn] of this process.
//
// [Dial] names a service and returns a [Client]; [Dialer] says how a connection is to be made; [Conn] is the connection;
// [Listener] accepts connections at the service's machine; [Transport] speaks HTTP over such connections, HTTP/2 included.
// [Client.Probe] and [Client.ValidateChain] judge a peer or a chain and leave nothing behind; [Client.AddCertificates] and
// its like change what the caller's sessions trust. For sessions that outlive a connection, and for everything else in the
// contract, [Client.Service] and [Client.Raw] give the generated clients.
//
//	c, err := client.Dial("unix:///run/securesocket.sock")
//	conn, err := c.DialContext(ctx, "tcp", "example.com:443")
//
// # What it is not
//
// TLS ends in the service: the way between this process and the service is as private as the address given to Dial
// makes it (a Unix socket, loopback, or TLS at a grpcs address). A Conn is one connection of one session
// that goes with it. No connection to a peer is ever made a second time behind the caller's back; without
// [Dialer].Resumable nothing is retried at all, and a Conn ends with the stream that carries it. Neither the environment
// nor flags are read.
//
// # Who calls
//
// At a Unix socket the service sees which user calls. At a grpcs address, which is TLS 1.2 or later, it wants a client
// certificate ([WithCertificateFiles]) or a token ([WithToken], [WithTokenFile]), as its operator has it:
//
//	c, err := client.Dial("grpcs://service.example:7443", client.WithCAFile("ca.pem"), client.WithTokenFile("token"))
//
// Certificates are read again for every connection and tokens for every call, so that files may be replaced while the
// program runs. A connection that is there already stays as it is. This package keeps no token, and puts none into an
// error. What is wrong on the way to the service is told with what would mend it; see [Error].
//
// # Plain connections and STARTTLS
//
// Where a protocol asks for TLS in its own words, [Dialer].StartTLSProtocol has the service speak them: the Conn is secure
// from its first byte, and [Conn.Greeting] has what the peer said before. For any other protocol [Dialer.DialPlain] makes a
// connection without TLS, and [Conn.StartTLS] enters it, between two bytes of each direction: those that Read has returned
// and Write has taken over are in clear, all others are not. What was written for TLS never leaves without, and what the
// peer sent before TLS is never read as if it had come after. [Conn.Encrypted] tells which it is. A plain connection has no
// authentic end: io.EOF is what the network says.
//
// # Listening
//
// [Client.Listen] has the service listen, where its operator allows it, and returns a [Listener], a net.Listener:
// http.Serve works on it. [ListenConfig] has what is shown to peers and what they have to show. A connection that is
// accepted is like one that was dialled, in the server's role of TLS; or plain, for [Conn.StartTLSServer].
//
// # Proxies
//
// [Dialer].Proxy names a proxy that the service goes through, by CONNECT or SOCKS 5; TLS is with the peer all the same. How
// this process reaches the service is another matter: [WithContextDialer].
//
// # Questions
//
// In the handshake the service may ask back over the stream. [Dialer].Decide answers whether a certificate with problems is
// acceptable, and a key that stays in this process ([CallerHeldIdentity]) signs. What the caller does not answer in time
// is refused.
//
// # Bytes
//
// A Conn is one gRPC stream on an HTTP/2 connection that it may share with others ([Dialer].Dedicated). HTTP/2's flow
// control bounds both directions: a Conn that is not read holds at most 1 MiB and what the stream's window lets in, and
// then the service stops reading from the peer; what is written and not yet taken by the service is at most 256 KiB, and
// then Write waits. Of a plain connection the service keeps what it has sent, up to 256 KiB, until Read has returned it: it
// may turn out to be the beginning of TLS.
//
// # Resuming
//
// With [Dialer].Resumable a Conn survives its stream. When that breaks, because the network, the way between here and the
// service, or an HTTP/2 connection does, the Conn attaches to its session with another one: at once, then after pauses
// of up to 100 ms that grow to 5 s, for as long as the service keeps the session (detach_grace, 60 s unless
// Dialer.Settings says otherwise) and 5 s more. The TLS connection to the peer is the same one throughout. Nothing is lost,
// doubled or swapped: what was written is kept here, 1 MiB at most, until the service has it, and what the peer has sent
// is kept there, 1 MiB unless Settings.ReceiveBufferBytes says otherwise, until Read has returned it. Meanwhile Read
// returns what has come and waits, Write fills the buffer and waits, deadlines go on, Close goes on trying within its own
// limits. [Dialer].OnResume tells. An answer of Dialer.Decide that was lost is sent again, and not asked for again.
//
// A Conn that could not come back ends, in both directions, with an *Error:
//
//	SESSION_EXPIRED    the grace is over. The metadata says what had become of the bytes: accepted_bytes are with the
//	                   service, written_bytes of them reached the peer's socket, received_bytes came from the peer. Said
//	                   by this side, where the service could not be reached, it is what this side knows for certain.
//	SUPERSEDED         another process has resumed the session, and has it now.
//	SESSION_NOT_FOUND  the session is gone: deleted, or the service was started again. The metadata has the same, as this
//	                   side knows it.
//	any other          what the service had against the attach, or how the peer's connection ended meanwhile.
//
// The service learns from acks, one for every 64 KiB or 25 ms, what it need not keep. Once the connection has ended, its
// session stays until the last byte is read, or the Conn closed.
//
// A process that is killed does not have to lose the connection: [Conn.Bookmark] is what another one needs for
// [Dialer.Resume]. What the old one has written, and the service had not yet taken, is lost with it, and Conn.SentOffset
// says from where to write again. What it has read is lost as well unless Dialer.ManualAck left it to the program to say
// what it has dealt with.
//
// # Concurrency
//
// Every method of every type may be called from several goroutines at once; the fields of a Dialer or a Transport must
// not change once it is used. Each Conn has two goroutines, both of which end with its last stream, and one more for each
// question of its handshake:
//
//	receive  started by Dial, Resume or adopt, ends when the last stream has; makes streams, reads frames, runs Dialer.OnEvent
//	         and OnResume; if a resumable connection was aborted it then takes 3 s at most to tell the service
//	send     started by Dial, Resume or adopt, ends with receive or before; writes frames, but those that Write and Read send
//	answer   started by receive, ends when Dialer.Decide, or the key of a caller-held identity, returns
//
// A Listener has one, and one more for each session on its way to Accept; Listener.Close waits for them:
//
//	accept   started by Listen, ends with the Listener; makes the streams that give out sessions, and receives from them
//	adopt    started by accept, Backlog of them at most; attaches to a session, ends when it is ready or has failed
//
// Nobody waits for answer: its context ends with the question, so that one that heeds it does not outlive a dial, and
// the one that does not, harms nothing.
//
// The stream ends with Conn.Close, with Conn.Abort, with the end of the connection in the service, with the way to the
// service unless the Conn comes back, and with Client.Close. A Transport has one goroutine for each dial under way, which ends with the dial, and
// those of net/http for each HTTP connection, which end with the connection.
//
// # Errors
//
// What the service or the way to it says is an [*Error]: a reason out of a closed set, who can mend it ([Error.Side]) and
// how ([Error.Remedy]). It answers errors.Is as a user of package net expects. What is about the caller's own doing is
// what package net says: net.ErrClosed after Close, os.ErrDeadlineExceeded after a deadline, io.EOF after the peer's
// close_notify, on a plain connection its FIN, and for nothing else.
package client
