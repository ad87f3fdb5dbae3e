package starttls_test

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"syscall"
	"testing"

	"securesocket/session/starttls"

	"github.com/stretchr/testify/require"
)

// upTo says the first bytes of all that is to be said, and then calls end.
func upTo(most int, end func(peer *net.TCPConn)) sayer {
	return func(peer *net.TCPConn, words string) bool {
		if most >= len(words) {
			most -= len(words)
			return atOnce(peer, words)
		}
		atOnce(peer, words[:most])
		end(peer)
		return false
	}
}

func TestEndAtEveryByte(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, d dialogue) {
		for most := range len(d.said()) {
			p := newPair(t)
			greeting, err := p.open(t.Context(), d.protocol, d.host, d.turns, upTo(most, func(peer *net.TCPConn) { _ = peer.CloseWrite() }))
			require.ErrorIs(t, err, io.ErrUnexpectedEOF, "after %d bytes", most)
			require.Nil(t, greeting)
			p.close()
		}
	})
}

func TestResetAtEveryByte(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, d dialogue) {
		for most := range len(d.said()) {
			p := newPair(t)
			_, err := p.open(t.Context(), d.protocol, d.host, d.turns, upTo(most, func(peer *net.TCPConn) {
				_ = peer.SetLinger(0)
				_ = peer.Close()
			}))
			if !errors.Is(err, syscall.EPIPE) { // of a write that comes second
				require.ErrorIs(t, err, syscall.ECONNRESET, "after %d bytes", most)
			}
			p.close()
		}
	})
}

// TestSilence: the context ends what the peer does not, wherever it falls silent, with its cause alone. The connection lives.
func TestSilence(t *testing.T) {
	t.Parallel()
	cause := errors.New("made up")
	each(t, func(t *testing.T, d dialogue) {
		for most := range len(d.said()) {
			p := newPair(t)
			ctx, cancel := context.WithCancelCause(t.Context())
			_, err := p.open(ctx, d.protocol, d.host, d.turns, upTo(most, func(*net.TCPConn) { cancel(cause) }))
			require.ErrorIs(t, err, cause, "after %d bytes", most)
			require.NotErrorIs(t, err, os.ErrDeadlineExceeded)

			// What had come may not have been read; what comes now can be.
			require.True(t, atOnce(p.peer, "now"))
			_ = p.peer.CloseWrite()
			rest, err := io.ReadAll(p.client)
			require.NoError(t, err)
			require.Regexp(t, "now$", string(rest))
			p.close()
		}
	})
}

// TestPeerDoesNotRead: a write is ended like a read.
func TestPeerDoesNotRead(t *testing.T) {
	t.Parallel()
	client, peer := net.Pipe()
	defer client.Close()
	defer peer.Close()
	cause := errors.New("made up")
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	go func() {
		_, _ = io.WriteString(peer, "220 hello\r\n")
		var first [1]byte
		_, _ = peer.Read(first[:])
		cancel(cause)
	}()
	_, err := starttls.Open(ctx, client, "smtp", "")
	require.ErrorIs(t, err, cause)
	require.NotErrorIs(t, err, os.ErrDeadlineExceeded)
}

func TestEndedBefore(t *testing.T) {
	t.Parallel()
	cause := errors.New("made up")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(cause)
	conn := &memory{source: endless("220 x\r\n")}
	_, err := starttls.Open(ctx, conn, "smtp", "")
	require.ErrorIs(t, err, cause)
	require.Zero(t, conn.taken)
}

// TestClosedConnection: an error of this side comes as it is.
func TestClosedConnection(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, d dialogue) {
		p := newPair(t)
		p.close()
		_, err := starttls.Open(t.Context(), p.client, d.protocol, d.host)
		require.ErrorIs(t, err, net.ErrClosed)
	})
}
