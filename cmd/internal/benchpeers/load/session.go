package load

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"time"
)

// Dial opens a connection whose far end is a Peer. ctx bounds the opening.
type Dial func(ctx context.Context) (net.Conn, error)

// Session is one connection to a Peer.
type Session struct {
	conn   net.Conn
	unbind func() bool
	chunk  []byte // of bulk and of echoes, made when first used: an idle session holds none
}

// Open opens a session that ctx ends, whatever it is doing.
func Open(ctx context.Context, dial Dial) (*Session, error) {
	conn, err := dial(ctx)
	if err != nil {
		return nil, fmt.Errorf("opening a session: %w", err)
	}
	s := &Session{conn: conn}
	s.unbind = context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	return s, nil
}

// Close ends the session in order.
func (s *Session) Close() error {
	s.unbind()
	return s.conn.Close()
}

// Pull has the peer send so many bytes and reads them.
func (s *Session) Pull(size int) error {
	chunk := s.buffer(chunkBytes)
	request{pull, size}.put(chunk)
	if _, err := s.conn.Write(chunk[:requestBytes]); err != nil {
		return fmt.Errorf("asking for bytes: %w", err)
	}
	if err := readAll(s.conn, size, chunk); err != nil {
		return fmt.Errorf("receiving: %w", err)
	}
	return nil
}

// Push sends so many bytes and returns when the peer has all of them.
func (s *Session) Push(size int) error {
	chunk := s.buffer(chunkBytes)
	request{push, size}.put(chunk)
	if _, err := s.conn.Write(chunk[:requestBytes]); err != nil {
		return fmt.Errorf("announcing bytes: %w", err)
	}
	if err := writeAll(s.conn, size, chunk); err != nil {
		return fmt.Errorf("sending: %w", err)
	}
	if _, err := io.ReadFull(s.conn, chunk[:1]); err != nil {
		return fmt.Errorf("waiting for the peer: %w", err)
	}
	return nil
}

// Echo sends a message of so many bytes, MinMessage to MaxMessage, and waits for it to come back. It returns how long
// that took.
func (s *Session) Echo(size int) (time.Duration, error) {
	message := s.buffer(size)[:size]
	request{bounce, size}.put(message)
	began := time.Now()
	if _, err := s.conn.Write(message); err != nil {
		return 0, fmt.Errorf("sending a message: %w", err)
	}
	if _, err := io.ReadFull(s.conn, message); err != nil {
		return 0, fmt.Errorf("waiting for the echo: %w", err)
	}
	took := time.Since(began)
	if back, err := parseRequest(message[:requestBytes]); err != nil || back.size != size {
		return 0, errors.New("the echo is not what was sent")
	}
	return took, nil
}

// buffer is at least so large.
func (s *Session) buffer(size int) []byte {
	if cap(s.chunk) < size {
		s.chunk = make([]byte, size)
	}
	return s.chunk[:cap(s.chunk)]
}

// rest gives the buffer back.
func (s *Session) rest() { s.chunk = nil }
