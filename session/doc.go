// Package session is a secure socket from its ID to its grave: the registry of
// sessions, their state machine and generations, the bytes that wait in either
// direction, lifecycle events, the stream attached to a session, every deadline,
// and the listeners whose connections become sessions. It knows no RPC: package
// server translates.
//
// A session is created idle and may be connected many times; each connect is a
// new generation with a [connection] of its own. All bytes, offsets and events
// belong to a generation. One stream at most holds a session, an [Attachment];
// buffers belong to the session, never to the attachment. Package resume has
// them, and decides what each side may do next; this package owns the goroutines
// that do it, sockets, states and causes.
//
// # Not here
//
// The TLS handshake and the judgement of a chain (package tlsengine), what is
// kept over restarts (package durable), which byte is where (package resume), how a
// peer is asked for TLS and a proxy for a connection (packages starttls and proxy),
// what is counted and how fast it may go (package quota), what Flash socket policy files
// grant (package flashpolicy), who may call (package server), which targets may be dialled (an [Egress]) and where
// callers may listen (a [Listening]).
//
// # Concurrency
//
// Every exported method may be called from any goroutine. A session has one
// lock, mu; nothing that blocks happens under it. The locks of the registry, of a
// listener, of the defaults and of the levels of trust come after it: they may be
// taken while a session's is held, never the other way round.
//
// A handshake that waits for a decision or a signature waits on its own
// goroutine (run), for a channel that the answer is put into.
//
// # Goroutines
//
//	name      started by        ends when                      owns              waited for by
//	accept    Listen            the listener ends              accept(2)         Listener.stopped
//	run       Connect, accept   bytes may move, or it failed   connecting        connection.done
//	live      run, at its end   the generation has ended       the connection,   connection.done
//	                                                           all reads of it,
//	                                                           a StartTLS
//	writer    bytes to write    none for a while, or the       all writes of it  live
//	                            writing half has ended
//	sender    what to send      nothing for a while, or the    what a stream is  nobody
//	                            stream is over                 sent
//	dial      run, per address  TCP is up, failed or given up  one dialled       run
//	          of several                                       socket
//	teardown  context.AfterFunc the socket is closed (100 ms)  closing the       live
//	                                                           socket
//	waker     a StartTLS that   the reader is woken            nothing           nobody
//	          is over
//
// Timers (the handshake's clock, idle, claim, detach, grace, graceful close,
// progress, expiry) run a function that takes the session's lock and ends; each is
// stopped when its connection, session or listener ends. One of the registry (shedding)
// looks at the sessions that hold bytes without a stream; Close stops it.
//
// # Errors
//
// What a caller did wrong: [ErrNotFound], [StateError], [FieldError],
// [UnsupportedError], [OffsetError], [GapError], [WindowError],
// [SupersededError], [TokenError], [ExpiredError], [RequestIDError], [CertificateInputError], [DecisionError],
// [ErrListenerNotFound]. What the service
// cannot do, or the operator does not allow: [LimitError], [DrainingError],
// [ResourceError], [PolicyError], [ListenPolicyError], [ListenError], [NotAllowedError]. What the
// network and the peer did: [NetworkError], [TimeoutError], [ClosedError],
// [ProxyError], [InjectionError] and the errors of starttls and tlsengine.
package session
