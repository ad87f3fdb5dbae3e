package server_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	pb "securesocket/gen/securesocket/v1"
)

func TestPagesOfListeners(t *testing.T) {
	t.Parallel()
	w := plainListener(t, nil)
	ids := []string{w.l.GetListenerId()}
	for range 6 {
		ids = append(ids, w.listen().GetListenerId())
	}
	var got []string
	token := ""
	for pages := 1; ; pages++ {
		resp, err := w.lc.ListListeners(t.Context(), &pb.ListListenersRequest{PageSize: 3, PageToken: token})
		require.NoError(t, err)
		for _, l := range resp.GetListeners() {
			got = append(got, l.GetListenerId())
		}
		if token = resp.GetNextPageToken(); token == "" {
			require.Equal(t, 3, pages)
			break
		}
		require.Len(t, resp.GetListeners(), 3)
		if pages == 1 { // the one that the token names goes, and another comes
			_, err := w.lc.CloseListener(t.Context(), &pb.CloseListenerRequest{ListenerId: ids[2]})
			require.NoError(t, err)
		}
	}
	require.Equal(t, ids, got, "the oldest first")
	for name, m := range map[string]*pb.ListListenersRequest{
		"page_size": {PageSize: -1}, "page_token": {PageToken: "!"},
	} {
		_, err := w.lc.ListListeners(t.Context(), m)
		reason, metadata := infoOf(t, err)
		require.Equal(t, "INVALID_FIELD", reason)
		require.Equal(t, name, metadata["field"])
	}
	resp, err := w.lc.ListListeners(t.Context(), &pb.ListListenersRequest{PageSize: 1_000})
	require.NoError(t, err)
	require.Len(t, resp.GetListeners(), 6)
	_, err = w.lc.ListListeners(t.Context(), &pb.ListListenersRequest{PageSize: 1_001})
	require.Equal(t, "INVALID_FIELD", reasonOf(t, err))
}

// What is told of a listener is what was asked for, and what it has done.
func TestWhatAListenerTells(t *testing.T) {
	t.Parallel()
	w := secureListener(t, nil, backlog(7), settling(func(s *pb.SessionSettings) { s.Label = "mine" }))
	l := w.look()
	requireSame(t, w.l, l, "listener")
	require.Len(t, l.GetListenerId(), 26)
	require.Equal(t, "127.0.0.1", l.GetLocal().GetAddress())
	require.NotZero(t, l.GetLocal().GetPort())
	require.True(t, l.GetStartTlsOnAccept())
	require.EqualValues(t, 7, l.GetBacklog())
	require.Equal(t, "mine", l.GetSettings().GetLabel())
	require.NotNil(t, l.GetCreateTime())
	key := l.GetSettings().GetTls().GetIdentities()[0].GetKeyPair()
	require.Empty(t, key.GetPrivateKey(), "in public form")
	require.Zero(t, l.GetAcceptedCount())
	require.EqualValues(t, 128, w.listen().GetBacklog())

	silent := w.dialPlain()
	w.pending(1)
	a := w.accept(0)
	w.dial()
	got := a.next()
	l = w.look()
	require.EqualValues(t, 2, l.GetAcceptedCount())
	require.EqualValues(t, 2, l.GetPendingCount(), "one shakes hands, one is not claimed")
	require.Equal(t, "mine", got.GetSession().GetSettings().GetLabel())
	k := w.attach(got)
	require.EqualValues(t, 1, w.look().GetPendingCount())
	require.NoError(t, silent.Close())
	w.pending(0)
	require.EqualValues(t, 2, w.look().GetAcceptedCount())
	k.cancel()
	_, err := a.stream.Header()
	require.NoError(t, err)
	w.nothingMore(a)
}
