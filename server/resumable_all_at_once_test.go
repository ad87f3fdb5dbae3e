package server_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"

	pb "securesocket/gen/securesocket/v1"
	"securesocket/server/servertest/cutproxy"
	"securesocket/tlsengine/tlstest"
)

// Every connection to the service dies at once, and every session goes on.
func TestThousandSessionsCutAtOnce(t *testing.T) {
	t.Parallel()
	sessions := 1000
	if raceEnabled {
		sessions = 200
	}
	const perConnection = 50
	w := newResumableWorld(t, func(conn *tls.Conn) { tlstest.Echo(conn) })
	p := cutproxy.Start(t, w.svc.DialContext)
	var clients []pb.SecureSocketServiceClient
	for range sessions / perConnection {
		c, done := through(p.Dial)
		t.Cleanup(done)
		clients = append(clients, c)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 3*patience)
	defer cancel()
	callers := make([]*resumer, sessions)
	g := new(errgroup.Group)
	for i := range callers {
		r := &resumer{
			open: w.open(fmt.Sprint(i)), out: fmt.Appendf(nil, "session %d before the cut; and after it", i), noEnd: true,
			dial: func() (pb.SecureSocketServiceClient, func()) { return clients[i/perConnection], func() {} },
		}
		callers[i] = r
		g.Go(func() error { return r.run(ctx) })
	}
	for _, r := range callers { // all of them have their echo, and stay
		r.eventually(t, func() bool { return bytes.Equal(r.in, r.out) }, "an echo")
	}
	tries := make([]int, sessions)
	for i, r := range callers {
		r.look(func() { tries[i] = r.tries })
	}
	p.CutAll(cutproxy.RST)
	for i, r := range callers {
		r.eventually(t, func() bool { return r.tries > tries[i] && !r.attaching && !r.over }, "attached again")
	}
	for _, r := range callers {
		r.look(func() {
			r.out = append(r.out, " it goes on"...)
			r.noEnd = false
			r.moved.Broadcast()
		})
	}
	require.NoError(t, g.Wait())
	for i, r := range callers {
		require.Equal(t, fmt.Sprintf("session %d before the cut; and after it it goes on", i), string(r.in))
	}
	list, err := w.direct.ListSessions(t.Context(), &pb.ListSessionsRequest{}, grpc.WaitForReady(true))
	require.NoError(t, err)
	require.Empty(t, list.GetSessions())
}
