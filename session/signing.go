package session

import (
	"context"
	"crypto/sha256"
	"errors"
	"time"

	"securesocket/tlsengine/identity"
)

// SignRequest is a signature that the handshake waits for, by a key that the
// caller keeps. It is immutable.
type SignRequest struct {
	ID       int64 // from 1, in its session
	Scheme   uint16
	Input    []byte
	Hashed   bool              // Input is the digest
	SPKI     [sha256.Size]byte // of the key
	Deadline time.Time         // when the handshake gives up

	answer chan signature // depth 1; the first answer counts
}

type signature struct {
	bytes []byte
	err   error
}

// errDeclined is a caller that gives no signature.
var errDeclined = errors.New("the caller declines to sign")

// Sign answers a SignRequest; an empty signature declines. The error is a
// SupersededError, or a StateError where nothing like it was asked; the answer
// to a request that is closed by now is ignored.
func (a *Attachment) Sign(id int64, sig []byte, why string) error {
	s := a.s
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case a.superseded:
		return a.supersededLocked()
	case id < 1 || id > s.lastSignRequest:
		return &StateError{Op: "signature", Have: "asking nothing under that sign_id", Want: "asking it"}
	}
	if c := s.conn; c != nil && !c.stopped && c.signRequest != nil && c.signRequest.ID == id {
		answer := signature{bytes: sig}
		if len(sig) == 0 {
			answer = signature{err: errDeclined}
			if why != "" {
				answer.err = errors.New(why)
			}
		}
		select {
		case c.signRequest.answer <- answer:
		default: // it has an answer
		}
	}
	return nil
}

// sign asks the caller for a signature and waits, within the handshake's clock.
func (c *connection) sign(ctx context.Context, clock *handshakeClock, r identity.SignRequest) ([]byte, error) {
	req := &SignRequest{Scheme: r.Scheme, Input: r.Input, Hashed: r.Prehashed, SPKI: r.SPKISHA256, answer: make(chan signature, 1)}
	req.Deadline = clock.end()
	if d, ok := ctx.Deadline(); ok && d.Before(req.Deadline) {
		req.Deadline = d
	}
	s := c.s
	s.mu.Lock()
	if c.stopped {
		s.mu.Unlock()
		return nil, context.Cause(c.ctx)
	}
	s.lastSignRequest++
	req.ID = s.lastSignRequest
	c.signRequest = req
	c.offerLocked()
	s.wakeLocked()
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		c.signRequest = nil
	}()
	select {
	case answer := <-req.answer:
		return answer.bytes, answer.err
	case <-ctx.Done():
		s.mu.Lock()
		defer s.mu.Unlock()
		c.unsigned = true
		return nil, context.Cause(ctx)
	}
}
