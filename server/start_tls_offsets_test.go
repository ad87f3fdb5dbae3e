package server_test

import (
	"bufio"
	"crypto/tls"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/types/known/durationpb"

	pb "securesocket/gen/securesocket/v1"
	"securesocket/server/servertest"
	"securesocket/tlsengine/tlstest"
)

// divided is what a peer got until the caller's end: in clear, and under TLS if that came.
type divided struct {
	plain, secured string
	tls            bool
	err            error // nil: FIN or, under TLS, close_notify
}

// divider is a peer that takes the first byte of a handshake for the beginning of one, and everything before for plain
// text. It reads when it may. What it gets is letters.
type divider struct {
	addr string
	ca   *tlstest.CA
	may  chan struct{}
	got  chan divided
}

func newDivider(tb testing.TB, slow bool) *divider {
	tb.Helper()
	d := &divider{ca: tlstest.NewCA(tb), may: make(chan struct{}), got: make(chan divided, 1)}
	if !slow {
		close(d.may)
	}
	config := &tls.Config{Certificates: []tls.Certificate{d.ca.Leaf(tlstest.Names("127.0.0.1")).Certificate()}}
	ended := tb.Context().Done()
	d.addr = tlstest.ServeRaw(tb, func(conn net.Conn) {
		select {
		case <-d.may:
		case <-ended:
			return
		}
		const handshake = 0x16 // RFC 8446, section 5.1
		var out divided
		r := bufio.NewReader(conn)
		var plain []byte
		for {
			b, err := r.Peek(1)
			if err != nil {
				if out.err = err; err == io.EOF {
					out.err = nil
				}
				break
			}
			if out.tls = b[0] == handshake; out.tls {
				break
			}
			b, _ = r.Peek(r.Buffered())
			n := 0
			for n < len(b) && b[n] != handshake {
				n++
			}
			plain = append(plain, b[:n]...)
			_, _ = r.Discard(n)
		}
		out.plain = string(plain)
		if out.tls {
			secured := tls.Server(&peeked{conn, r}, config)
			var b []byte
			b, out.err = io.ReadAll(secured)
			out.secured = string(b)
			_ = secured.Close()
		}
		d.got <- out
	})
	return d
}

func (d *divider) end(tb testing.TB) divided {
	tb.Helper()
	select {
	case got := <-d.got:
		return got
	case <-patienceOf(tb):
	}
	require.Fail(tb, "the peer saw no end")
	return divided{}
}

// letters are n bytes, of which each says where it is.
func letters(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = 'a' + byte((i+i/23+i/1009)%23)
	}
	return b
}

func handshakeWithin(d time.Duration) func(*pb.Open) {
	return func(m *pb.Open) {
		if m.Settings == nil {
			m.Settings = &pb.SessionSettings{}
		}
		m.Settings.Tls = &pb.TlsSettings{HandshakeTimeout: durationpb.New(d)}
	}
}

// The frame stands anywhere among the bytes before send_offset, and the bytes go on behind it without a pause.
func TestBytesBeyondSendOffsetAreEncrypted(t *testing.T) {
	t.Parallel()
	const plain, all = 100_000, 300_000
	text := letters(all)
	c := servertest.Start(t).Client(t)
	for _, before := range []int{0, 1, 50_000, plain - 1, plain} {
		d := newDivider(t, false)
		k := open(t, c, d.addr, d.ca, plainly)
		k.until(func() bool { return last(k.kinds()) == "CONNECTED" })
		k.write(text[:before])
		var wg sync.WaitGroup
		wg.Go(func() {
			k.send(startTLSFrame(pb.TlsRole_TLS_ROLE_CLIENT, 0, plain))
			for n := before; n < all; n += 700 {
				k.write(text[n:min(n+700, all)])
			}
			k.finish()
		})
		k.secure()
		closed := k.closed()
		wg.Wait()
		require.EqualValues(t, all, closed.GetSentBytes())
		require.Empty(t, k.refused)
		got := d.end(t)
		require.NoError(t, got.err)
		require.True(t, got.tls)
		require.True(t, string(text[:plain]) == got.plain, "%d bytes before the frame: %d in clear", before, len(got.plain))
		require.True(t, string(text[plain:]) == got.secured)
	}
}

// Bytes that were accepted before the StartTls, for a peer that does not read, are divided as those that come later.
func TestBytesAcceptedBeforeAreDivided(t *testing.T) {
	t.Parallel()
	const all = 16 << 20
	text := letters(all)
	c := servertest.Start(t).Client(t)
	d := newDivider(t, true)
	k := open(t, c, d.addr, d.ca, plainly)
	k.until(func() bool { return last(k.kinds()) == "CONNECTED" })
	var wg sync.WaitGroup
	wg.Go(func() {
		k.write(text)
		k.finish()
	})
	var at int64
	require.Eventually(t, func() bool { // until the kernel takes no more meanwhile
		s := getSession(t.Context(), t, c, k.session())
		if s.GetPendingBytes() < 200<<10 {
			return false
		}
		_, err := c.StartTls(t.Context(), &pb.StartTlsRequest{SessionId: k.session().id, StartTls: asClient(0, s.GetSentBytes()-1)})
		require.Equal(t, "OFFSET_MISMATCH", reasonOf(t, err), "it has left")
		at = s.GetSentBytes() + s.GetPendingBytes() - 1000
		done := startingTLS(t, c, k.session(), asClient(0, at))
		for { // either it is refused, because more has left meanwhile, or it is under way
			select {
			case err := <-done:
				require.Equal(t, "OFFSET_MISMATCH", reasonOf(t, err))
				return false
			default:
			}
			if _, err := c.StartTls(t.Context(), &pb.StartTlsRequest{SessionId: k.session().id, StartTls: asClient(0, 0)}); reasonOf(t, err) == "SESSION_STATE" {
				return true
			}
		}
	}, patience, 10*time.Millisecond)
	close(d.may)
	k.secure()
	closed := k.closed()
	wg.Wait()
	require.EqualValues(t, all, closed.GetSentBytes())
	got := d.end(t)
	require.NoError(t, got.err)
	require.True(t, string(text[:at]) == got.plain)
	require.True(t, string(text[at:]) == got.secured)
}

// A StartTls races with Writes of another goroutine. Either more than send_offset has left, and all goes on in clear, or
// nothing beyond it has.
func TestStartTLSBesideWrites(t *testing.T) {
	t.Parallel()
	const plain, all, piece = 20_000, 60_000, 500
	text := letters(all)
	c := servertest.Start(t).Client(t)
	for i := range 60 {
		d := newDivider(t, false)
		s := newIdle(t.Context(), t, c, d.ca)
		connectPlainly(t, c, s, d.addr)
		reached := make(chan struct{})
		var wg sync.WaitGroup
		wg.Go(func() {
			for n := 0; n < all; n += piece {
				if n == i*piece {
					close(reached)
				}
				_, err := c.Write(t.Context(), &pb.WriteRequest{SessionId: s.id, Offset: int64(n), Payload: text[n : n+piece], Finish: n+piece == all})
				if !checkNil(t, err) {
					return
				}
			}
		})
		<-reached
		reason := ""
		if err := outcome(t, startingTLS(t, c, s, asClient(0, plain))); err != nil {
			reason = reasonOf(t, err)
		}
		wg.Wait()
		got := d.end(t)
		require.NoError(t, got.err)
		if reason == "" {
			require.True(t, string(text[:plain]) == got.plain, "round %d: %d in clear", i, len(got.plain))
			require.True(t, string(text[plain:]) == got.secured, "round %d", i)
		} else {
			require.Contains(t, []string{"OFFSET_MISMATCH", "SESSION_STATE"}, reason, "more has left, or the half-close too")
			require.True(t, string(text) == got.plain)
		}
		_, err := c.DeleteSession(t.Context(), &pb.DeleteSessionRequest{SessionId: s.id})
		require.NoError(t, err)
	}
}

func checkNil(t *testing.T, err error) bool {
	t.Helper()
	if err != nil {
		t.Error(err)
	}
	return err == nil
}

// What was acked cannot be taken back, nor what was written; the connection stays as it was.
func TestOffsetsThatAreOver(t *testing.T) {
	t.Parallel()
	eachEntrance(t, func(t *testing.T, by entrance) {
		c := servertest.Start(t).Client(t)
		k := open(t, c, plainEcho(t), nil, plainly, func(m *pb.Open) {
			m.Settings = having(uploaded(t, tlstest.NewCA(t).Leaf()))
		})
		k.write([]byte("0123456789"))
		k.until(func() bool { return len(k.data) == 10 })
		k.send(ackFrame(1, 6, 0))
		require.Equal(t, "OFFSET_MISMATCH", refusedFrame(k, asClient(5, 10)), "the ack has come")
		for _, m := range []*pb.StartTls{asClient(5, 10), asServer(5, 10), asClient(10, 9), asServer(10, 9), asServer(10, 0), asClient(0, 10)} {
			require.Equal(t, "OFFSET_MISMATCH", by.begin(k, c, m)(), "%v", m)
		}
		k = attach(t.Context(), t, c, k.session(), 2) // behind a frame that was refused nothing leaves in clear
		k.sent = 10
		k.write([]byte("still in clear"))
		k.until(func() bool { return string(k.data) == "still in clear" })
		require.Equal(t, pb.Mode_MODE_PLAIN, getSession(t.Context(), t, c, k.session()).GetMode())
		k.finish()
		require.Equal(t, pb.CloseCause_CLOSE_CAUSE_LOCAL, k.closed().GetCause())
	})
}

// Bytes that are missing are waited for as long as a handshake may take, and no longer.
func TestMissingBytes(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		received, sent int64
		fill           int // bytes that a peer is sent who does not read
	}{
		"of the caller": {0, 4, 0}, "of the peer": {4, 0, 0}, "of both": {4, 4, 0}, "in the kernel": {0, 16 << 20, 16 << 20},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			eachEntrance(t, func(t *testing.T, by entrance) {
				c := servertest.Start(t).Client(t)
				d := newDivider(t, true)
				k := open(t, c, d.addr, d.ca, plainly, keepSession, handshakeWithin(time.Second))
				k.until(func() bool { return last(k.kinds()) == "CONNECTED" })
				var wg sync.WaitGroup
				end := by.begin(k, c, asClient(tc.received, tc.sent))
				if tc.fill > 0 {
					switchingNow(t, c, k.session())
					wg.Go(func() {
						for n := 0; n < tc.fill; n += 64 << 10 {
							if k.stream.Send(dataFrame(1, int64(n), string(letters(64<<10)))) != nil {
								return
							}
						}
					})
				}
				require.Equal(t, "HANDSHAKE_TIMEOUT", end())
				closed := k.closed()
				require.Equal(t, pb.CloseCause_CLOSE_CAUSE_ERROR, closed.GetCause())
				require.Equal(t, "HANDSHAKE_TIMEOUT", nameOf(closed.GetFailure().GetReason()))
				require.Equal(t, []string{"io_error", "UNCONNECTED", "closed"}, k.kinds()[len(k.kinds())-3:])
				require.Equal(t, "HANDSHAKE_TIMEOUT", nameOf(getSession(t.Context(), t, c, k.session()).GetLastError().GetReason()))
				k.cancel()
				wg.Wait()
			})
		})
	}
}

// Bytes that come late, and one by one, are in time.
func TestMissingBytesThatCome(t *testing.T) {
	t.Parallel()
	eachEntrance(t, func(t *testing.T, by entrance) {
		ca := tlstest.NewCA(t)
		config := &tls.Config{Certificates: []tls.Certificate{ca.Leaf(tlstest.Names("127.0.0.1")).Certificate()}}
		step := make(chan struct{})
		addr := tlstest.ServeRaw(t, func(conn net.Conn) {
			for _, b := range []byte("220 go\r\n") {
				<-step
				_, _ = conn.Write([]byte{b})
			}
			if _, err := io.ReadFull(conn, make([]byte, 10)); err == nil {
				tlstest.Echo(tls.Server(conn, config))
			}
		})
		c := servertest.Start(t).Client(t)
		k := open(t, c, addr, ca, plainly)
		k.until(func() bool { return last(k.kinds()) == "CONNECTED" })
		end := by.begin(k, c, asClient(8, 10))
		switchingNow(t, c, k.session())
		for i := range 8 {
			step <- struct{}{}
			k.until(func() bool { return len(k.data) == i+1 })
			k.write([]byte("x"))
		}
		k.write([]byte("yzsecret"))
		require.Empty(t, end())
		k.until(func() bool { return string(k.data) == "220 go\r\nsecret" })
		k.finish()
		require.Equal(t, pb.CloseCause_CLOSE_CAUSE_PEER_CLOSE_NOTIFY, k.closed().GetReadCause())
	})
}
