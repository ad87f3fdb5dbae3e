package proxy_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"syscall"
	"testing"
	"time"

	"securesocket/session/proxy"

	"github.com/stretchr/testify/require"
)

// cuts yields every beginning of a conversation that is not all of it, and a name for it.
func cuts(cfg proxy.Config, yield func(name string, turns []turn)) {
	full := conversation(cfg)
	for i, last := range full {
		for n := range len(last.answer) {
			turns := append([]turn(nil), full[:i+1]...)
			turns[i].answer = last.answer[:n]
			yield(fmt.Sprintf("%v turn %d byte %d", cfg, i, n), turns)
		}
	}
}

func TestEndAtEveryByte(t *testing.T) {
	t.Parallel()
	for _, cfg := range kinds {
		cuts(cfg, func(name string, turns []turn) {
			conn := script(t, turns, fin)
			require.ErrorIs(t, proxy.Ask(t.Context(), conn, cfg, target4), io.ErrUnexpectedEOF, name)
			requireOpen(t, conn)
		})
	}
}

func TestResetAtEveryByte(t *testing.T) {
	t.Parallel()
	for _, cfg := range kinds {
		cuts(cfg, func(name string, turns []turn) {
			conn := script(t, turns, reset)
			require.ErrorIs(t, proxy.Ask(t.Context(), conn, cfg, target4), syscall.ECONNRESET, name)
		})
	}
}

// errGivenUp stands for whatever a caller says of its context.
var errGivenUp = errors.New("given up")

func TestContextEndsSilenceAtEveryByte(t *testing.T) {
	t.Parallel()
	for _, cfg := range kinds {
		cuts(cfg, func(name string, turns []turn) {
			ctx, cancel := context.WithCancelCause(t.Context())
			conn := script(t, turns, func(conn *net.TCPConn) {
				cancel(errGivenUp) // everything is sent: the rest is silence
				_, _ = conn.Read(make([]byte, 1))
				_, _ = io.WriteString(conn, "late")
				fin(conn)
			})
			require.ErrorIs(t, proxy.Ask(ctx, conn, cfg, target4), errGivenUp, name)

			// The connection is open, and without a deadline. What Ask had not read by then is still there.
			_, err := conn.Write([]byte("x"))
			require.NoError(t, err, name)
			rest, err := io.ReadAll(conn)
			require.NoError(t, err, name)
			require.Regexp(t, "late$", string(rest), name)
		})
	}
}

func TestContextThatHasEnded(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errGivenUp)
	for _, cfg := range kinds {
		near, far := net.Pipe()
		require.ErrorIs(t, proxy.Ask(ctx, near, cfg, target4), errGivenUp)
		require.NoError(t, near.Close())
		said, err := io.ReadAll(far)
		require.NoError(t, err)
		require.Empty(t, said)
	}
}

// Nobody reads what Ask writes.
func TestContextEndsAWrite(t *testing.T) {
	t.Parallel()
	for _, cfg := range kinds {
		near, far := net.Pipe()
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
		require.ErrorIs(t, proxy.Ask(ctx, near, cfg, target4), context.DeadlineExceeded)
		cancel()
		require.NoError(t, near.Close())
		require.NoError(t, far.Close())
	}
}

// A context that ends after Ask has returned has no hold on the connection.
func TestContextEndsAfterwards(t *testing.T) {
	t.Parallel()
	for _, cfg := range kinds {
		ctx, cancel := context.WithCancel(t.Context())
		conn := script(t, conversation(cfg), func(conn *net.TCPConn) { _, _ = io.Copy(conn, conn) })
		require.NoError(t, proxy.Ask(ctx, conn, cfg, target4))
		cancel()
		requireEcho(t, conn)
	}
}

func TestClosedConnection(t *testing.T) {
	t.Parallel()
	for _, cfg := range kinds {
		conn := script(t, conversation(cfg), wait)
		require.NoError(t, conn.Close())
		require.ErrorIs(t, proxy.Ask(t.Context(), conn, cfg, target4), net.ErrClosed)
	}
}
