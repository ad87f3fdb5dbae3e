package cutproxy_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"securesocket/server/servertest/cutproxy"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const patience = 20 * time.Second

// service takes connections, and hands them to the test.
func service(t *testing.T) (cutproxy.Dialer, <-chan net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = l.Close() })
	conns := make(chan net.Conn, 8)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			conns <- c
		}
	}()
	return func(ctx context.Context, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "tcp", l.Addr().String())
	}, conns
}

// pair is both ends of a connection through the proxy.
func pair(t *testing.T, p *cutproxy.Proxy, conns <-chan net.Conn) (caller, service net.Conn) {
	t.Helper()
	caller, err := p.Dial(t.Context(), "")
	require.NoError(t, err)
	service = <-conns
	for _, c := range []net.Conn{caller, service} {
		require.NoError(t, c.SetDeadline(time.Now().Add(patience)))
		t.Cleanup(func() { _ = c.Close() })
	}
	return caller, service
}

func TestForwardsBothWays(t *testing.T) {
	t.Parallel()
	for _, network := range []string{"tcp", "unix"} {
		dial, conns := service(t)
		address := "127.0.0.1:0"
		if network == "unix" {
			address = filepath.Join(t.TempDir(), "s")
		}
		l, err := net.Listen(network, address)
		require.NoError(t, err)
		p := cutproxy.Serve(t, l, dial)
		a, b := pair(t, p, conns)
		for from, to := range map[net.Conn]net.Conn{a: b, b: a} {
			_, err := from.Write([]byte("hello"))
			require.NoError(t, err)
			got := make([]byte, 5)
			_, err = io.ReadFull(to, got)
			require.NoError(t, err)
			require.Equal(t, "hello", string(got))
		}
		require.NoError(t, a.Close())
		_, err = b.Read(make([]byte, 1))
		require.ErrorIs(t, err, io.EOF)
		require.Zero(t, p.Cuts())
		require.Eventually(t, func() bool { return p.Links() == 0 }, patience, time.Millisecond)
	}
}

func TestCutsAfterExactlySoManyBytes(t *testing.T) {
	t.Parallel()
	sent := bytes.Repeat([]byte("0123456789"), 20_000)
	for _, n := range []int64{0, 1, 9, 10, 32 << 10, 32<<10 + 1, 100_000} {
		for _, d := range []cutproxy.Direction{cutproxy.Up, cutproxy.Down} {
			for _, how := range []cutproxy.How{cutproxy.FIN, cutproxy.RST} {
				if n == 0 && how == cutproxy.RST {
					continue // dialling may fail already
				}
				dial, conns := service(t)
				p := cutproxy.Start(t, dial)
				cuts := []cutproxy.Cut{{Direction: d, After: n, How: how}, {}}
				p.Plan(func() (c cutproxy.Cut) { c, cuts = cuts[0], cuts[1:]; return c })
				a, b := pair(t, p, conns)
				if d == cutproxy.Down {
					a, b = b, a
				}
				go func(a net.Conn) { _, _ = a.Write(sent) }(a)
				got, err := io.ReadAll(b)
				if how == cutproxy.FIN || n == 0 {
					require.True(t, err == nil || errors.Is(err, syscall.ECONNRESET), "%v", err)
				} else {
					require.ErrorIs(t, err, syscall.ECONNRESET)
				}
				require.True(t, bytes.Equal(sent[:n], got), "%d bytes of %d", len(got), n)
				require.EqualValues(t, 1, p.Cuts())
				_, _ = a.Close(), b.Close()
				a, b = pair(t, p, conns) // the next one is let through
				_, err = a.Write([]byte("x"))
				require.NoError(t, err)
				_, err = b.Read(make([]byte, 1))
				require.NoError(t, err)
			}
		}
	}
}

func TestSilentConnectionsHoldTheirBytesBack(t *testing.T) {
	t.Parallel()
	dial, conns := service(t)
	p := cutproxy.Start(t, dial)
	p.Plan(func() cutproxy.Cut { return cutproxy.Cut{Direction: cutproxy.Up, After: 3, How: cutproxy.Silence} })
	a, b := pair(t, p, conns)
	_, err := a.Write([]byte("before and after"))
	require.NoError(t, err)
	got := make([]byte, 100)
	n, err := io.ReadFull(b, got[:3])
	require.NoError(t, err)
	require.Equal(t, "bef", string(got[:n]))
	_, err = b.Write([]byte("answer"))
	require.NoError(t, err)
	require.NoError(t, b.SetReadDeadline(time.Now().Add(50*time.Millisecond)))
	_, err = b.Read(got)
	require.ErrorIs(t, err, os.ErrDeadlineExceeded, "nothing comes, and no end")
	require.NoError(t, b.SetReadDeadline(time.Now().Add(patience)))
	_, down := p.Counts()
	require.Zero(t, down, "of the other direction neither")
	p.Heal()
	n, err = io.ReadFull(b, got[:13])
	require.NoError(t, err)
	require.Equal(t, "ore and after", string(got[:n]))
	n, err = io.ReadFull(a, got[:6])
	require.NoError(t, err)
	require.Equal(t, "answer", string(got[:n]))
}

func TestCutAll(t *testing.T) {
	t.Parallel()
	dial, conns := service(t)
	p := cutproxy.Start(t, dial)
	var ends []net.Conn
	for range 5 {
		a, b := pair(t, p, conns)
		ends = append(ends, a, b)
	}
	require.Eventually(t, func() bool { return p.Links() == 5 }, patience, time.Millisecond)
	p.CutAll(cutproxy.RST)
	for _, c := range ends {
		_, err := c.Read(make([]byte, 1))
		require.ErrorIs(t, err, syscall.ECONNRESET)
	}
	require.EqualValues(t, 5, p.Cuts())
}
