package tlsengine_test

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"securesocket/tlsengine"
	"securesocket/tlsengine/forge"
	"securesocket/tlsengine/tlstest"
	"securesocket/tlsengine/tlstest/hostile"
)

// alertUnexpectedMessage is IANA's number.
const alertUnexpectedMessage = 10

// floodBytes bounds what a flood may cost: 64 useless records of the largest size, what the buffers of crypto/tls read
// ahead, and as many useful records.
const floodBytes = 2 << 20

func serveHostile(t *testing.T, config *tls.Config, script func(*hostile.Peer)) string {
	t.Helper()
	return tlstest.ServeRaw(t, hostile.Server(t.Context(), config, script))
}

func serveFlight(t *testing.T, config *tls.Config, flight hostile.Flight, handle func(*tls.Conn)) string {
	t.Helper()
	return tlstest.ServeRaw(t, hostile.FlightServer(t.Context(), config, flight, handle))
}

func forged(id *forge.Identity) *tlstest.Identity { return &tlstest.Identity{Identity: id} }

// countedConn counts what is read. It is no socket, so that TryRead waits.
type countedConn struct {
	net.Conn
	read atomic.Int64
}

func (c *countedConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.read.Add(int64(n))
	return n, err
}

// readAll reads to the end, and says how much there was.
func readAll(read reading, conn *tlsengine.Conn) (n int, err error) {
	for buf := make([]byte, 64<<10); err == nil; {
		var m int
		m, err = read(conn, buf)
		n += m
	}
	return n, err
}

func TestFloodsEnd(t *testing.T) {
	t.Parallel()
	ca := tlstest.NewCA(t)
	leaf := ca.Leaf()
	for _, script := range hostile.Floods() {
		t.Run(script.Name+" under "+tls.VersionName(script.Version), func(t *testing.T) {
			t.Parallel()
			address := serveHostile(t, serverConfig(leaf, script.Version), script.Run)
			for name, read := range map[string]reading{"Read": (*tlsengine.Conn).Read, "TryRead": tryRead} {
				conn, err := client(t, address, trusting(ca))
				require.NoError(t, err, name)
				_, err = readAll(read, conn)
				alert, ok := errors.AsType[*tlsengine.AlertError](err)
				require.True(t, ok, "%s: %v", name, err)
				require.False(t, alert.Remote)
				flood, ok := errors.AsType[*tlsengine.FloodError](err)
				require.Equal(t, script.Uncounted, ok, "%s: %v", name, err)
				if ok {
					require.False(t, flood.Handshake)
					require.EqualValues(t, alertUnexpectedMessage, alert.Alert)
					require.Less(t, flood.Bytes, int64(floodBytes))
					require.Less(t, flood.Useful, flood.Records/2)
				}
				_, again := read(conn, make([]byte, 1))
				require.Equal(t, err, again, "it lasts")
				require.NoError(t, conn.Abort())
			}
		})
	}
}

// A listener has hostile clients.
func TestFloodsOfClientsEnd(t *testing.T) {
	t.Parallel()
	ca := tlstest.NewCA(t)
	config := serving(t, ca.Leaf())
	ctx := t.Context()
	for _, script := range hostile.Floods() {
		t.Run(script.Name+" under "+tls.VersionName(script.Version), func(t *testing.T) {
			t.Parallel()
			raw := tlstest.ConnectRaw(t, func(raw net.Conn) {
				hostile.Attack(ctx, raw, clientConfig(ca, script.Version), script.Run)
			})
			conn, err := tlsengine.Server(t.Context(), raw, config, nil)
			require.NoError(t, err)
			n, err := readAll(tryRead, conn)
			alert, ok := errors.AsType[*tlsengine.AlertError](err)
			require.True(t, ok, "%v", err)
			require.False(t, alert.Remote)
			require.Less(t, n, 4<<10)
			require.NoError(t, conn.Abort())
			flood, ok := errors.AsType[*tlsengine.FloodError](err)
			// crypto/tls takes no ticket of a client at all.
			require.Equal(t, script.Uncounted && !strings.HasPrefix(script.Name, "tickets"), ok, "%v", err)
			if ok {
				require.Less(t, flood.Bytes, int64(floodBytes))
			}
		})
	}
}

// What was read of the network until the end, and what of it was given: both are bounded, by counts.
func TestFloodsCostLittle(t *testing.T) {
	t.Parallel()
	ca := tlstest.NewCA(t)
	leaf := ca.Leaf()
	for _, script := range hostile.Floods() {
		t.Run(script.Name+" under "+tls.VersionName(script.Version), func(t *testing.T) {
			t.Parallel()
			raw := &countedConn{Conn: dialRaw(t, serveHostile(t, serverConfig(leaf, script.Version), script.Run))}
			conn, err := tlsengine.Client(t.Context(), raw, trusting(ca))
			require.NoError(t, err)
			n, err := readAll((*tlsengine.Conn).Read, conn)
			require.Error(t, err)
			require.Less(t, raw.read.Load(), int64(floodBytes))
			require.Less(t, n, 4<<10)
			require.NoError(t, conn.Abort())
		})
	}
}

// A byte in a record is useful, and so is one in 16 KiB of padding, as often as it comes.
func TestPaddingIsNoFlood(t *testing.T) {
	t.Parallel()
	const records = 1000
	ca := tlstest.NewCA(t)
	address := serveHostile(t, serverConfig(ca.Leaf(), tls.VersionTLS13), func(p *hostile.Peer) { hostile.PaddedBytes(p, records) })
	conn, err := client(t, address, trusting(ca))
	require.NoError(t, err)
	n, err := readAll(tryRead, conn)
	require.Equal(t, io.EOF, err)
	require.Equal(t, records, n)
	require.NoError(t, conn.Abort())
}

// The answer of old servers to BEAST: an empty record before every other.
func TestEmptyRecordBeforeEachIsNoFlood(t *testing.T) {
	t.Parallel()
	const records = 1000
	ca := tlstest.NewCA(t)
	leaf := ca.Leaf()
	bothVersions(t, func(t *testing.T, version uint16) {
		address := serveHostile(t, serverConfig(leaf, version), func(p *hostile.Peer) {
			for range records {
				p.Send(p.Record(hostile.ApplicationData, nil, 0), p.Record(hostile.ApplicationData, []byte("x"), 0))
			}
			p.CloseNotify()
		})
		conn, err := client(t, address, trusting(ca))
		require.NoError(t, err)
		n, err := readAll(tryRead, conn)
		require.Equal(t, io.EOF, err)
		require.Equal(t, records, n)
		require.NoError(t, conn.Abort())
	})
}

// A handshake may come in pieces of any size, as far as it goes.
func TestFlightInPieces(t *testing.T) {
	t.Parallel()
	ca := tlstest.NewCA(t)
	leaf := ca.Leaf()
	bothVersions(t, func(t *testing.T, version uint16) {
		for _, flight := range []hostile.Flight{{}, {Size: 1}, {Size: 64}, {Size: 500, Padding: 1000}} {
			address := serveFlight(t, serverConfig(leaf, version), flight, tlstest.Echo)
			conn, err := client(t, address, trusting(ca))
			require.NoError(t, err, "%v", flight)
			_, err = conn.Write([]byte("good day"))
			require.NoError(t, err)
			got := make([]byte, 8)
			_, err = io.ReadFull(conn, got)
			require.NoError(t, err)
			require.Equal(t, "good day", string(got))
			require.NoError(t, conn.Abort())
		}
	})
}

// What the handshake's bounds end is a peer that broke the protocol.
func TestFlightsOutOfProportion(t *testing.T) {
	t.Parallel()
	ca := tlstest.NewCA(t)
	small, large := ca.Leaf(), forged(hostile.LargeCertificates(ca.CA, 4, 20<<10))
	for name, tc := range map[string]struct {
		version uint16
		id      *tlstest.Identity
		flight  hostile.Flight
	}{
		"80 KiB in records of one byte, TLS 1.2": {tls.VersionTLS12, large, hostile.Flight{Size: 1}},
		"80 KiB in records of one byte, TLS 1.3": {tls.VersionTLS13, large, hostile.Flight{Size: 1}},
		"records of 16 KiB with one byte":        {tls.VersionTLS13, small, hostile.Flight{Size: 1, Padding: 1<<14 - 1}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			raw := &countedConn{Conn: dialRaw(t, serveFlight(t, serverConfig(tc.id, tc.version), tc.flight, tlstest.Echo))}
			_, err := tlsengine.Client(t.Context(), raw, trusting(ca))
			requireFloodOfHandshake(t, err)
			require.Less(t, raw.read.Load(), int64(floodBytes))
		})
	}
	t.Run("a hello in records of one byte", func(t *testing.T) {
		t.Parallel()
		raw := &countedConn{Conn: dialRaw(t, tlstest.ServeRaw(t, hostile.HelloInCrumbs))}
		_, err := tlsengine.Client(t.Context(), raw, trusting(ca))
		requireFloodOfHandshake(t, err)
		require.Less(t, raw.read.Load(), int64(floodBytes))
	})
}

func requireFloodOfHandshake(t *testing.T, err error) {
	t.Helper()
	failed, ok := errors.AsType[*tlsengine.HandshakeError](err)
	require.True(t, ok, "%v", err)
	require.Equal(t, tlsengine.Misbehaved, failed.Kind)
	flood, ok := errors.AsType[*tlsengine.FloodError](err)
	require.True(t, ok, "%v", err)
	require.True(t, flood.Handshake)
}

// crypto/tls itself ends these; the engine says of each whose fault it was.
func TestServersThatAreNone(t *testing.T) {
	t.Parallel()
	ca := tlstest.NewCA(t)
	leaf := ca.Leaf()
	for name, tc := range map[string]struct {
		handle func(net.Conn)
		want   tlsengine.HandshakeKind
	}{
		"HelloRetryRequest twice":          {hostile.RetriesTwice, tlsengine.Misbehaved},
		"change_cipher_spec, for ever":     {hostile.Repeat(20, 3, 3, 0, 1, 1), tlsengine.NotTLS},
		"warnings, for ever":               {hostile.Repeat(21, 3, 3, 0, 2, 1, 90), tlsengine.Misbehaved},
		"handshake records without end":    {hostile.Repeat(22, 3, 3, 0, 0), tlsengine.Misbehaved},
		"something else":                   {hostile.Repeat([]byte("SSH-2.0-OpenSSH_9.6\r\n")...), tlsengine.NotTLS},
		"a hello that cannot be a message": {hostile.Repeat(22, 3, 3, 0, 4, 2, 0xff, 0xff, 0xff), tlsengine.Misbehaved},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := client(t, tlstest.ServeRaw(t, tc.handle), trusting(ca))
			failed, ok := errors.AsType[*tlsengine.HandshakeError](err)
			require.True(t, ok, "%v", err)
			require.Equal(t, tc.want, failed.Kind, "%v", err)
		})
	}
	t.Run("change_cipher_spec after the hello, for ever", func(t *testing.T) {
		t.Parallel()
		bothVersions(t, func(t *testing.T, version uint16) {
			flight := hostile.Flight{After: []byte{20, 3, 3, 0, 1, 1}}
			_, err := client(t, serveFlight(t, serverConfig(leaf, version), flight, tlstest.Echo), trusting(ca))
			failed, ok := errors.AsType[*tlsengine.HandshakeError](err)
			require.True(t, ok, "%v", err)
			require.Equal(t, tlsengine.Misbehaved, failed.Kind, "%v", err)
		})
	})
	t.Run("ends in its hello", func(t *testing.T) {
		t.Parallel()
		_, err := client(t, tlstest.ServeRaw(t, hostile.EndsMidHello), trusting(ca))
		end, _ := tlsengine.EndOf(err)
		require.Equal(t, tlsengine.EndTruncatedRecord, end, "%v", err)
	})
	for name, handle := range map[string]func(net.Conn){"says nothing": hostile.Silent, "a byte at a time": hostile.Drip(time.Millisecond)} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			raw := dialRaw(t, tlstest.ServeRaw(t, handle))
			require.NoError(t, raw.SetDeadline(time.Now().Add(100*time.Millisecond)))
			_, err := tlsengine.Client(t.Context(), raw, trusting(ca))
			require.ErrorIs(t, err, os.ErrDeadlineExceeded)
		})
	}
}

// The bounds on what is judged come before the judgement, and the report says so.
func TestChainsOutOfProportion(t *testing.T) {
	t.Parallel()
	ca := tlstest.NewCA(t)
	for name, tc := range map[string]struct {
		id   *tlstest.Identity
		want tlsengine.ProblemCode
	}{
		"17 certificates": {forged(hostile.ManyCertificates(ca.CA, 16)), tlsengine.ChainTooLarge},
		"200 KiB":         {forged(hostile.LargeCertificates(ca.CA, 8, 25<<10)), tlsengine.ChainTooLarge},
		"one name":        {forged(hostile.Explosive(15)), tlsengine.SelfSignedCertificateInChain},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bothVersions(t, func(t *testing.T, version uint16) {
				_, err := client(t, tlstest.Serve(t, serverConfig(tc.id, version), tlstest.Echo), trusting(ca))
				refused, ok := errors.AsType[*tlsengine.CertificateError](err)
				require.True(t, ok, "%v", err)
				p, _ := refused.Report.Deciding()
				require.Equal(t, tc.want, p.Code, "%v", refused.Report.Problems)
			})
		})
	}
}
