package server_test

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	pb "securesocket/gen/securesocket/v1"
	"securesocket/server/servertest/cutproxy"
	"securesocket/tlsengine/tlstest"
)

// everyKth is how many offsets of the exchange are tried: every one, or with
// -short or -race every 41st.
func everyKth() int64 {
	if testing.Short() || raceEnabled {
		return 41
	}
	return 1
}

// Two data frames each way, the caller's finish and the peer's end, cut once at
// every byte of either direction: the whole story is told every time.
func TestExchangeCutAtEveryByte(t *testing.T) {
	t.Parallel()
	const question, answer = "how do you do", "I do fine, thanks"
	w := newResumableWorld(t, func(conn *tls.Conn) {
		_, _ = conn.Write([]byte(answer[:7]))
		if _, err := io.ReadFull(conn, make([]byte, 7)); err != nil {
			return
		}
		_, _ = conn.Write([]byte(answer[7:]))
		rest, err := io.ReadAll(conn)
		if err == nil && string(rest) == question[7:] {
			tlstest.CloseNotify(conn)
		} else {
			tlstest.Reset(conn)
		}
	})
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
			open: w.open(name), out: []byte(question), chunk: 7,
			dial: func() (pb.SecureSocketServiceClient, func()) {
				c, done := through(p.Dial)
				return c, func() { up, down = p.Counts(); done() }
			},
		}
		ctx, cancel := context.WithTimeout(ctx, patience)
		defer cancel()
		switch err := r.run(ctx); {
		case err != nil:
			return 0, 0, fmt.Errorf("%s: %w", name, err)
		case string(r.in) != answer:
			return 0, 0, fmt.Errorf("%s: the answer is %q", name, r.in)
		case r.closed.GetReadCause() != pb.CloseCause_CLOSE_CAUSE_PEER_CLOSE_NOTIFY || r.closed.GetFailure() != nil || r.closed.GetSentBytes() != int64(len(question)):
			return 0, 0, fmt.Errorf("%s: it ended with %v", name, r.closed)
		case len(r.refused) > 0:
			return 0, 0, fmt.Errorf("%s: refused %v", name, r.refused)
		}
		return up, down, nil
	}
	up, down, err := run(t.Context(), "whole", cutproxy.Cut{})
	require.NoError(t, err)
	require.Greater(t, min(up, down), int64(300), "what a run counts")
	t.Logf("%d bytes up, %d down, every %d", up, down, everyKth())
	g, ctx := errgroup.WithContext(t.Context())
	g.SetLimit(8)
	for direction, bytes := range map[cutproxy.Direction]int64{cutproxy.Up: up, cutproxy.Down: down} {
		for n := int64(0); n <= bytes; n += everyKth() {
			g.Go(func() error {
				_, _, err := run(ctx, fmt.Sprintf("direction %d, cut after %d", direction, n), cutproxy.Cut{Direction: direction, After: n, How: cutproxy.How(n % 2)})
				return err
			})
		}
	}
	require.NoError(t, g.Wait())
	list, err := w.direct.ListSessions(t.Context(), &pb.ListSessionsRequest{})
	require.NoError(t, err)
	require.Empty(t, list.GetSessions(), "each was deleted once all was acked")
}
