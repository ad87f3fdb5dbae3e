package tlsengine

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"securesocket/tlsengine/tlstest"
)

// benchConn connects to a server over loopback TCP.
func benchConn(b *testing.B, handle func(*tls.Conn)) *Conn {
	b.Helper()
	ca := tlstest.NewCA(b)
	address := tlstest.Serve(b, &tls.Config{Certificates: []tls.Certificate{ca.Leaf().Certificate()}}, handle)
	return benchDial(b, ca, address)
}

func benchDial(b *testing.B, ca *tlstest.CA, address string) *Conn {
	b.Helper()
	raw, err := (&net.Dialer{}).DialContext(b.Context(), "tcp", address)
	require.NoError(b, err)
	conn, err := Client(b.Context(), raw, &Config{ServerName: "localhost", VerifyNames: []string{"localhost"},
		Trust: Trust{Anchors: []*x509.Certificate{ca.Root().Certificate}}})
	require.NoError(b, err)
	b.Cleanup(func() { _ = conn.Abort() })
	return conn
}

func BenchmarkWrite64K(b *testing.B) {
	ways := map[string]func(*Conn, []byte) (int, error){
		"corked":   (*Conn).Write,
		"uncorked": func(c *Conn, p []byte) (int, error) { return c.tls.Write(p) },
	}
	for name, write := range ways {
		b.Run(name, func(b *testing.B) {
			conn := benchConn(b, func(c *tls.Conn) { // the cost of the peer's side is not ours
				_, _ = io.Copy(io.Discard, struct{ io.Reader }{c.NetConn()})
			})
			p := make([]byte, 64<<10)
			for range 4 {
				_, _ = write(conn, p)
			}
			b.SetBytes(int64(len(p)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := write(conn, p); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// awaitAndTry is the reader's loop that has no buffer while it waits.
func awaitAndTry(c *Conn, buf []byte) (int, error) {
	for {
		if err := c.AwaitRead(); err != nil {
			return 0, err
		}
		if n, err := c.TryRead(buf); !errors.Is(err, ErrWouldBlock) {
			return n, err
		}
	}
}

func BenchmarkPingPong64B(b *testing.B) {
	for name, read := range map[string]func(*Conn, []byte) (int, error){"Read": (*Conn).Read, "TryRead": awaitAndTry} {
		b.Run(name, func(b *testing.B) {
			conn := benchConn(b, tlstest.Echo)
			p, buf := make([]byte, 64), make([]byte, 64<<10)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := conn.Write(p); err != nil {
					b.Fatal(err)
				}
				if n, err := read(conn, buf); err != nil || n != len(p) {
					b.Fatal(n, err)
				}
			}
		})
	}
}

func BenchmarkReadBulk(b *testing.B) {
	for name, read := range map[string]func(*Conn, []byte) (int, error){"Read": (*Conn).Read, "TryRead": awaitAndTry} {
		b.Run(name, func(b *testing.B) {
			conn := benchConn(b, func(c *tls.Conn) {
				for p := make([]byte, 64<<10); ; {
					if _, err := c.Write(p); err != nil {
						return
					}
				}
			})
			buf := make([]byte, 64<<10)
			b.ReportAllocs()
			total := int64(0)
			for b.Loop() {
				n, err := read(conn, buf)
				if err != nil {
					b.Fatal(err)
				}
				total += int64(n)
			}
			b.ReportMetric(float64(total)/b.Elapsed().Seconds()/(1<<20), "MiB/s")
			b.ReportMetric(float64(total)/float64(b.N), "B/read")
		})
	}
}

// BenchmarkParkedReader reports what a waiting reader holds, beside its connection.
func BenchmarkParkedReader(b *testing.B) {
	const readers = 200
	pool := sync.Pool{New: func() any { return new([16 << 10]byte) }}
	park := map[string]func(*Conn){
		"Read": func(c *Conn) {
			buf := pool.Get().(*[16 << 10]byte)
			defer pool.Put(buf)
			_, _ = c.Read(buf[:])
		},
		"AwaitRead": func(c *Conn) {
			for {
				buf := pool.Get().(*[16 << 10]byte)
				_, err := c.TryRead(buf[:])
				pool.Put(buf)
				if !errors.Is(err, ErrWouldBlock) || c.AwaitRead() != nil {
					return
				}
			}
		},
	}
	for name, wait := range park {
		b.Run(name, func(b *testing.B) {
			ca := tlstest.NewCA(b)
			address := tlstest.Serve(b, &tls.Config{Certificates: []tls.Certificate{ca.Leaf().Certificate()}}, tlstest.Echo)
			var conns []*Conn
			for range readers {
				conns = append(conns, benchDial(b, ca, address))
			}
			var held uint64
			for range b.N {
				before := inUse()
				var wg sync.WaitGroup
				for _, c := range conns {
					wg.Go(func() { wait(c) })
				}
				time.Sleep(50 * time.Millisecond)
				held += inUse() - before
				for _, c := range conns {
					_ = c.SetReadDeadline(time.Unix(1, 0))
				}
				wg.Wait()
				for _, c := range conns {
					_ = c.SetReadDeadline(time.Time{})
				}
			}
			b.ReportMetric(float64(int64(held))/float64(b.N)/readers, "B/reader")
		})
	}
}

// inUse is the heap and the stacks, without what pools keep.
func inUse() uint64 {
	var m runtime.MemStats
	for range 3 {
		runtime.GC()
	}
	runtime.ReadMemStats(&m)
	return m.HeapAlloc + m.StackInuse
}
