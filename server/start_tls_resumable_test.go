package server_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"
	"google.golang.org/protobuf/proto"

	pb "securesocket/gen/securesocket/v1"
	"securesocket/server/servertest/cutproxy"
	"securesocket/tlsengine/tlstest"
)

// crossing is a conversation that begins in clear and goes on under TLS: so many bytes of each direction lie before.
type crossing struct {
	up, down           []byte
	upPlain, downPlain int
}

// serve is the peer. It tells how each conversation ended.
func (x crossing) serve(tb testing.TB, ca *tlstest.CA) (string, <-chan error) {
	tb.Helper()
	ends := make(chan error, 256)
	config := &tls.Config{Certificates: []tls.Certificate{ca.Leaf(tlstest.Names("127.0.0.1")).Certificate()}, SessionTicketsDisabled: true}
	return tlstest.ServeRaw(tb, func(conn net.Conn) { ends <- x.handle(conn, config) }), ends
}

func (x crossing) handle(conn net.Conn, config *tls.Config) error {
	if _, err := conn.Write(x.down[:x.downPlain]); err != nil {
		return err
	}
	plain := make([]byte, x.upPlain)
	if _, err := io.ReadFull(conn, plain); err != nil {
		return err
	}
	secured := tls.Server(conn, config)
	if err := secured.Handshake(); err != nil {
		return err
	}
	var wg sync.WaitGroup
	wg.Go(func() { _, _ = secured.Write(x.down[x.downPlain:]) })
	rest, err := io.ReadAll(secured)
	wg.Wait()
	if err == nil {
		err = secured.Close()
	}
	if string(plain)+string(rest) != string(x.up) {
		err = errors.Join(err, fmt.Errorf("the peer got %d and %d bytes, or other ones", len(plain), len(rest)))
	}
	return err
}

// The stream is cut at every kth byte while the connection goes from clear text into TLS, which a call beside it asks for:
// nothing is lost or doubled, and offsets run on.
func TestCrossingCutAtEveryByte(t *testing.T) {
	t.Parallel()
	x := crossing{up: []byte("HELO here STARTTLS how do you do"), down: []byte("220 ready 220 go I do fine, thanks"), upPlain: 18, downPlain: 16}
	ca := tlstest.NewCA(t)
	addr, ends := x.serve(t, ca)
	w := worldOf(t, ca, addr)
	run := func(ctx context.Context, name string, cut cutproxy.Cut) (up, down int64, err error) {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return 0, 0, err
		}
		p := cutproxy.New(l, w.svc.DialContext)
		defer p.Close()
		first := true
		p.Plan(func() (c cutproxy.Cut) {
			if first {
				c = cut
			}
			first = false
			return c
		})
		r := &resumer{
			open: w.open(name, plainly, func(m *pb.Open) { m.Settings.Label = name }), out: x.up[:x.upPlain], chunk: 7, noEnd: true,
			dial: func() (pb.SecureSocketServiceClient, func()) {
				c, done := through(p.Dial)
				return c, func() { up, down = p.Counts(); done() }
			},
		}
		ctx, cancel := context.WithTimeout(ctx, patience)
		defer cancel()
		done := make(chan error, 1)
		go func() { done <- r.run(ctx) }()
		if err := w.cross(ctx, name, x); err != nil {
			return 0, 0, fmt.Errorf("%s: %w", name, err)
		}
		r.look(func() {
			r.out, r.noEnd = x.up, false
			r.moved.Broadcast()
		})
		switch err := <-done; {
		case err != nil:
			return 0, 0, fmt.Errorf("%s: %w", name, err)
		case string(r.in) != string(x.down):
			return 0, 0, fmt.Errorf("%s: the caller got %q", name, r.in)
		case r.closed.GetReadCause() != pb.CloseCause_CLOSE_CAUSE_PEER_CLOSE_NOTIFY || r.closed.GetFailure() != nil || r.closed.GetSentBytes() != int64(len(x.up)):
			return 0, 0, fmt.Errorf("%s: it ended with %v", name, r.closed)
		case len(r.refused) > 0:
			return 0, 0, fmt.Errorf("%s: refused %v", name, r.refused)
		}
		return up, down, nil
	}
	up, down, err := run(t.Context(), "whole", cutproxy.Cut{})
	require.NoError(t, err)
	require.NoError(t, <-ends)
	g, ctx := errgroup.WithContext(t.Context())
	g.SetLimit(8)
	for direction, bytes := range map[cutproxy.Direction]int64{cutproxy.Up: up, cutproxy.Down: down} {
		for n := int64(0); n <= bytes; n += 7 * everyKth() {
			g.Go(func() error {
				_, _, err := run(ctx, fmt.Sprintf("direction %d, cut after %d", direction, n), cutproxy.Cut{Direction: direction, After: n, How: cutproxy.How(n % 2)})
				return errors.Join(err, <-ends)
			})
		}
	}
	require.NoError(t, g.Wait())
}

// cross finds the session of a label, which is that of the request, and has it enter TLS; it tries again where bytes or the
// connection are not there yet.
func (w *resumableWorld) cross(ctx context.Context, label string, x crossing) error {
	for {
		list, err := w.direct.ListSessions(ctx, &pb.ListSessionsRequest{PageSize: 1000})
		if err != nil {
			return err
		}
		for _, s := range list.GetSessions() {
			if s.GetSettings().GetLabel() != label || s.GetState() != pb.State_STATE_CONNECTED {
				continue
			}
			m := asClient(int64(x.downPlain), int64(x.upPlain))
			m.RequestId = "cross"
			_, err := w.direct.StartTls(ctx, &pb.StartTlsRequest{SessionId: s.GetSessionId(), StartTls: m})
			return err
		}
	}
}

// A stream breaks at each point around the switch, which a frame asks for: it comes again, with the same request_id and the
// bytes that were not accepted.
func TestStreamBrokenAroundTheSwitch(t *testing.T) {
	t.Parallel()
	x := crossing{up: letters(3000), down: letters(2500), upPlain: 1000, downPlain: 700}
	ca := tlstest.NewCA(t)
	addr, ends := x.serve(t, ca)
	w := worldOf(t, ca, addr)
	start := asClient(int64(x.downPlain), int64(x.upPlain))
	start.RequestId = "switch"
	for point := range 12 {
		k := w.resumable(t, w.direct, plainly)
		k.until(func() bool { return slices.Contains(k.kinds(), "CONNECTED") }) // before, a StartTls is refused
		resend := func(k *caller) {
			accepted := k.attached.GetAcceptedOffset()
			if accepted < int64(x.upPlain) {
				k.send(dataFrame(1, accepted, string(x.up[accepted:x.upPlain])))
			}
			k.send(&pb.AttachRequest{Frame: &pb.AttachRequest_StartTls{StartTls: start}})
			from := max(accepted, int64(x.upPlain))
			if from < int64(len(x.up)) {
				k.send(dataFrame(1, from, string(x.up[from:])))
			}
			k.send(finishFrame(1, int64(len(x.up))))
		}
		resend(k)
		for breaks := range 3 { // the first after so many frames, the others at once or a little later
			for range point / (breaks + 1) {
				if last := k.events; len(last) > 0 && last[len(last)-1].GetClosed() != nil {
					break
				}
				require.NoError(t, k.next())
			}
			k.cancel()
			k = k.again(w.direct)
			resend(k)
		}
		closed := k.closed()
		k.until(func() bool { return len(k.data) == len(x.down) })
		require.True(t, string(k.data) == string(x.down))
		require.EqualValues(t, len(x.up), closed.GetSentBytes())
		require.Nil(t, closed.GetFailure())
		require.NoError(t, <-ends, "point %d", point)
		for _, r := range k.refused { // what came again after the end
			require.Equal(t, "SESSION_STATE", nameOf(r.GetFailure().GetReason()))
		}
		require.Equal(t, 1, strings.Count(strings.Join(k.kinds(), " "), "mode_changed"))
		k.ack()
		require.NoError(t, k.end())
	}
}

// The client of a server that is told to enter TLS sends its hello at once; the caller's stream breaks around the switch, and
// comes again from where TLS begins at most.
func TestServerRoleWithABrokenStream(t *testing.T) {
	t.Parallel()
	p := openPorch(t, func(s *pb.SessionSettings) { s.Resumable = proto.Bool(true) })
	start := asServer(int64(len(startTLSLine)), 0)
	start.RequestId = "switch"
	for point := range 10 {
		g, s := p.visit(t)
		hello, secured, done := g.hello()
		g.say(append([]byte(startTLSLine), hello...))
		k := attach(t.Context(), t, p.c, s, 1)
		takingBack(k, int64(len(startTLSLine)))
		k.until(func() bool { return len(k.data) == len(startTLSLine)+len(hello) })
		k.send(&pb.AttachRequest{Frame: &pb.AttachRequest_StartTls{StartTls: start}})
		for range min(point, 3) {
			require.NoError(t, k.next())
		}
		k.cancel()
		k.data = k.data[:min(len(k.data), len(startTLSLine))] // what was beyond is the hello, if the frame has come
		var seq int64
		if n := len(k.events); n > 0 {
			seq = k.events[n-1].GetSeq()
		}
		next := attachFrame(&pb.AttachSession{
			SessionId: s.id, ResumeToken: s.token, AttachSeq: 2, Generation: 1, ReceivedOffset: int64(len(k.data)), ReceivedEventSeq: seq,
		})
		again := startAgain(t, p.c, next, k)
		takingBack(again, int64(len(startTLSLine)))
		again.send(&pb.AttachRequest{Frame: &pb.AttachRequest_StartTls{StartTls: start}})
		require.NoError(t, <-done, "point %d", point)
		_, err := secured.Write([]byte("under TLS"))
		require.NoError(t, err)
		again.until(func() bool { return string(again.data) == startTLSLine+"under TLS" })
		require.Empty(t, again.refused)
		require.NoError(t, secured.Close())
		again.send(finishFrame(1, 0))
		again.closed()
	}
}

// startAgain attaches with what a caller has.
func startAgain(t *testing.T, c pb.SecureSocketServiceClient, first *pb.AttachRequest, had *caller) *caller {
	t.Helper()
	k := start(t.Context(), t, c, first)
	k.until(func() bool { return k.attached != nil })
	require.EqualValues(t, len(had.data), k.attached.GetSocketDataOffset())
	k.attached.SocketDataOffset = 0
	k.data, k.events = had.data, had.events
	return k
}
