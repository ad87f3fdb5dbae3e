package server_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	pb "securesocket/gen/securesocket/v1"
	"securesocket/server/servertest"
	"securesocket/session"
)

// What sessions hold that no stream does is a share of all: the oldest of them go, their
// owner is told so, and the others have lost nothing.
func TestLimitOfDetachedBytes(t *testing.T) {
	t.Parallel()
	const ring, size = 1 << 20, 2 << 20
	svc := servertest.Start(t, limited(func(sc *session.Config) {
		sc.MaxBuffered, sc.DetachedShare = 20<<20, 12 // room for two rings of five
	})...)
	c, addr := svc.Client(t), sending(t, size)
	attached := hoarder(t.Context(), t, c, addr)
	var callers []*caller
	for range 4 {
		k := hoarder(t.Context(), t, c, addr)
		k.until(func() bool { return len(k.data) >= ring/4 }) // small reads leave buffers half empty
		callers = append(callers, k)
	}
	require.Greater(t, rests(t, svc), int64(5*(ring-beyondBudget)))
	for _, k := range callers {
		k.cancel()
		require.Eventually(t, func() bool { // in this order; shedding may be quicker
			resp, err := c.GetSession(t.Context(), &pb.GetSessionRequest{SessionId: k.session().id})
			return err != nil || !resp.GetSession().GetAttached()
		}, patience, 2*time.Millisecond)
	}
	for _, k := range callers[:2] {
		var err error
		require.Eventually(t, func() bool {
			_, err = c.GetSession(t.Context(), &pb.GetSessionRequest{SessionId: k.session().id})
			return err != nil
		}, patience, 5*time.Millisecond)
		reason, metadata := infoOf(t, err)
		require.Equal(t, "SESSION_EXPIRED", reason)
		require.NotEqual(t, "0", metadata["received_bytes"], "what was lost")
		again := start(t.Context(), t, c, attachFrame(&pb.AttachSession{SessionId: k.session().id, ResumeToken: k.session().token, AttachSeq: 2}))
		require.Equal(t, "SESSION_EXPIRED", reasonOf(t, again.end()))
		stranger := servertest.As(t.Context(), "stranger")
		_, err = c.GetSession(stranger, &pb.GetSessionRequest{SessionId: k.session().id})
		require.Equal(t, "SESSION_NOT_FOUND", reasonOf(t, err))
	}
	for _, k := range append(callers[2:], attached) { // the younger ones, and who never left
		if k != attached {
			k = k.again(c)
		}
		k.ack()
		for len(k.data) < size {
			require.NoError(t, k.next())
			k.ack()
		}
		require.Equal(t, noise()[:size], k.data)
	}
	deleteAll(t.Context(), t, c)
	givenBack(t, svc)
}
