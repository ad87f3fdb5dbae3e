package door_test

import (
	"bytes"
	"errors"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"securesocket/server/door"
)

type result struct {
	conn net.Conn
	err  error
}

// fakeListener gives out what is sent to it.
type fakeListener struct {
	conns chan result
	once  sync.Once
}

func (l *fakeListener) Accept() (net.Conn, error) {
	r, ok := <-l.conns
	if !ok {
		return nil, net.ErrClosed
	}
	return r.conn, r.err
}

func (l *fakeListener) Close() error {
	l.once.Do(func() { close(l.conns) })
	return nil
}

func (l *fakeListener) Addr() net.Addr { return &net.UnixAddr{} }

// fakeConn is one from anywhere.
type fakeConn struct {
	net.Conn
	from net.Addr
}

func (c fakeConn) RemoteAddr() net.Addr { return c.from }

// from makes a connection from an IP address, or from none, with its other end.
func from(ip string) (conn, other net.Conn) {
	var addr net.Addr = &net.UnixAddr{Net: "unix"}
	if ip != "" {
		ip, zone, _ := strings.Cut(ip, "%")
		addr = &net.TCPAddr{IP: net.ParseIP(ip), Port: 1, Zone: zone}
	}
	near, far := net.Pipe()
	return fakeConn{near, addr}, far
}

// accept lets a connection in.
func accept(tb testing.TB, d *door.Door, l *fakeListener) *door.Conn {
	tb.Helper()
	near, _ := from("")
	l.conns <- result{conn: near}
	conn, err := d.Listener(l).Accept()
	require.NoError(tb, err)
	tb.Cleanup(func() { _ = conn.Close() })
	return conn.(*door.Conn)
}

// arrivals lets those in that there is room for, and returns all.
func arrivals(tb testing.TB, d *door.Door, ips ...string) (others []net.Conn) {
	tb.Helper()
	l := &fakeListener{conns: make(chan result, len(ips))}
	for _, ip := range ips {
		near, far := from(ip)
		l.conns <- result{conn: near}
		others = append(others, far)
		tb.Cleanup(func() { _ = near.Close() })
	}
	_ = l.Close()
	limited := d.Listener(l)
	for {
		conn, err := limited.Accept()
		if err != nil {
			require.ErrorIs(tb, err, net.ErrClosed)
			return others
		}
		tb.Cleanup(func() { _ = conn.Close() })
	}
}

// ended reports whether the door has closed a connection, by its other end.
func ended(conn net.Conn) bool {
	_ = conn.SetReadDeadline(time.Now().Add(time.Millisecond))
	_, err := conn.Read(make([]byte, 1))
	return errors.Is(err, io.EOF)
}

func TestStrangersAreLimitedByAddress(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		ips     []string
		limit   door.Limit
		refused int // the last ones
	}{
		"one IPv4 address":        {[]string{"192.0.2.1", "192.0.2.1", "192.0.2.1"}, door.LimitAddress, 1},
		"an IPv4-mapped spelling": {[]string{"192.0.2.1", "::ffff:192.0.2.1", "192.0.2.1"}, door.LimitAddress, 1},
		"IPv4 neighbours":         {[]string{"192.0.2.1", "192.0.2.1", "192.0.2.2", "192.0.2.3"}, "", 0},
		"one IPv6 network":        {[]string{"2001:db8::1", "2001:db8::2", "2001:db8::ffff:0:3"}, door.LimitAddress, 1},
		"zones":                   {[]string{"fe80::1%a", "fe80::2%b", "fe80::3%c"}, door.LimitAddress, 1},
		"IPv6 neighbours":         {[]string{"2001:db8::1", "2001:db8::1", "2001:db8:0:1::1"}, "", 0},
		"Unix sockets":            {[]string{"", "", "", "", "192.0.2.1"}, door.LimitLocal, 1},
		"all together":            {[]string{"192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.4", "", "192.0.2.6"}, door.LimitUnclaimed, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := door.New(door.Config{PerAddress: 2, Local: 3, Unclaimed: 5})
			others := arrivals(t, d, tc.ips...)
			s := d.Stats()
			require.Equal(t, len(others)-tc.refused, s.Open)
			require.Equal(t, s.Open, s.Unclaimed)
			if tc.refused > 0 {
				require.Equal(t, map[door.Limit]uint64{tc.limit: uint64(tc.refused)}, s.Refused)
			}
		})
	}
}

func TestWithoutRoomNobodyIsLetIn(t *testing.T) {
	t.Parallel()
	d := door.New(door.Config{Max: 2, Unclaimed: 10})
	l := &fakeListener{conns: make(chan result, 1)}
	for range 2 {
		require.NoError(t, accept(t, d, l).DoorTicket().Claim("anna"))
	}
	require.True(t, ended(arrivals(t, d, "192.0.2.1")[0]))
	require.Equal(t, map[door.Limit]uint64{door.LimitAll: 1}, d.Stats().Refused)
}

func TestTheReserveIsKept(t *testing.T) {
	t.Parallel()
	d := door.New(door.Config{Reserve: func() error { return syscall.EMFILE }})
	require.True(t, ended(arrivals(t, d, "192.0.2.1")[0]))
	require.Equal(t, map[door.Limit]uint64{door.LimitReserve: 1}, d.Stats().Refused)
}

func TestTheQuietestGivesWay(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := door.New(door.Config{PerAddress: 2})
		first := arrivals(t, d, "192.0.2.1", "192.0.2.1")
		require.True(t, ended(arrivals(t, d, "192.0.2.1")[0]), "all are new")
		time.Sleep(time.Second)
		second := arrivals(t, d, "192.0.2.1")
		require.True(t, ended(first[0]))
		require.False(t, ended(first[1]))
		require.False(t, ended(second[0]))
		s := d.Stats()
		require.Equal(t, [2]uint64{1, 1}, [2]uint64{s.GaveWay, s.Refused[door.LimitAddress]})
		require.Equal(t, 2, s.Open)
	})
}

func TestAVisitorGivesWayAfterTheQuiet(t *testing.T) {
	t.Parallel()
	for name, cfg := range map[string]door.Config{"of an address": {Local: 2}, "of all": {Unclaimed: 2}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				d := door.New(cfg)
				l := &fakeListener{conns: make(chan result, 1)}
				visitor, quiet := accept(t, d, l), accept(t, d, l)
				time.Sleep(time.Second)
				leave, err := visitor.DoorTicket().Visit()
				require.NoError(t, err)
				leave()
				time.Sleep(time.Second)
				accept(t, d, l)
				require.NoError(t, visitor.SetDeadline(time.Time{}))
				require.Error(t, quiet.SetDeadline(time.Time{}), "closed")
			})
		})
	}
}

func TestAcceptIsAskedAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		d := door.New(door.Config{Logger: slog.New(slog.NewTextHandler(&log, nil))})
		inner := &fakeListener{conns: make(chan result, 20)}
		for range 12 {
			inner.conns <- result{err: &net.OpError{Op: "accept", Err: syscall.EMFILE}}
		}
		near, _ := from("192.0.2.1")
		inner.conns <- result{conn: near}
		l := d.Listener(inner)
		begin := time.Now()
		conn, err := l.Accept()
		require.NoError(t, err)
		require.NoError(t, conn.Close())
		require.Equal(t, uint64(12), d.Stats().AcceptErrors)
		require.Equal(t, 5275*time.Millisecond, time.Since(begin), "5 ms, then twice as long each time, up to a second")
		require.LessOrEqual(t, strings.Count(log.String(), "\n"), 6, "a line a second")

		// Whoever came meanwhile, let in or not, has it begin anew.
		inner.conns <- result{err: syscall.ENFILE}
		inner.conns <- result{err: syscall.ENFILE}
		floods := visit(t, d, "192.0.2.1")
		floods.flood(t)
		near, _ = from("192.0.2.1")
		inner.conns <- result{conn: near}
		inner.conns <- result{err: syscall.ENFILE}
		near, _ = from("198.51.100.1")
		inner.conns <- result{conn: near}
		begin = time.Now()
		conn, err = l.Accept()
		require.NoError(t, err)
		require.NoError(t, conn.Close())
		require.Equal(t, 20*time.Millisecond, time.Since(begin))

		// What is no use to repeat ends Accept.
		inner.conns <- result{err: syscall.EINVAL}
		_, err = l.Accept()
		require.ErrorIs(t, err, syscall.EINVAL)

		// Close ends the wait.
		inner.conns <- result{err: syscall.ENFILE}
		done := make(chan error)
		go func() {
			_, err := l.Accept()
			done <- err
		}()
		synctest.Wait()
		require.NoError(t, l.Close())
		require.ErrorIs(t, <-done, net.ErrClosed)
	})
}
