package tlsengine_test

import (
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"securesocket/tlsengine"
	"securesocket/tlsengine/tlstest"

	"github.com/stretchr/testify/require"
)

// everySuite runs a test in both roles with every suite in every version that has it. connect takes what is put around the
// raw connection, and what the peer does.
func everySuite(t *testing.T, run func(t *testing.T, connect func(wrap func(net.Conn) net.Conn, handle func(*tls.Conn)) *tlsengine.Conn)) {
	t.Helper()
	ca := tlstest.NewCA(t)
	leaves := map[bool]*tlstest.Identity{true: ca.Leaf(), false: ca.Leaf(tlstest.RSA(2048))}
	for _, suite := range append(tls.CipherSuites(), tls.InsecureCipherSuites()...) {
		for _, version := range suite.SupportedVersions {
			var only []uint16
			if version != tls.VersionTLS13 {
				only = []uint16{suite.ID}
			}
			leaf := leaves[strings.Contains(suite.Name, "ECDSA") || version == tls.VersionTLS13]
			name := suite.Name + " " + tls.VersionName(version)
			t.Run(name+" client", func(t *testing.T) {
				t.Parallel()
				run(t, func(wrap func(net.Conn) net.Conn, handle func(*tls.Conn)) *tlsengine.Conn {
					server, client := serverConfig(leaf, version), trusting(ca)
					server.CipherSuites, client.CipherSuites = only, only
					client.MinVersion, client.MaxVersion = version, version
					conn, err := tlsengine.Client(t.Context(), wrap(dialRaw(t, tlstest.Serve(t, server, handle))), client)
					require.NoError(t, err)
					return conn
				})
			})
			t.Run(name+" server", func(t *testing.T) {
				t.Parallel()
				run(t, func(wrap func(net.Conn) net.Conn, handle func(*tls.Conn)) *tlsengine.Conn {
					server, client := serving(t, leaf), clientConfig(ca, version)
					server.CipherSuites, client.CipherSuites = only, only
					server.MinVersion, server.MaxVersion = version, version
					conn, err := tlsengine.Server(t.Context(), wrap(tlstest.Connect(t, client, handle)), server, nil)
					require.NoError(t, err)
					return conn
				})
			})
		}
	}
}

// limitedConn counts its writes, and takes no more bytes than left.
type limitedConn struct {
	*net.TCPConn
	writes atomic.Int32
	left   atomic.Int64
}

var errFull = errors.New("no more bytes")

func (c *limitedConn) Write(p []byte) (int, error) {
	c.writes.Add(1)
	if left := int(c.left.Load()); len(p) > left {
		c.left.Store(0)
		n, _ := c.TCPConn.Write(p[:left])
		return n, errFull
	}
	c.left.Add(-int64(len(p)))
	return c.TCPConn.Write(p)
}

func TestWriteIsOneForTheKernel(t *testing.T) {
	t.Parallel()
	everySuite(t, func(t *testing.T, connect func(func(net.Conn) net.Conn, func(*tls.Conn)) *tlsengine.Conn) {
		var raw *limitedConn
		sum := make(chan []byte, 1)
		conn := connect(func(c net.Conn) net.Conn {
			raw = &limitedConn{TCPConn: c.(*net.TCPConn)}
			raw.left.Store(1 << 40)
			return raw
		}, func(c *tls.Conn) {
			got, _ := io.ReadAll(c)
			sum <- got
		})
		var sent []byte
		write := func(size int) int32 {
			p := make([]byte, size)
			for i := range p {
				p[i] = byte(rand.Uint32())
			}
			sent = append(sent, p...)
			before := raw.writes.Load()
			n, err := conn.Write(p)
			require.NoError(t, err)
			require.Equal(t, size, n)
			return raw.writes.Load() - before
		}
		var alone int32 // TLS 1.0 sends the first byte by itself where it has no IV
		if conn.State().Version == tls.VersionTLS10 && write(2) == 2 {
			alone = 1
		}
		for range 5 { // records grow
			write(32 << 10)
		}
		require.Equal(t, 1+alone, write(64<<10))
		require.Equal(t, 1+alone, write(16<<10))
		require.Equal(t, 1+alone, write(16<<10+2))
		require.Equal(t, 1+alone, write(64<<10-1))
		require.LessOrEqual(t, write(64<<10+1), 2+alone)
		require.LessOrEqual(t, write(256<<10), 4+2*alone)
		for range 4 {
			write(rand.IntN(100 << 10))
		}
		require.NoError(t, conn.CloseWrite())
		require.True(t, bytes.Equal(sent, <-sum))
	})
}

// The count is the truth about what the peer can decrypt, wherever the kernel stops.
func TestWriteCountsWhatWentOut(t *testing.T) {
	t.Parallel()
	everySuite(t, func(t *testing.T, connect func(func(net.Conn) net.Conn, func(*tls.Conn)) *tlsengine.Conn) {
		for round := range 4 {
			var raw *limitedConn
			got := make(chan int64, 1)
			conn := connect(func(c net.Conn) net.Conn {
				raw = &limitedConn{TCPConn: c.(*net.TCPConn)}
				raw.left.Store(1 << 40)
				return raw
			}, func(c *tls.Conn) {
				n, _ := io.Copy(io.Discard, c)
				got <- n
			})
			total := int64(0)
			raw.left.Store(int64(rand.IntN(100 << 10))) // among the records that grow, and
			if round%2 == 0 {
				raw.left.Store(int64(128<<10 + rand.IntN(200<<10))) // beyond them
			}
			var err error
			for err == nil {
				var n int
				size := 1 + rand.IntN(150<<10)
				n, err = conn.Write(make([]byte, size))
				require.True(t, n == size || err != nil && n < size)
				total += int64(n)
			}
			require.ErrorIs(t, err, errFull)
			raw.left.Store(1 << 40)
			n, again := conn.Write([]byte("x"))
			require.ErrorIs(t, again, errFull, "it lasts: nothing may follow a part of a record")
			require.Zero(t, n)
			require.NoError(t, raw.CloseWrite())
			require.Equal(t, <-got, total)
			require.NoError(t, conn.Abort())
		}
	})
}

// CloseWrite comes after a whole Write or before it.
func TestCloseWriteBesideWrite(t *testing.T) {
	t.Parallel()
	bothRoles(t, func(t *testing.T, version uint16, connect connecting) {
		for range 10 {
			got := make(chan int64, 1)
			conn := connect(t, version, func(c *tls.Conn) {
				n, err := io.Copy(io.Discard, c)
				if err == nil { // no FIN was sent: a close_notify was
					got <- n
				}
				close(got)
				_, _ = c.NetConn().Read(make([]byte, 1))
			})
			_, err := conn.Write(make([]byte, 150<<10))
			require.NoError(t, err)
			var wg sync.WaitGroup
			wg.Go(func() { _ = conn.CloseWrite() })
			total := 150 << 10
			for err == nil {
				var n int
				n, err = conn.Write(make([]byte, 64<<10))
				require.True(t, n == 0 && err != nil || n == 64<<10 && err == nil, "%d %v", n, err)
				total += n
			}
			end, _ := tlsengine.EndOf(err)
			require.Equal(t, tlsengine.EndLocal, end)
			wg.Wait()
			n, ok := <-got
			require.True(t, ok)
			require.EqualValues(t, total, n)
			require.NoError(t, conn.Abort())
		}
	})
}
