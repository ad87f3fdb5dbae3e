package tlsengine_test

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"time"

	"securesocket/tlsengine"
	"securesocket/tlsengine/tlstest"

	"github.com/stretchr/testify/require"
)

func TestReadEnds(t *testing.T) {
	t.Parallel()
	ends := map[string]struct {
		handle func(*tls.Conn)
		want   tlsengine.End
	}{
		"close_notify":       {tlstest.CloseNotify, tlsengine.EndCloseNotify},
		"FIN":                {tlstest.Truncate, tlsengine.EndTruncated},
		"FIN in header":      {func(c *tls.Conn) { tlstest.TruncateRecord(c, 3) }, tlsengine.EndTruncatedRecord},
		"FIN after header":   {func(c *tls.Conn) { tlstest.TruncateRecord(c, 5) }, tlsengine.EndTruncatedRecord},
		"FIN in record":      {func(c *tls.Conn) { tlstest.TruncateRecord(c, 60) }, tlsengine.EndTruncatedRecord},
		"reset":              {tlstest.Reset, tlsengine.EndReset},
		"data, close_notify": {func(c *tls.Conn) { _, _ = c.Write([]byte("x")); tlstest.CloseNotify(c) }, tlsengine.EndCloseNotify},
		"data, FIN":          {func(c *tls.Conn) { _, _ = c.Write([]byte("x")); tlstest.Truncate(c) }, tlsengine.EndTruncated},
	}
	for name, tc := range ends {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bothWays(t, func(t *testing.T, version uint16, read reading, connect connecting) {
				conn := connect(t, version, tc.handle)
				var err error
				for err == nil {
					_, err = read(conn, make([]byte, 100))
				}
				end, ok := tlsengine.EndOf(err)
				require.True(t, ok, "%v", err)
				require.Equal(t, tc.want, end, "%v", err)
				require.Equal(t, tc.want == tlsengine.EndCloseNotify, err == io.EOF) //nolint:errorlint // an io.Reader returns io.EOF itself
				require.Equal(t, tc.want == tlsengine.EndCloseNotify, errors.Is(err, io.EOF))

				require.NoError(t, conn.Abort())
				_, again := read(conn, make([]byte, 1))
				require.Equal(t, err, again, "the first end lasts")
			})
		})
	}
}

func TestRemoteAlertInData(t *testing.T) {
	t.Parallel()
	bothWays(t, func(t *testing.T, version uint16, read reading, connect connecting) {
		conn := connect(t, version, tlstest.FatalAlert)
		_, err := read(conn, make([]byte, 1))
		var alert *tlsengine.AlertError
		require.ErrorAs(t, err, &alert)
		require.Equal(t, tlsengine.AlertError{Alert: 20, Remote: true}, *alert)
		_, ok := tlsengine.EndOf(err)
		require.False(t, ok)
	})
}

func TestLocalAlertInData(t *testing.T) {
	t.Parallel()
	bothWays(t, func(t *testing.T, version uint16, read reading, connect connecting) {
		conn := connect(t, version, func(c *tls.Conn) { _ = tlstest.SpoilRecord(c) })
		_, err := read(conn, make([]byte, 1))
		var alert *tlsengine.AlertError
		require.ErrorAs(t, err, &alert)
		require.Equal(t, tlsengine.AlertError{Alert: 20}, *alert)
		_, err = conn.Write([]byte("x"))
		require.ErrorAs(t, err, &alert)
		require.False(t, alert.Remote)
	})
}

func TestReadDeadlineIsNoEnd(t *testing.T) {
	t.Parallel()
	bothWays(t, func(t *testing.T, version uint16, read reading, connect connecting) {
		conn := connect(t, version, tlstest.Echo)
		require.NoError(t, conn.SetReadDeadline(time.Now()))
		_, err := read(conn, make([]byte, 1))
		require.ErrorIs(t, err, os.ErrDeadlineExceeded)
		_, ok := tlsengine.EndOf(err)
		require.False(t, ok)

		require.NoError(t, conn.SetReadDeadline(time.Time{}))
		_, err = conn.Write([]byte("still here"))
		require.NoError(t, err)
		got := make([]byte, 10)
		_, err = io.ReadFull(conn, got)
		require.NoError(t, err)
		require.Equal(t, "still here", string(got))
	})
}

func TestCloseUnblocksRead(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(*tlsengine.Conn) error{
		"close": (*tlsengine.Conn).Close, "abort": (*tlsengine.Conn).Abort,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bothWays(t, func(t *testing.T, version uint16, read reading, connect connecting) {
				// The server does not answer our close_notify, or its own might be read first.
				conn := connect(t, version, func(*tls.Conn) { <-t.Context().Done() })
				ended := make(chan error, 1)
				go func() {
					_, err := read(conn, make([]byte, 1))
					ended <- err
				}()
				time.Sleep(10 * time.Millisecond)
				require.NoError(t, end(conn))
				require.NoError(t, end(conn), "idempotent")
				require.NoError(t, conn.Abort())
				require.NoError(t, conn.Close())
				err := <-ended
				got, _ := tlsengine.EndOf(err)
				require.Equal(t, tlsengine.EndLocal, got, "%v", err)
				require.ErrorIs(t, err, net.ErrClosed)

				_, err = conn.Write([]byte("x"))
				got, _ = tlsengine.EndOf(err)
				require.Equal(t, tlsengine.EndLocal, got, "%v", err)
				require.ErrorIs(t, err, net.ErrClosed)
			})
		})
	}
}

// What the server's read returns is the truth about what we sent.
func TestHowPeerSeesTheEnd(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		end  func(*tlsengine.Conn) error
		want func(t *testing.T, err error)
	}{
		"Close":      {(*tlsengine.Conn).Close, func(t *testing.T, err error) { require.Equal(t, io.EOF, err) }},
		"CloseWrite": {(*tlsengine.Conn).CloseWrite, func(t *testing.T, err error) { require.Equal(t, io.EOF, err) }},
		"Abort": {(*tlsengine.Conn).Abort, func(t *testing.T, err error) {
			require.NotErrorIs(t, err, io.EOF)
			var op *net.OpError
			require.ErrorAs(t, err, &op)
		}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bothRoles(t, func(t *testing.T, version uint16, connect connecting) {
				seen := make(chan error, 1)
				conn := connect(t, version, func(c *tls.Conn) {
					_, err := c.Read(make([]byte, 1))
					seen <- err
				})
				require.NoError(t, tc.end(conn))
				tc.want(t, <-seen)
			})
		})
	}
}

func TestWriteAfterReset(t *testing.T) {
	t.Parallel()
	bothRoles(t, func(t *testing.T, version uint16, connect connecting) {
		conn := connect(t, version, tlstest.Reset)
		var err error
		require.Eventually(t, func() bool {
			_, err = conn.Write(make([]byte, 1000))
			return err != nil
		}, time.Minute, time.Millisecond)
		end, _ := tlsengine.EndOf(err)
		require.Equal(t, tlsengine.EndReset, end, "%v", err)
	})
}
