//go:build unix

package starttls_test

import (
	"io"
	"net"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"securesocket/session/starttls"

	"github.com/stretchr/testify/require"
)

// eventually waits for the kernel to carry what the peer did.
func eventually(t *testing.T, conn net.Conn, want bool) {
	t.Helper()
	require.Eventually(t, func() bool {
		got, err := starttls.Pending(conn)
		return err == nil && got == want
	}, 10*time.Second, time.Millisecond)
}

func requirePending(t *testing.T, conn net.Conn, want bool) {
	t.Helper()
	got, err := starttls.Pending(conn)
	require.NoError(t, err)
	require.Equal(t, want, got)
}

func TestPendingTakesNothing(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	requirePending(t, p.client, false)
	require.True(t, atOnce(p.peer, "ab"))
	eventually(t, p.client, true)
	require.NoError(t, p.client.SetDeadline(time.Unix(1, 0)))
	requirePending(t, p.client, true) // whatever the deadline
	require.NoError(t, p.client.SetDeadline(time.Time{}))
	got := make([]byte, 2)
	_, err := io.ReadFull(p.client, got)
	require.NoError(t, err)
	require.Equal(t, "ab", string(got))
	requirePending(t, p.client, false)
}

func TestPendingEnd(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	require.True(t, atOnce(p.peer, "a"))
	require.NoError(t, p.peer.CloseWrite())
	eventually(t, p.client, true) // a byte before the end is one
	var b [1]byte
	_, err := p.client.Read(b[:])
	require.NoError(t, err)
	awaitReadable(t, p.client)
	requirePending(t, p.client, false)
	_, err = p.client.Read(b[:])
	require.ErrorIs(t, err, io.EOF)
}

func TestPendingReset(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	require.NoError(t, p.peer.SetLinger(0))
	require.NoError(t, p.peer.Close())
	awaitReadable(t, p.client)
	requirePending(t, p.client, false)
	_, err := p.client.Read(make([]byte, 1))
	require.ErrorIs(t, err, syscall.ECONNRESET, "the read has to have it, not Pending")
}

// awaitReadable waits until a read would not, without reading.
func awaitReadable(t *testing.T, conn *net.TCPConn) {
	t.Helper()
	raw, err := conn.SyscallConn()
	require.NoError(t, err)
	first := true
	require.NoError(t, raw.Read(func(fd uintptr) bool {
		if !first {
			return true
		}
		first = false
		return readable(int(fd))
	}))
}

func TestPendingClosed(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	p.close()
	_, err := starttls.Pending(p.client)
	require.ErrorIs(t, err, net.ErrClosed)
}

func TestPendingUnix(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("unix", filepath.Join(t.TempDir(), "s"))
	require.NoError(t, err)
	defer listener.Close()
	client, err := net.Dial("unix", listener.Addr().String())
	require.NoError(t, err)
	defer client.Close()
	peer, err := listener.Accept()
	require.NoError(t, err)
	defer peer.Close()
	requirePending(t, client, false)
	_, err = io.WriteString(peer, "a")
	require.NoError(t, err)
	requirePending(t, client, true)
}

// TestPendingOthers: what cannot be asked has nothing, even where it has.
func TestPendingOthers(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	require.True(t, atOnce(p.peer, "a"))
	eventually(t, p.client, true)
	requirePending(t, struct{ net.Conn }{p.client}, false)
	requirePending(t, &memory{source: strings.NewReader("a")}, false)
}
