package server_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	pb "securesocket/gen/securesocket/v1"
	"securesocket/tlsengine/tlstest"
)

func TestEffectiveSettingsOfResumption(t *testing.T) {
	t.Parallel()
	w := newResumableWorld(t, tlstest.Echo)
	for name, tc := range map[string]struct {
		settings      *pb.SessionSettings
		resumable     bool
		grace         time.Duration
		receive, send int32
	}{
		"defaults":  {&pb.SessionSettings{}, false, time.Minute, 256 << 10, 256 << 10},
		"resumable": {resumableSettings(), true, time.Minute, 1 << 20, 1 << 20},
		"chosen": {&pb.SessionSettings{
			Resumable: proto.Bool(true), DetachGrace: durationpb.New(10 * time.Minute), ReceiveBufferBytes: 16 << 10, SendBufferBytes: 4 << 20,
		}, true, 10 * time.Minute, 16 << 10, 4 << 20},
		"chosen, one of them": {&pb.SessionSettings{Resumable: proto.Bool(false), SendBufferBytes: 32 << 10}, false, time.Minute, 256 << 10, 32 << 10},
	} {
		s := newIdle(t.Context(), t, w.direct, nil, tc.settings)
		v := getSession(t.Context(), t, w.direct, s)
		e := v.GetEffectiveSettings()
		require.Equal(t, tc.resumable, e.GetResumable(), name)
		require.Equal(t, tc.grace, e.GetDetachGrace().AsDuration(), name)
		require.Equal(t, tc.receive, e.GetReceiveBufferBytes(), name)
		require.Equal(t, tc.send, e.GetSendBufferBytes(), name)
		requireSame(t, tc.settings.GetDetachGrace(), v.GetSettings().GetDetachGrace(), "what was set, "+name)
		require.Equal(t, tc.settings.Resumable, v.GetSettings().Resumable, name)
		require.Equal(t, tc.settings.GetSendBufferBytes(), v.GetSettings().GetSendBufferBytes(), name)
		k := attach(t.Context(), t, w.direct, s, 1)
		require.Equal(t, tc.grace, k.attached.GetDetachGrace().AsDuration(), name)
		connectTo(t.Context(), t, w.direct, s, w.addr)
		k.until(func() bool { return k.progress.GetSendLimit() > 0 })
		if tc.resumable {
			require.EqualValues(t, tc.send, k.progress.GetSendLimit(), name)
		} else {
			require.EqualValues(t, int64(1<<53-1), k.progress.GetSendLimit(), name)
		}
	}
	for name, bad := range map[string]*pb.SessionSettings{
		"short grace":     {DetachGrace: durationpb.New(time.Second - 1)},
		"long grace":      {DetachGrace: durationpb.New(10*time.Minute + 1)},
		"little received": {ReceiveBufferBytes: 16<<10 - 1},
		"much received":   {ReceiveBufferBytes: 4<<20 + 1},
		"little sent":     {SendBufferBytes: -1},
		"much sent":       {SendBufferBytes: 4<<20 + 1},
	} {
		_, err := w.direct.CreateSession(t.Context(), &pb.CreateSessionRequest{Settings: bad})
		require.Equal(t, "INVALID_FIELD", reasonOf(t, err), name)
	}
}

// What a connection began with holds until its end.
func TestResumableIsFixedForAGeneration(t *testing.T) {
	t.Parallel()
	w := newResumableWorld(t, tlstest.Echo)
	s := newIdle(t.Context(), t, w.direct, nil)
	connectTo(t.Context(), t, w.direct, s, w.addr)
	update := func(resumable bool) int64 {
		resp, err := w.direct.UpdateSession(t.Context(), &pb.UpdateSessionRequest{
			SessionId: s.id, Settings: &pb.SessionSettings{Resumable: &resumable}, UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"resumable"}},
		})
		require.NoError(t, err)
		require.Equal(t, resumable, resp.GetSession().GetEffectiveSettings().GetResumable())
		return resp.GetEffectiveGeneration()
	}
	require.EqualValues(t, 2, update(true))
	k := attach(t.Context(), t, w.direct, s, 1)
	require.EqualValues(t, int64(1<<53-1), k.attached.GetSendLimit())
	k.write([]byte("one"))
	k.until(func() bool { return string(k.data) == "one" })
	k.cancel() // not resumable: it is an abort
	w.disconnected(t, s)

	connectTo(t.Context(), t, w.direct, s, w.addr)
	require.EqualValues(t, 3, update(false))
	k = attach(t.Context(), t, w.direct, s, 2)
	require.EqualValues(t, 1<<20, k.attached.GetSendLimit())
	k.send(dataFrame(2, 0, "two"))
	k.until(func() bool { return string(k.data) == "two" })
	k.cancel() // still resumable
	w.detached(t, s)
	k = attach(t.Context(), t, w.direct, s, 3)
	k.until(func() bool { return string(k.data) == "two" })
	k.send(dataFrame(2, 3, " more"))
	k.until(func() bool { return string(k.data) == "two more" })
	require.NoError(t, k.stream.CloseSend())
	require.NoError(t, k.end(), "a detach")

	connectTo(t.Context(), t, w.direct, s, w.addr)
	k = attach(t.Context(), t, w.direct, s, 4)
	require.EqualValues(t, int64(1<<53-1), k.attached.GetSendLimit())
	require.NoError(t, k.stream.CloseSend())
	require.NoError(t, k.end(), "a graceful close")
	require.Equal(t, pb.CloseCause_CLOSE_CAUSE_LOCAL, getSession(t.Context(), t, w.direct, s).GetCloseCause())
}
