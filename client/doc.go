// Package client is the Go SDK of the secure socket service: a TLS connection that the service makes, validates and
// holds, as a [net.Conn] of this process.
//
// [Dial] names a service and returns a [Client]; [Dialer] says how a connection is to be made; [Conn] is the connection;
// [Transport] speaks HTTP over such connections, HTTP/2 included. [Client.Probe] and [Client.ValidateChain] judge a peer
// or a chain and leave nothing behind; [Client.AddCertificates] and its like change what the caller's sessions trust. For
// sessions that outlive a connection, and for everything else in the contract, [Client.Service] and [Client.Raw] give the
// generated clients.
//
//	c, err := client.Dial("unix:///run/securesocket.sock")
//	conn, err := c.DialContext(ctx, "tcp", "example.com:443")
//
// # What it is not
//
// TLS ends in the service: the way between this process and the service is as private as the address given to Dial
// makes it (a Unix socket, loopback, or transport credentials by [WithGRPC]). A Conn is one connection of one session
// that goes with it; it does not survive the stream that carries it. Nothing is retried behind the caller's back.
// Neither the environment nor flags are read.
//
// # Questions
//
// In the handshake the service may ask back over the stream. [Dialer].Decide answers whether a certificate with problems is
// acceptable, and a key that stays in this process ([CallerHeldIdentity]) signs. What the caller does not answer in time
// is refused.
//
// # Bytes
//
// A Conn is one gRPC stream on an HTTP/2 connection that it may share with others. HTTP/2's flow control bounds both
// directions: a Conn that is not read holds at most 1 MiB and what the stream's window lets in, and then the service
// stops reading from the peer; what is written and not yet taken by the service is at most 256 KiB, and then Write
// waits.
//
// # Concurrency
//
// Every method of every type may be called from several goroutines at once; the fields of a Dialer or a Transport must
// not change once it is used. Each Conn has two goroutines, both of which end with its stream, and one more for each
// question of its handshake:
//
//	receive  started by Dial, ends when the stream has ended; reads frames, runs Dialer.OnEvent
//	send     started by Dial, ends after the closing frame or with the stream; writes frames
//	answer   started by receive, ends when Dialer.Decide, or the key of a caller-held identity, returns
//
// Nobody waits for the last: its context ends with the question, so that one that heeds it does not outlive a dial, and
// the one that does not, harms nothing.
//
// The stream ends with Conn.Close, with Conn.Abort, with the end of the connection in the service, with the way to the
// service, and with Client.Close. A Transport has one goroutine for each dial under way, which ends with the dial, and
// those of net/http for each HTTP connection, which end with the connection.
//
// # Errors
//
// What the service or the way to it says is an [*Error]: a reason out of a closed set, who can mend it ([Error.Side]) and
// how ([Error.Remedy]). It answers errors.Is as a user of package net expects. What is about the caller's own doing is
// what package net says: net.ErrClosed after Close, os.ErrDeadlineExceeded after a deadline, io.EOF after the peer's
// close_notify and for nothing else.
package client
