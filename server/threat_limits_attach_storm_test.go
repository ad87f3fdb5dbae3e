package server_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	pb "securesocket/gen/securesocket/v1"
	"securesocket/server/servertest"
	"securesocket/session"
	"securesocket/session/quota"
)

// storms attaches to a session as fast as it can, and returns how many were let through
// and why the others were not.
func storms(t *testing.T, c pb.SecureSocketServiceClient, s idle, times int, seq func(i int) int64) (passed int, refused []error) {
	t.Helper()
	for i := range times {
		k := start(t.Context(), t, c, attachFrame(&pb.AttachSession{SessionId: s.id, ResumeToken: s.token, AttachSeq: seq(i)}))
		if err := k.next(); err != nil {
			refused = append(refused, err)
		} else {
			passed++
		}
	}
	return passed, refused
}

// TestThreat42AttachStorm has a session attached to without end: 200 at once pass, then
// 50 a second. Whoever is refused is told when to come again, and nobody else notices.
func TestThreat42AttachStorm(t *testing.T) {
	t.Parallel()
	const times = 1000
	c := servertest.Start(t).Client(t)
	n := newNeighbour(t, c)
	s := newIdle(t.Context(), t, c, nil)
	began := time.Now()
	passed, refused := storms(t, c, s, times, func(i int) int64 { return int64(i + 1) })
	require.GreaterOrEqual(t, passed, 200)
	require.LessOrEqual(t, passed, 201+int(50*time.Since(began).Seconds()))
	require.NotEmpty(t, refused)
	var retry time.Duration
	for _, err := range refused {
		r := refusalOf(t, err)
		require.Equal(t, "LIMIT", r.reason)
		require.Positive(t, r.retry)
		require.Equal(t, []string{r.what}, r.subjects)
		retry = max(retry, r.retry)
	}
	require.LessOrEqual(t, retry, time.Second)
	n.talks()
	time.Sleep(retry)
	k := start(t.Context(), t, c, attachFrame(&pb.AttachSession{SessionId: s.id, ResumeToken: s.token, AttachSeq: times + 1}))
	k.until(func() bool { return k.attached != nil })
}

// Attaches that fail are few: ten, and then one a second; they are not in the way of one
// that does not fail, nor of the stream that holds the session.
func TestThreat42FailedAttaches(t *testing.T) {
	t.Parallel()
	addr, ca := echoServer(t)
	c := servertest.Start(t).Client(t)
	k := open(t, c, addr, ca, keepSession)
	k.secure()
	s := k.session()
	began := time.Now()
	forged := idle{s.id, []byte("not the token")}
	passed, refused := storms(t, c, forged, 200, func(int) int64 { return 2 })
	require.Zero(t, passed)
	tokens := 0
	for _, err := range refused {
		if infoReason(err) == "RESUME_TOKEN" {
			tokens++
			continue
		}
		require.Positive(t, refusalOf(t, err).retry)
	}
	require.GreaterOrEqual(t, tokens, 10)
	require.LessOrEqual(t, tokens, 11+int(time.Since(began).Seconds()))
	k.write([]byte("unmoved"))
	k.until(func() bool { return string(k.data) == "unmoved" })
	again := k.again(c)
	again.write([]byte(", and back"))
	again.until(func() bool { return string(again.data) == "unmoved, and back" })
}

// A caller's storm over many sessions is his own.
func TestThreat42StormOverManySessions(t *testing.T) {
	t.Parallel()
	c := servertest.Start(t, limited(func(sc *session.Config) { sc.AttachesPerOwner = quota.Limit{PerSecond: 20, Burst: 40} })...).Client(t)
	other := servertest.As(t.Context(), "other")
	theirs := newIdle(other, t, c, nil)
	began, passed, refused := time.Now(), 0, 0
	for range 30 {
		p, r := storms(t, c, newIdle(t.Context(), t, c, nil), 10, func(i int) int64 { return int64(i + 1) })
		for _, err := range r {
			requireLimit(t, err, ownAttaches, "20", true)
		}
		passed, refused = passed+p, refused+len(r)
	}
	require.GreaterOrEqual(t, passed, 40)
	require.LessOrEqual(t, passed, 41+int(20*time.Since(began).Seconds()))
	require.Equal(t, 300, passed+refused)
	attach(other, t, c, theirs, 1)
}
