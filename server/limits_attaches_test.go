package server_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	pb "securesocket/gen/securesocket/v1"
	"securesocket/server/servertest"
	"securesocket/session"
	"securesocket/session/quota"
)

const ownAttaches, allAttaches = "attaches in short order of a caller", "attaches in short order"

// A caller's attaches are counted over all his sessions. Who holds one that cannot be
// attached to now, keeps it.
func TestLimitOfAttaches(t *testing.T) {
	t.Parallel()
	addr, ca := echoServer(t)
	svc := servertest.Start(t, limited(func(sc *session.Config) {
		sc.AttachesPerOwner = quota.Limit{PerSecond: 1, Burst: 4}
		sc.Attaches = quota.Limit{PerSecond: 1, Burst: 5}
	})...)
	c := svc.Client(t)
	attempt := func(ctx context.Context, s idle, seq int64) *caller {
		return start(ctx, t, c, attachFrame(&pb.AttachSession{SessionId: s.id, ResumeToken: s.token, AttachSeq: seq}))
	}
	untilRefused := func(ctx context.Context, s idle) refusal {
		for seq := int64(1); ; seq++ {
			require.Less(t, seq, int64(100), "no limit")
			k := attempt(ctx, s, seq)
			if err := k.next(); err != nil {
				return refusalOf(t, err)
			}
		}
	}
	k := open(t, c, addr, ca, keepSession) // an Open attaches too
	k.secure()
	own := untilRefused(t.Context(), newIdle(t.Context(), t, c, nil))
	require.Equal(t, refusal{reason: "LIMIT", what: ownAttaches, limit: "1", retry: own.retry, subjects: []string{ownAttaches}}, own)
	require.Positive(t, own.retry)
	require.LessOrEqual(t, own.retry, time.Second)
	k.write([]byte("still mine"))
	k.until(func() bool { return string(k.data) == "still mine" })

	// Others have what is left of all.
	other := servertest.As(t.Context(), "other")
	require.Equal(t, allAttaches, untilRefused(other, newIdle(other, t, c, nil)).what)

	// An Open that cannot attach leaves no session.
	sessions := svc.Registry.Stats().Sessions
	host, port := hostPort(t, addr)
	require.Eventually(t, func() bool {
		k := start(other, t, c, openFrame(&pb.Open{Host: host, Port: port}))
		err := k.next()
		k.cancel()
		return infoReason(err) == "LIMIT"
	}, patience, time.Millisecond)
	require.Eventually(t, func() bool { return svc.Registry.Stats().Sessions == sessions }, patience, time.Millisecond)

	// When he was told to, the caller may, and the seq that was refused was not used up.
	time.Sleep(own.retry)
	require.Eventually(t, func() bool {
		again := attempt(t.Context(), k.session(), 2)
		if err := again.next(); err != nil {
			require.Contains(t, []string{ownAttaches, allAttaches}, refusalOf(t, err).what)
			return false
		}
		return again.attached != nil
	}, patience, 100*time.Millisecond)
}
