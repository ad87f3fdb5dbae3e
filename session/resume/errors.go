package resume

import (
	"errors"
	"fmt"
	"time"
)

var (
	// ErrNoGeneration refuses frames before the first Begin.
	ErrNoGeneration = errors.New("the session was never connected")
	// ErrGone is for a session that expired so long ago that nothing is known.
	ErrGone = errors.New("the session is gone")
	// ErrRoom refuses received bytes that nobody made room for: the reader did
	// not ask Room.
	ErrRoom = errors.New("the ring has no room for these received bytes")
)

// SupersededError refuses what came by an attachment that does not hold the
// session, or an attach that is not newer than all before.
type SupersededError struct {
	LastSeq int64 // the largest attach_seq that was accepted
}

func (e *SupersededError) Error() string {
	return fmt.Sprintf("superseded: the last attach_seq is %d", e.LastSeq)
}

// OffsetError refuses a position that cannot be: the caller and the service do
// not speak of the same stream.
type OffsetError struct {
	What      string // the field
	Have, Got int64  // Have: the bound that Got breaks
}

func (e *OffsetError) Error() string {
	return fmt.Sprintf("%s is %d, which does not go with %d", e.What, e.Got, e.Have)
}

// GapError refuses bytes, or an end, beyond the next byte that is expected: those
// between were lost.
type GapError struct {
	What      string
	Have, Got int64
}

func (e *GapError) Error() string {
	return fmt.Sprintf("%s at %d leaves a gap after %d", e.What, e.Got, e.Have)
}

// WindowError refuses bytes beyond the send_limit that the caller was told.
type WindowError struct {
	Limit, Got int64 // Got: the end of the bytes
}

func (e *WindowError) Error() string {
	return fmt.Sprintf("data up to %d is beyond send_limit %d", e.Got, e.Limit)
}

// EndedError refuses what the caller sends after the end of its direction.
type EndedError struct {
	What     string
	Finished bool // by the caller's own finish or close, At
	At       int64
	Cause    any // as given to WriteEnded; nil where Finished, or the generation has ended
}

func (e *EndedError) Error() string {
	return fmt.Sprintf("%s: the writing half has ended at %d", e.What, e.At)
}

// GenerationError refuses a frame that names no generation where there was more
// than one.
type GenerationError struct{ What string }

func (e *GenerationError) Error() string { return e.What + ".generation is required" }

// TokenError refuses an attach without the session's token. It does not have
// the token.
type TokenError struct{ Missing bool }

func (e *TokenError) Error() string {
	if e.Missing {
		return "resume_token is required"
	}
	return "resume_token is not the session's"
}

// AttachedError refuses what is for a session without an attachment.
type AttachedError struct{}

func (*AttachedError) Error() string { return "the session is attached" }

// LimitError refuses an attach that comes too soon. Its attach_seq is not
// consumed.
type LimitError struct {
	Failed bool          // too many attaches failed; otherwise too many succeeded
	Wait   time.Duration // until one may come again; positive
}

func (e *LimitError) Error() string { return fmt.Sprintf("too many attaches: wait %s", e.Wait) }

// ExpiredError says what had become of the bytes when the grace was over.
type ExpiredError struct {
	Generation int64
	Accepted   int64 // from the caller
	Written    int64 // of them, to the socket
	Received   int64 // from the peer
}

func (e *ExpiredError) Error() string {
	return fmt.Sprintf("the session has expired: accepted %d, written %d, received %d", e.Accepted, e.Written, e.Received)
}
