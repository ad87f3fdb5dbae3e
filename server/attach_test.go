package server_test

import (
	"bytes"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	pb "securesocket/gen/securesocket/v1"
	"securesocket/server/servertest"
)

func TestSecondAttachSupersedesTheFirst(t *testing.T) {
	t.Parallel()
	l := make(listener, 1)
	addr, ca := scriptedPeer(t, l.handle)
	c := servertest.Start(t).Client(t)
	s := newIdle(t.Context(), t, c, ca)
	old := attach(t.Context(), t, c, s, 3)
	connectTo(t.Context(), t, c, s, addr)
	old.write([]byte("one"))
	old.until(func() bool { return len(old.data) == 3 })

	live := attach(t.Context(), t, c, s, 8)
	require.EqualValues(t, 3, live.attached.GetAcceptedOffset())
	require.EqualValues(t, 3, live.attached.GetSocketDataOffset())
	err := old.end()
	reason, metadata := infoOf(t, err)
	require.Equal(t, "SUPERSEDED", reason)
	require.Equal(t, codes.Aborted, status.Code(err))
	require.Equal(t, "8", metadata["attach_seq"])
	require.Equal(t, pb.ErrorReason_ERROR_REASON_SUPERSEDED, old.detached.GetFailure().GetReason())

	for name, tc := range map[string]struct {
		m      *pb.AttachSession
		reason string
	}{
		"delayed":               {&pb.AttachSession{ResumeToken: s.token, AttachSeq: 7}, "SUPERSEDED"},
		"the same again":        {&pb.AttachSession{ResumeToken: s.token, AttachSeq: 8}, "SUPERSEDED"},
		"no seq":                {&pb.AttachSession{ResumeToken: s.token}, "SUPERSEDED"},
		"no token":              {&pb.AttachSession{AttachSeq: 9}, "RESUME_TOKEN"},
		"wrong token":           {&pb.AttachSession{ResumeToken: make([]byte, 32), AttachSeq: 9}, "RESUME_TOKEN"},
		"a part of the token":   {&pb.AttachSession{ResumeToken: s.token[:31], AttachSeq: 9}, "RESUME_TOKEN"},
		"seq far ahead":         {&pb.AttachSession{ResumeToken: s.token, AttachSeq: 8 + 1<<20 + 1}, "OFFSET_MISMATCH"},
		"bytes never received":  {&pb.AttachSession{ResumeToken: s.token, AttachSeq: 9, ReceivedOffset: 4}, "OFFSET_MISMATCH"},
		"events never sent":     {&pb.AttachSession{ResumeToken: s.token, AttachSeq: 9, ReceivedEventSeq: 1000}, "OFFSET_MISMATCH"},
		"a generation to come":  {&pb.AttachSession{ResumeToken: s.token, AttachSeq: 9, Generation: 2}, "OFFSET_MISMATCH"},
		"negative seq":          {&pb.AttachSession{ResumeToken: s.token, AttachSeq: -1}, "INVALID_FIELD"},
		"seq of more than 2^53": {&pb.AttachSession{ResumeToken: s.token, AttachSeq: 1 << 53}, "INVALID_FIELD"},
	} {
		tc.m.SessionId = s.id
		require.Equal(t, tc.reason, reasonOf(t, start(t.Context(), t, c, attachFrame(tc.m)).end()), name)
	}
	require.EqualValues(t, 8, getSession(t.Context(), t, c, s).GetAttachSeq(), "none of them counted")

	live.send(dataFrame(1, 3, "two"))
	live.until(func() bool { return len(live.data) == 3 })
	require.Equal(t, "two", string(live.data))
	live.send(closeFrame(pb.CloseSocket_HOW_GRACEFUL))
	require.Equal(t, "onetwo", string(l.wait(t).data))
}

func TestAttachSeqMayJumpByTwoToTheTwentieth(t *testing.T) {
	t.Parallel()
	c := servertest.Start(t).Client(t)
	s := newIdle(t.Context(), t, c, nil)
	require.Equal(t, "OFFSET_MISMATCH", reasonOf(t, start(t.Context(), t, c,
		attachFrame(&pb.AttachSession{SessionId: s.id, AttachSeq: 1<<20 + 1})).end()))
	attach(t.Context(), t, c, s, 1<<20)
}

func TestOfRacingAttachesOneLives(t *testing.T) {
	t.Parallel()
	const racers = 100
	l := make(listener, 1)
	addr, ca := scriptedPeer(t, l.handle)
	c := servertest.Start(t).Client(t)
	s := newIdle(t.Context(), t, c, ca)
	connectTo(t.Context(), t, c, s, addr)
	var wg sync.WaitGroup
	alive := make(chan *caller, racers)
	errs := make([]error, racers+1)
	for seq := 1; seq <= racers; seq++ {
		k := start(t.Context(), t, c, attachFrame(&pb.AttachSession{SessionId: s.id, ResumeToken: s.token, AttachSeq: int64(seq)}))
		wg.Go(func() {
			for k.attached == nil || seq < racers {
				if errs[seq] = k.next(); errs[seq] != nil {
					return
				}
			}
			alive <- k
		})
	}
	wg.Wait()
	close(alive)
	for seq := 1; seq < racers; seq++ {
		require.Equal(t, "SUPERSEDED", reasonOf(t, errs[seq]), "seq %d", seq)
	}
	require.NoError(t, errs[racers])
	require.Len(t, alive, 1)
	k := <-alive
	require.EqualValues(t, racers, getSession(t.Context(), t, c, s).GetAttachSeq())
	k.write(bytes.Repeat([]byte("x"), 1000))
	k.until(func() bool { return len(k.data) == 1000 })
	k.send(closeFrame(pb.CloseSocket_HOW_GRACEFUL))
	require.Len(t, l.wait(t).data, 1000)
}
