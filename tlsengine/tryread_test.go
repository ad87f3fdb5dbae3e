package tlsengine_test

import (
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"sync"
	"testing"
	"time"

	"securesocket/tlsengine"
	"securesocket/tlsengine/tlstest"

	"github.com/stretchr/testify/require"
)

// reading is a way to read that waits.
type reading func(conn *tlsengine.Conn, p []byte) (int, error)

// tryRead waits as a reader without a buffer does.
func tryRead(conn *tlsengine.Conn, p []byte) (int, error) {
	for {
		n, err := conn.TryRead(p)
		if !errors.Is(err, tlsengine.ErrWouldBlock) {
			return n, err
		}
		if n != 0 {
			return n, errors.New("data beside ErrWouldBlock")
		}
		if err := conn.AwaitRead(); err != nil {
			return 0, err
		}
	}
}

// either reads in both ways by turns.
func either() reading {
	turn := 0
	return func(conn *tlsengine.Conn, p []byte) (int, error) {
		if turn++; turn%2 == 0 {
			return conn.Read(p)
		}
		return tryRead(conn, p)
	}
}

// bothWays runs a test in both versions with each way to read.
func bothWays(t *testing.T, run func(t *testing.T, version uint16, read reading, connect connecting)) {
	t.Helper()
	for name, read := range map[string]reading{"Read": (*tlsengine.Conn).Read, "TryRead": tryRead} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bothRoles(t, func(t *testing.T, version uint16, connect connecting) { run(t, version, read, connect) })
		})
	}
}

// choppedConn sends every write in pieces, by cut.
type choppedConn struct {
	net.Conn
	cut func(rest []byte) int
}

func (c *choppedConn) Write(p []byte) (int, error) {
	for rest := p; len(rest) > 0; {
		n := min(max(c.cut(rest), 1), len(rest))
		if _, err := c.Conn.Write(rest[:n]); err != nil {
			return 0, err
		}
		rest = rest[n:]
	}
	return len(p), nil
}

// connectChopped is connect with a server whose application data is sent in pieces.
func connectChopped(t *testing.T, version uint16, cut func([]byte) int, handle func(*tls.Conn)) *tlsengine.Conn {
	t.Helper()
	ca := tlstest.NewCA(t)
	config := serverConfig(ca.Leaf(), version)
	ctx := t.Context()
	address := tlstest.ServeRaw(t, func(raw net.Conn) {
		chopped := &choppedConn{raw, func(rest []byte) int { return len(rest) }}
		conn := tls.Server(chopped, config)
		if conn.HandshakeContext(ctx) == nil {
			chopped.cut = cut
			handle(conn)
		}
	})
	conn, err := client(t, address, trusting(ca))
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Abort() })
	return conn
}

func TestTryReadDoesNotWait(t *testing.T) {
	t.Parallel()
	bothRoles(t, func(t *testing.T, version uint16, connect connecting) {
		conn := connect(t, version, tlstest.Echo)
		require.NoError(t, conn.AwaitRead(), "nobody knows yet that there is nothing")
		for range 3 {
			n, err := conn.TryRead(make([]byte, 10))
			require.ErrorIs(t, err, tlsengine.ErrWouldBlock)
			require.Zero(t, n)
			_, ok := tlsengine.EndOf(err)
			require.False(t, ok)
		}
		_, err := conn.Write([]byte("good day"))
		require.NoError(t, err)
		require.NoError(t, conn.AwaitRead())
		got := make([]byte, 4)
		n, err := conn.TryRead(got)
		require.NoError(t, err)
		require.Equal(t, "good", string(got[:n]))
		require.NoError(t, conn.AwaitRead(), "the rest is here")
		n, err = conn.TryRead(got)
		require.NoError(t, err)
		require.Equal(t, " day", string(got[:n]))
		n, err = conn.TryRead(got)
		require.ErrorIs(t, err, tlsengine.ErrWouldBlock)
		require.Zero(t, n)
	})
}

func TestReadAndTryReadMix(t *testing.T) {
	t.Parallel()
	bothRoles(t, func(t *testing.T, version uint16, connect connecting) {
		conn := connect(t, version, tlstest.Echo)
		read := either()
		for range 100 {
			_, err := conn.Write([]byte("four"))
			require.NoError(t, err)
			got := make([]byte, 4)
			n, err := read(conn, got)
			require.NoError(t, err)
			require.Equal(t, "four", string(got[:n]))
		}
		require.NoError(t, conn.CloseWrite())
		_, err := read(conn, make([]byte, 1))
		require.Equal(t, io.EOF, err)
	})
}

func TestTryReadOfManySmallRecords(t *testing.T) {
	t.Parallel()
	const records = 5000
	bothRoles(t, func(t *testing.T, version uint16, connect connecting) {
		conn := connect(t, version, func(c *tls.Conn) {
			for i := range records {
				if _, err := c.Write([]byte{byte(i), byte(i >> 8)}); err != nil {
					return
				}
			}
			tlstest.CloseNotify(c)
		})
		var got []byte
		buf := make([]byte, 64<<10)
		for {
			n, err := tryRead(conn, buf)
			got = append(got, buf[:n]...)
			if err != nil {
				require.Equal(t, io.EOF, err)
				break
			}
		}
		require.Len(t, got, 2*records)
		for i := range records {
			require.Equal(t, []byte{byte(i), byte(i >> 8)}, got[2*i:2*i+2])
		}
	})
}

func TestTryReadFillsFromSeveralRecords(t *testing.T) {
	t.Parallel()
	bothVersions(t, func(t *testing.T, version uint16) {
		ca := tlstest.NewCA(t)
		address := tlstest.ServeRaw(t, func(raw net.Conn) {
			joined := &joiningConn{Conn: raw}
			c := tls.Server(joined, serverConfig(ca.Leaf(), version))
			if c.Handshake() != nil {
				return
			}
			joined.joining = true
			for range 3 {
				_, _ = c.Write([]byte("data"))
			}
			_, _ = raw.Write(joined.held[:len(joined.held)-1])
			_, _ = raw.Read(make([]byte, 1))
			_, _ = raw.Write(joined.held[len(joined.held)-1:])
		})
		conn, err := client(t, address, trusting(ca))
		require.NoError(t, err)
		got := make([]byte, 100)
		n, err := tryRead(conn, got)
		require.NoError(t, err)
		require.Equal(t, "datadata", string(got[:n]))
		_, err = conn.Write([]byte("go on"))
		require.NoError(t, err)
		n, err = tryRead(conn, got[:3])
		require.NoError(t, err)
		require.Equal(t, "dat", string(got[:n]))
		n, err = tryRead(conn, got)
		require.Equal(t, "a", string(got[:n]))
		if err == nil {
			_, err = tryRead(conn, got)
		}
		end, _ := tlsengine.EndOf(err)
		require.Contains(t, []tlsengine.End{tlsengine.EndTruncated, tlsengine.EndReset}, end, "%v", err)
		require.NoError(t, conn.Abort())
	})
}

// crypto/tls reads an alert that lies behind the data together with it; here only a part of the alert has come. Under
// TLS 1.3 it cannot see that the record there is one.
func TestTryReadOfDataAndPartOfCloseNotify(t *testing.T) {
	t.Parallel()
	var held []byte
	rest := make(chan struct{})
	ca := tlstest.NewCA(t)
	address := tlstest.ServeRaw(t, func(raw net.Conn) {
		joined := &joiningConn{Conn: raw}
		c := tls.Server(joined, serverConfig(ca.Leaf(), tls.VersionTLS12))
		if c.Handshake() != nil {
			return
		}
		joined.joining = true
		_, _ = c.Write([]byte("data"))
		_ = c.CloseWrite()
		held = joined.held
		_, _ = raw.Write(held[:len(held)-10])
		<-rest
		_, _ = raw.Write(held[len(held)-10:])
		_, _ = raw.Read(make([]byte, 1))
	})
	conn, err := client(t, address, trusting(ca))
	require.NoError(t, err)
	got := make([]byte, 10)
	n, err := tryRead(conn, got)
	require.NoError(t, err)
	require.Equal(t, "data", string(got[:n]))
	_, err = conn.TryRead(got)
	require.ErrorIs(t, err, tlsengine.ErrWouldBlock)
	close(rest)
	_, err = tryRead(conn, got)
	require.Equal(t, io.EOF, err)
	require.NoError(t, conn.Abort())
}

// joiningConn keeps what is written.
type joiningConn struct {
	net.Conn
	joining bool
	held    []byte
}

func (c *joiningConn) Write(p []byte) (int, error) {
	if !c.joining {
		return c.Conn.Write(p)
	}
	c.held = append(c.held, p...)
	return len(p), nil
}

// SetWriteDeadline keeps the one of crypto/tls's CloseWrite from the connection.
func (c *joiningConn) SetWriteDeadline(time.Time) error { return nil }

// Tickets are records without data.
func TestTryReadOfTicketsAlone(t *testing.T) {
	t.Parallel()
	ca := tlstest.NewCA(t)
	config := serverConfig(ca.Leaf(), tls.VersionTLS13)
	ctx := t.Context()
	address := tlstest.ServeRaw(t, func(raw net.Conn) {
		c := tls.Server(raw, config)
		if c.HandshakeContext(ctx) == nil {
			tlstest.Echo(c)
		}
	})
	cfg := trusting(ca)
	cfg.Sessions = new(tlsengine.Sessions).For("owner", [32]byte{})
	conn, err := client(t, address, cfg)
	require.NoError(t, err)
	got := make([]byte, 4)
	require.NoError(t, conn.SetReadDeadline(time.Now().Add(50*time.Millisecond)))
	_, err = tryRead(conn, got)
	require.ErrorIs(t, err, os.ErrDeadlineExceeded)
	require.NoError(t, conn.SetReadDeadline(time.Time{}))
	_, err = conn.Write([]byte("data"))
	require.NoError(t, err)
	n, err := tryRead(conn, got)
	require.NoError(t, err)
	require.Equal(t, "data", string(got[:n]))
	require.NoError(t, conn.Abort())

	again, err := client(t, address, cfg)
	require.NoError(t, err)
	require.True(t, again.State().Resumed, "the ticket was taken")
	require.NoError(t, again.Abort())
}

// A raw connection that is no plain socket is read as ever.
func TestTryReadOfWrappedConn(t *testing.T) {
	t.Parallel()
	bothVersions(t, func(t *testing.T, version uint16) {
		ca := tlstest.NewCA(t)
		raw := dialRaw(t, tlstest.Serve(t, serverConfig(ca.Leaf(), version), tlstest.Echo))
		for name, wrapped := range map[string]net.Conn{
			"no socket":      struct{ net.Conn }{raw},
			"a socket below": struct{ *net.TCPConn }{dialRaw(t, tlstest.Serve(t, serverConfig(ca.Leaf(), version), tlstest.Echo))},
		} {
			conn, err := tlsengine.Client(t.Context(), wrapped, trusting(ca))
			require.NoError(t, err, name)
			require.NoError(t, conn.SetReadDeadline(time.Now().Add(5*time.Millisecond)))
			_, err = conn.TryRead(make([]byte, 1))
			require.ErrorIs(t, err, os.ErrDeadlineExceeded, "it waits")
			require.NoError(t, conn.AwaitRead(), "it does not")
			require.NoError(t, conn.SetReadDeadline(time.Time{}))
			_, err = conn.Write([]byte("x"))
			require.NoError(t, err)
			n, err := conn.TryRead(make([]byte, 1))
			require.NoError(t, err)
			require.Equal(t, 1, n)
			require.NoError(t, conn.CloseWrite())
			_, err = conn.TryRead(make([]byte, 1))
			require.Equal(t, io.EOF, err)
			require.NoError(t, conn.Close())
		}
	})
}

// Everything that may run beside the reader does, at random moments; what it reads is right up to the end, and the end is
// our own.
func TestTryReadBesideTheOthers(t *testing.T) {
	t.Parallel()
	bothRoles(t, func(t *testing.T, version uint16, connect connecting) {
		for round := range 10 {
			conn := connect(t, version, tlstest.Echo)
			var wg sync.WaitGroup
			stop := make(chan struct{})
			wg.Go(func() {
				for i := 0; ; i++ {
					p := bytes.Repeat([]byte{byte(i)}, 1+i%1000)
					p[0] = byte(len(p) / 7)
					if _, err := conn.Write(p); err != nil {
						return
					}
				}
			})
			wg.Go(func() {
				for {
					select {
					case <-stop:
						return
					default:
						_ = conn.SetReadDeadline(time.Now().Add(time.Duration(rand.IntN(300)) * time.Microsecond))
						time.Sleep(200 * time.Microsecond)
						_ = conn.SetReadDeadline(time.Time{})
					}
				}
			})
			wg.Go(func() {
				time.Sleep(time.Duration(rand.IntN(20)) * time.Millisecond)
				if round%2 == 0 {
					_ = conn.Close()
				} else {
					_ = conn.Abort()
				}
			})
			var err error
			buf := make([]byte, 4<<10)
			for {
				if _, err = tryRead(conn, buf); err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
					break
				}
			}
			close(stop)
			wg.Wait()
			end, _ := tlsengine.EndOf(err)
			require.Contains(t, []tlsengine.End{tlsengine.EndLocal, tlsengine.EndCloseNotify}, end, "%v", err)
		}
	})
}

func FuzzTryRead(f *testing.F) {
	f.Add(uint64(1), []byte{1, 2, 3, 255})
	f.Add(uint64(2), []byte{0, 0, 200, 5, 16})
	f.Add(uint64(3), []byte{255, 255, 255, 255, 255, 255})
	ca := tlstest.NewCA(f)
	leaf := ca.Leaf()
	f.Fuzz(func(t *testing.T, seed uint64, sizes []byte) {
		sizes = sizes[:min(len(sizes), 16)]
		random := rand.New(rand.NewPCG(seed, 1))
		version := []uint16{tls.VersionTLS12, tls.VersionTLS13}[seed%2]
		var sent bytes.Buffer
		for _, size := range sizes {
			for range int(size) * int(size) / 4 {
				sent.WriteByte(byte(random.Uint32()))
			}
		}
		config := serverConfig(leaf, version)
		raw := dialRaw(t, tlstest.ServeRaw(t, func(raw net.Conn) {
			random := rand.New(rand.NewPCG(seed, 2))
			chopped := &choppedConn{raw, func(rest []byte) int {
				switch random.IntN(4) {
				case 0:
					return 1 + random.IntN(7)
				case 1:
					time.Sleep(time.Duration(random.IntN(100)) * time.Microsecond)
				}
				return 1 + random.IntN(len(rest))
			}}
			c := tls.Server(chopped, config)
			if c.Handshake() != nil {
				return
			}
			rest := sent.Bytes()
			for _, size := range sizes {
				n := int(size) * int(size) / 4
				if _, err := c.Write(rest[:n]); err != nil {
					return
				}
				rest = rest[n:]
			}
			_ = c.Close()
		}))
		conn, err := tlsengine.Client(t.Context(), raw, trusting(ca))
		require.NoError(t, err)
		defer func() { _ = conn.Abort() }()
		var got []byte
		read := tryRead
		if seed%3 == 0 {
			read = either()
		}
		for {
			buf := make([]byte, 1+random.IntN(20000))
			n, err := read(conn, buf)
			got = append(got, buf[:n]...)
			if err != nil {
				require.Equal(t, io.EOF, err)
				break
			}
		}
		require.True(t, bytes.Equal(sent.Bytes(), got))
	})
}
