// Package resume is the core of a data stream that survives cuts: what a
// session has received from its peer and accepted from its caller, up to which
// byte each side has which, and which stream may speak for the caller now. It
// does no I/O and has no goroutine and no clock: frames and instants go in,
// frames and [Effects] come out, so that a test can drive the real code through
// every order of events.
//
// A [Core] belongs to one session. Each [Core.Begin] starts a generation with
// rings and offsets of its own; what names another generation is dropped. One
// attachment at most holds the session. It is named by its attach_seq, and every
// frame says which attachment it came by: those of an older one are refused with
// [SupersededError], so that a stream that is late cannot harm the one that is
// live.
//
// # Who calls what
//
//	reader of the peer    Room, Received, PeerEnded
//	writer to the peer    NextWrite, Wrote, FinishWritten, WriteEnded
//	sender to the caller  Next
//	receiver from it      Attach, Data, Ack, Finish, Detach
//	timers                Tick at Deadline; Next at Frame.Wait
//	the session           Begin, Emit, CloseAt, CloseNow, Renew, Read, Progress
//	plain mode            Keep, Hold, LetGo, Rewind
//
// After each call, still under its lock, the session takes [Core.Effects] and
// wakes whom they name.
//
// # Invariants
//
//   - Offsets are absolute, per generation and direction. What the caller reads is
//     a prefix of what the peer sent, and the other way round: no gap, no double.
//   - Buffers belong to the session, never to an attachment. A ring accounts by
//     the capacity that it holds, and holds no more than its bound.
//   - A received byte is freed by the caller's ack alone, where the generation is
//     resumable; elsewhere as it is sent or, in plain mode, when its room is needed
//     after that. A full ring has no
//     [Core.Room]: the reader stops, and the peer's window closes. Nothing is
//     dropped to make room.
//   - What the caller was promised as send_limit fits, however it is cut into
//     frames, and the promise never shrinks: a resumable stream is always received
//     from, so acks never wait behind data.
//   - An attach_seq is accepted once, and only if it is larger than all before. A
//     refused attach consumes none.
//   - An event is sent after the bytes that came before it and before the others,
//     and kept until it is acked.
//   - Once the grace is over the rings are empty, and only the final counts remain,
//     for as long as [ExpiredMemory].
//
// # Not here
//
// Sockets, TLS, states, causes (opaque values here), request IDs, questions and
// refusals, and who the caller is: an Open that comes again is an [AttachArgs]
// with Trusted.
//
// # Concurrency
//
// A Core has no lock: the session's guards it. Only [Buffer.Release] may be called
// without it, at any time: bytes handed out stay valid until then, whatever
// becomes of the ring.
//
// # Errors
//
// What ends a stream: [GapError], [WindowError], [SupersededError]. What a caller
// is refused: [OffsetError], [TokenError], [LimitError], [EndedError],
// [GenerationError], [AttachedError], [ErrNoGeneration], [ExpiredError],
// [ErrGone]. [ErrRoom] is the session's own mistake.
package resume
