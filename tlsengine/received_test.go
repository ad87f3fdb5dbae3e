package tlsengine_test

import (
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"slices"
	"testing"

	"securesocket/tlsengine"
	"securesocket/tlsengine/identity"
	"securesocket/tlsengine/tlstest"

	"github.com/stretchr/testify/require"
)

// smallHello keeps a client's hello below 400 bytes.
func smallHello(ca *tlstest.CA, version uint16) *tls.Config {
	config := clientConfig(ca, version)
	config.CurvePreferences = []tls.CurveID{tls.X25519}
	return config
}

// helloOf is the record that a client begins with.
func helloOf(tb testing.TB, config *tls.Config) []byte {
	tb.Helper()
	near, far := net.Pipe()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = tls.Client(far, config).Handshake()
	}()
	record := make([]byte, 5)
	_, err := io.ReadFull(near, record)
	require.NoError(tb, err)
	record = append(record, make([]byte, int(record[3])<<8+int(record[4]))...)
	_, err = io.ReadFull(near, record[5:])
	require.NoError(tb, err)
	_ = near.Close()
	<-ended
	return record
}

// surplusConn writes more after the first write.
type surplusConn struct {
	net.Conn
	surplus []byte
}

func (c *surplusConn) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(append(slices.Clone(p), c.surplus...))
	c.surplus = nil
	return min(n, len(p)), err
}

// changeCipherSpec may come at any time after a hello and means nothing in TLS 1.3 (RFC 8446, section 5).
const changeCipherSpec = "\x14\x03\x03\x00\x01\x01"

// However much of what the client sends at first has been read before, it is the same handshake.
func TestReceivedAtEverySplit(t *testing.T) {
	t.Parallel()
	ca := tlstest.NewCA(t)
	cfg := serving(t, ca.Leaf())
	bothVersions(t, func(t *testing.T, version uint16) {
		surplus := ""
		if version == tls.VersionTLS13 {
			surplus = changeCipherSpec
		}
		ctx := t.Context()
		length := len(helloOf(t, smallHello(ca, version))) + len(surplus)
		for n := range length + 1 {
			raw := tlstest.ConnectRaw(t, func(raw net.Conn) {
				conn := tls.Client(&surplusConn{raw, []byte(surplus)}, smallHello(ca, version))
				if conn.HandshakeContext(ctx) == nil {
					tlstest.Echo(conn)
				}
			})
			received := make([]byte, n)
			_, err := io.ReadFull(raw, received)
			require.NoError(t, err)
			kept := slices.Clone(received)
			conn, err := tlsengine.Server(ctx, raw, cfg, received)
			require.NoError(t, err, "%d", n)
			require.Equal(t, kept, received)
			clear(received)

			// The raw socket is still read without waiting.
			got := make([]byte, 10)
			_, err = conn.TryRead(got)
			require.ErrorIs(t, err, tlsengine.ErrWouldBlock)
			_, err = conn.Write([]byte("good day"))
			require.NoError(t, err)
			size, err := tryRead(conn, got)
			require.NoError(t, err)
			require.Equal(t, "good day", string(got[:size]))
			require.NoError(t, conn.Close())
		}
	})
}

// What lies beyond the hello is not lost: here it spoils the handshake, wherever it is read from.
func TestReceivedBeyondTheHello(t *testing.T) {
	t.Parallel()
	ca := tlstest.NewCA(t)
	cfg := serving(t, ca.Leaf())
	bothVersions(t, func(t *testing.T, version uint16) {
		surplus := append([]byte("\x17\x03\x03\x40\x00"), make([]byte, 16<<10)...)
		ctx := t.Context()
		length := len(helloOf(t, smallHello(ca, version)))
		for _, n := range []int{0, length, length + 1, length + 5, length + 5000, length + len(surplus)} {
			raw := tlstest.ConnectRaw(t, func(raw net.Conn) {
				_ = tls.Client(&surplusConn{raw, surplus}, smallHello(ca, version)).HandshakeContext(ctx)
			})
			received := make([]byte, n)
			_, err := io.ReadFull(raw, received)
			require.NoError(t, err)
			_, err = tlsengine.Server(ctx, raw, cfg, received)
			requireKind(t, err, tlsengine.Misbehaved)
		}
	})
}

// A hello that stops anywhere, in what was received and on the wire.
func TestHelloCutAtEveryByte(t *testing.T) {
	t.Parallel()
	ca := tlstest.NewCA(t)
	cfg := serving(t, ca.Leaf())
	reset := func(part []byte) func(net.Conn) {
		return func(c net.Conn) {
			_, _ = c.Write(part)
			_ = c.(*net.TCPConn).SetLinger(0)
		}
	}
	bothVersions(t, func(t *testing.T, version uint16) {
		hello := helloOf(t, smallHello(ca, version))
		for n := range len(hello) + 1 {
			want := tlsengine.EndTruncatedRecord
			if n == 0 || n == len(hello) {
				want = tlsengine.EndTruncated
			}
			for _, before := range []int{0, n / 2, n} {
				_, err := tlsengine.Server(t.Context(), tlstest.ConnectRaw(t, say(string(hello[before:n]))), cfg, hello[:before])
				end, ok := tlsengine.EndOf(err)
				require.True(t, ok, "%v", err)
				require.Equal(t, want, end, "%d of %d: %v", n, len(hello), err)
			}
			_, err := tlsengine.Server(t.Context(), tlstest.ConnectRaw(t, reset(hello[n/2:n])), cfg, hello[:n/2])
			end, _ := tlsengine.EndOf(err)
			require.Equal(t, tlsengine.EndReset, end, "%d of %d: %v", n, len(hello), err)
		}
	})
}

// Whatever comes, the handshake ends with an error that blames the client or the network, and the bytes handed over stay
// as they are.
func FuzzServer(f *testing.F) {
	ca := tlstest.NewCA(f)
	cfg := serving(f, ca.Leaf(), ca.Leaf(tlstest.Ed25519()))
	cfg.ClientAuth, cfg.Trust, cfg.ALPN = tlsengine.ClientAuthRequireAndVerify, anchors(ca.Certificate), []string{"imap"}
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		hello := helloOf(f, smallHello(ca, version))
		f.Add(hello, []byte(nil))
		f.Add(hello[:7], hello[7:])
		f.Add([]byte(nil), append(hello, changeCipherSpec...))
	}
	f.Add([]byte("GET / HTTP/1.1\r\n"), []byte("\r\n"))
	f.Add([]byte("\x15\x03\x01\x00\x02\x02"), []byte("\x28"))
	f.Fuzz(func(t *testing.T, received, rest []byte) {
		kept := bytes.Clone(received)
		conn, err := tlsengine.Server(t.Context(), tlstest.ConnectRaw(t, say(string(rest))), cfg, received)
		require.Nil(t, conn, "nobody has the keys")
		require.True(t, bytes.Equal(kept, received))
		var (
			he *tlsengine.HandshakeError
			ae *tlsengine.AlertError
			te *tlsengine.TransportError
			ce *tlsengine.CertificateError
			se *identity.SignError
		)
		require.True(t, errors.As(err, &he) || errors.As(err, &ae) || errors.As(err, &te) || errors.As(err, &ce), "%v", err)
		require.False(t, errors.As(err, &se))
		if he != nil {
			require.NotEqual(t, tlsengine.Internal, he.Kind, "%v", err)
		}
	})
}
