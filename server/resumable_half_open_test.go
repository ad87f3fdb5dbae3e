package server_test

import (
	"strconv"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	pb "securesocket/gen/securesocket/v1"
	"securesocket/server/servertest"
	"securesocket/server/servertest/cutproxy"
	"securesocket/tlsengine/tlstest"
)

// The network of the old stream falls silent, and comes back with what it held.
func TestHalfOpenStreamIsSupersededAtOnce(t *testing.T) {
	t.Parallel()
	w := newResumableWorld(t, tlstest.Echo)
	p := cutproxy.Start(t, w.svc.DialContext)
	c, done := through(p.Dial)
	t.Cleanup(done)
	old := w.resumable(t, c)
	old.secure()
	old.write([]byte("one"))
	old.until(func() bool { return string(old.data) == "one" })
	p.CutAll(cutproxy.Silence)
	old.write([]byte("late"))
	old.send(ackFrame(1, 3, 0))
	old.send(closeFrame(pb.CloseSocket_HOW_ABORT))

	live := old.again(w.direct)
	require.EqualValues(t, 3, live.attached.GetAcceptedOffset())
	live.sent = 3
	live.write([]byte("two"))
	live.until(func() bool { return string(live.data) == "onetwo" })
	p.Heal()
	reason, metadata := infoOf(t, old.end())
	require.Equal(t, "SUPERSEDED", reason)
	require.Equal(t, "2", metadata["attach_seq"])

	live.write([]byte("three"))
	live.until(func() bool { return string(live.data) == "onetwothree" })
	live.finish()
	closed := live.closed()
	require.Equal(t, pb.CloseCause_CLOSE_CAUSE_LOCAL, closed.GetCause())
	require.EqualValues(t, len("onetwothree"), closed.GetSentBytes())
	live.ack()
	require.NoError(t, live.end())
}

// Every attach comes twice, and all of them at once.
func TestOfDoubledAndRacingAttachesTheNewestLives(t *testing.T) {
	t.Parallel()
	const racers = 60
	w := newResumableWorld(t, tlstest.Echo)
	k := w.resumable(t, w.direct)
	k.secure()
	k.write([]byte("hello"))
	k.until(func() bool { return len(k.data) == 5 })
	s := k.session()
	var wg sync.WaitGroup
	var mu sync.Mutex
	var alive *caller
	errs := []error{}
	for i := range 2 * racers {
		seq := int64(2 + i/2)
		r := start(t.Context(), t, w.direct, attachFrame(&pb.AttachSession{SessionId: s.id, ResumeToken: s.token, AttachSeq: seq, ReceivedOffset: int64(5 * (i % 2))}))
		wg.Go(func() {
			for r.attached == nil || seq < racers+1 {
				if err := r.next(); err != nil {
					mu.Lock()
					defer mu.Unlock()
					errs = append(errs, err)
					return
				}
			}
			mu.Lock()
			defer mu.Unlock()
			alive = r
		})
	}
	wg.Wait()
	require.Len(t, errs, 2*racers-1, "one lives")
	for _, err := range errs {
		reason, metadata := infoOf(t, err)
		require.Equal(t, "SUPERSEDED", reason)
		require.Equal(t, codes.Aborted, status.Code(err))
		last, err := strconv.Atoi(metadata["attach_seq"])
		require.NoError(t, err)
		require.Greater(t, last, 1)
	}
	require.NotNil(t, alive)
	alive.sent = 5
	alive.write([]byte(" again"))
	want := "hello again"[alive.attached.GetSocketDataOffset():]
	alive.until(func() bool { return string(alive.data) == want })
	require.EqualValues(t, racers+1, getSession(t.Context(), t, w.direct, s).GetAttachSeq())
}

func TestAttachesThatAreRefused(t *testing.T) {
	t.Parallel()
	w := newResumableWorld(t, tlstest.Echo)
	k := w.resumable(t, w.direct)
	k.secure()
	k.write([]byte("hello"))
	k.until(func() bool { return len(k.data) == 5 })
	k.send(ackFrame(1, 2, 0))
	s, other := k.session(), w.resumable(t, w.direct).session()
	live := k.again(w.direct, func(m *pb.AttachSession) { m.AttachSeq = 5 })
	require.Equal(t, "SUPERSEDED", reasonOf(t, k.end()))
	for name, tc := range map[string]struct {
		m      *pb.AttachSession
		reason string
	}{
		"smaller":              {&pb.AttachSession{ResumeToken: s.token, AttachSeq: 4}, "SUPERSEDED"},
		"the same":             {&pb.AttachSession{ResumeToken: s.token, AttachSeq: 5}, "SUPERSEDED"},
		"far ahead":            {&pb.AttachSession{ResumeToken: s.token, AttachSeq: 5 + 1<<20 + 1}, "OFFSET_MISMATCH"},
		"no token":             {&pb.AttachSession{AttachSeq: 6}, "RESUME_TOKEN"},
		"wrong token":          {&pb.AttachSession{ResumeToken: make([]byte, 32), AttachSeq: 6}, "RESUME_TOKEN"},
		"another's token":      {&pb.AttachSession{ResumeToken: other.token, AttachSeq: 6}, "RESUME_TOKEN"},
		"acked before":         {&pb.AttachSession{ResumeToken: s.token, AttachSeq: 6, ReceivedOffset: 1}, "OFFSET_MISMATCH"},
		"not received yet":     {&pb.AttachSession{ResumeToken: s.token, AttachSeq: 6, ReceivedOffset: 6}, "OFFSET_MISMATCH"},
		"generation to come":   {&pb.AttachSession{ResumeToken: s.token, AttachSeq: 6, Generation: 2}, "OFFSET_MISMATCH"},
		"events of the future": {&pb.AttachSession{ResumeToken: s.token, AttachSeq: 6, ReceivedOffset: 5, ReceivedEventSeq: 999}, "OFFSET_MISMATCH"},
	} {
		tc.m.SessionId = s.id
		reason, metadata := infoOf(t, start(t.Context(), t, w.direct, attachFrame(tc.m)).end())
		require.Equal(t, tc.reason, reason, name)
		if reason == "SUPERSEDED" {
			require.Equal(t, "5", metadata["attach_seq"], name)
		}
	}
	thief := servertest.As(t.Context(), "thief")
	for name, token := range map[string][]byte{"no token": nil, "wrong": make([]byte, 32), "another's": other.token, "stolen": s.token} {
		for _, seq := range []int64{1, 5, 6, 5 + 1<<20 + 1} {
			err := start(thief, t, w.direct, attachFrame(&pb.AttachSession{SessionId: s.id, ResumeToken: token, AttachSeq: seq})).end()
			require.Equal(t, "SESSION_NOT_FOUND", reasonOf(t, err), name)
		}
	}
	require.EqualValues(t, 5, getSession(t.Context(), t, w.direct, s).GetAttachSeq())
	live.sent = 5
	live.write([]byte(" again"))
	live.until(func() bool { return string(live.data) == "hello again" })
}

// Those who guess at tokens wait, and so do those who attach all the time; nobody's
// attach_seq is used up.
func TestAttachesAreLimited(t *testing.T) {
	t.Parallel()
	w := newResumableWorld(t, tlstest.Echo)
	for name, again := range map[string]struct {
		burst int
		token func(idle) []byte
	}{
		"failed":     {10, func(idle) []byte { return make([]byte, 32) }},
		"successful": {200, func(s idle) []byte { return s.token }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			k := w.resumable(t, w.direct)
			k.secure()
			s := k.session()
			var err error
			n, seq := 0, int64(1)
			if name == "successful" {
				n = 1 // the Open
			}
			for ; n < 50*again.burst; n++ {
				r := start(t.Context(), t, w.direct, attachFrame(&pb.AttachSession{SessionId: s.id, ResumeToken: again.token(s), AttachSeq: seq + 1}))
				for err = nil; err == nil && r.attached == nil; {
					err = r.next()
				}
				if err == nil {
					seq++
					r.cancel()
				} else if reasonOf(t, err) == "LIMIT" {
					break
				}
			}
			require.Equal(t, "LIMIT", reasonOf(t, err))
			require.Equal(t, codes.ResourceExhausted, status.Code(err))
			require.GreaterOrEqual(t, n, again.burst)
			wait, _ := retryOf(err)
			require.Positive(t, wait)
			require.Equal(t, seq, getSession(t.Context(), t, w.direct, s).GetAttachSeq(), "not used up")
			require.Eventually(t, func() bool {
				r := start(t.Context(), t, w.direct, attachFrame(&pb.AttachSession{SessionId: s.id, ResumeToken: s.token, AttachSeq: seq + 1}))
				return r.next() == nil && r.attached != nil
			}, patience, max(wait, 1), "the same attach_seq, later")
		})
	}
}
