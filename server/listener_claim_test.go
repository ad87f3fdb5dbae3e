package server_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	pb "securesocket/gen/securesocket/v1"
)

// No more wait to be claimed than there is credit for.
func TestCredit(t *testing.T) {
	t.Parallel()
	for _, credit := range []int{1, 2, 16} {
		for name, world := range eitherListener {
			t.Run(fmt.Sprint(name, " ", credit), func(t *testing.T) {
				t.Parallel()
				w := world(t, nil)
				const more = 3
				for range credit + more {
					if w.ca != nil {
						w.dial()
					} else {
						w.dialPlain()
					}
				}
				state := pb.State_STATE_CONNECTED
				if w.ca != nil {
					state = pb.State_STATE_ENCRYPTED
				}
				w.until(all(credit+more, state))
				a := w.accept(int32(credit))
				ids := a.take(credit)
				for i := range more - 1 { // each that is claimed has another given out
					_, err := w.c.DeleteSession(t.Context(), &pb.DeleteSessionRequest{SessionId: ids[i]})
					require.NoError(t, err)
					ids = append(ids, a.take(1)...)
				}
				w.pending(int32(credit) + 1)
				w.nothingMore(a)
				w.empty()
			})
		}
	}
}

// A session is claimed by whatever its owner does with it, and by no look at it.
func TestClaims(t *testing.T) {
	t.Parallel()
	for name, claim := range map[string]func(w *listenerWorld, got *pb.AcceptResponse) error{
		"Attach": func(w *listenerWorld, got *pb.AcceptResponse) error { w.attach(got); return nil },
		"Write": func(w *listenerWorld, got *pb.AcceptResponse) error {
			_, err := w.c.Write(w.tb.Context(), &pb.WriteRequest{SessionId: got.GetSession().GetSessionId(), Payload: []byte("hello")})
			return err
		},
		"Read": func(w *listenerWorld, got *pb.AcceptResponse) error {
			stream, err := w.c.Read(w.tb.Context(), &pb.ReadRequest{SessionId: got.GetSession().GetSessionId()})
			require.NoError(w.tb, err)
			_, err = stream.Recv()
			return err
		},
		"Close": func(w *listenerWorld, got *pb.AcceptResponse) error {
			_, err := w.c.Close(w.tb.Context(), &pb.CloseRequest{
				SessionId: got.GetSession().GetSessionId(), Close: &pb.CloseSocket{How: pb.CloseSocket_HOW_ABORT},
			})
			return err
		},
		"Close of a half": func(w *listenerWorld, got *pb.AcceptResponse) error {
			_, err := w.c.Close(w.tb.Context(), &pb.CloseRequest{
				SessionId: got.GetSession().GetSessionId(), Close: &pb.CloseSocket{How: pb.CloseSocket_HOW_WRITE_HALF},
			})
			return err
		},
		"DeleteSession": func(w *listenerWorld, got *pb.AcceptResponse) error {
			_, err := w.c.DeleteSession(w.tb.Context(), &pb.DeleteSessionRequest{SessionId: got.GetSession().GetSessionId()})
			return err
		},
		"Wait": func(w *listenerWorld, got *pb.AcceptResponse) error {
			_, err := w.c.Wait(w.tb.Context(), &pb.WaitRequest{
				SessionId: got.GetSession().GetSessionId(), Condition: pb.WaitRequest_CONDITION_CONNECTED,
			})
			return err
		},
		"UpdateSession": func(w *listenerWorld, got *pb.AcceptResponse) error {
			_, err := w.c.UpdateSession(w.tb.Context(), &pb.UpdateSessionRequest{
				SessionId: got.GetSession().GetSessionId(), Settings: &pb.SessionSettings{Label: "mine"},
			})
			return err
		},
		"StartTls that is refused": func(w *listenerWorld, got *pb.AcceptResponse) error {
			_, err := w.c.StartTls(w.tb.Context(), &pb.StartTlsRequest{
				SessionId: got.GetSession().GetSessionId(), StartTls: &pb.StartTls{Role: pb.TlsRole_TLS_ROLE_SERVER},
			})
			require.Equal(w.tb, "INVALID_FIELD", reasonOf(w.tb, err), "it has no identity")
			return nil
		},
		"Decide without a question": func(w *listenerWorld, got *pb.AcceptResponse) error {
			require.Equal(w.tb, "SESSION_STATE", reasonOf(w.tb, w.decide(got, &pb.CertificateDecision{DecisionId: 1})))
			return nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := plainListener(t, nil)
			a := w.accept(1)
			w.dialPlain()
			got := a.next()
			id := got.GetSession().GetSessionId()
			_, err := w.c.GetSession(t.Context(), &pb.GetSessionRequest{SessionId: id})
			require.NoError(t, err)
			_, err = w.c.GetCertificateStatus(t.Context(), &pb.GetCertificateStatusRequest{SessionId: id})
			require.NoError(t, err)
			require.EqualValues(t, 1, w.look().GetPendingCount())
			require.NoError(t, claim(w, got))
			require.Zero(t, w.look().GetPendingCount())
			w.dialPlain()
			a.next()
			w.nothingMore(a)
		})
	}
}

// What its owner has closed goes with its connection, stream or not.
func TestClosedByItsOwner(t *testing.T) {
	t.Parallel()
	w := plainListener(t, nil)
	a := w.accept(0)
	for _, how := range []pb.CloseSocket_How{pb.CloseSocket_HOW_GRACEFUL, pb.CloseSocket_HOW_ABORT} {
		peer := w.dialPlain()
		id := a.take(1)[0]
		stopped := make(chan struct{})
		go func() { // a peer that ends when it is told to
			defer close(stopped)
			_, _ = peer.Read(make([]byte, 1))
			_ = peer.Close()
		}()
		_, err := w.c.Close(t.Context(), &pb.CloseRequest{SessionId: id, Close: &pb.CloseSocket{How: how}})
		require.NoError(t, err)
		<-stopped
		w.empty()
	}
	w.nothingMore(a)
}

// StartTls claims, and may take its time.
func TestStartTLSClaims(t *testing.T) {
	t.Parallel()
	w := secureListener(t, claimingSoon, func(m *pb.ListenRequest) { m.StartTlsOnAccept = false })
	a := w.accept(1)
	raw := w.dialPlain()
	got := a.next()
	done := make(chan error, 1)
	go func() {
		_, err := w.c.StartTls(t.Context(), &pb.StartTlsRequest{
			SessionId: got.GetSession().GetSessionId(), StartTls: &pb.StartTls{Role: pb.TlsRole_TLS_ROLE_SERVER},
		})
		done <- err
	}()
	w.pending(0)
	other := w.dialPlain()
	a.next()
	closedByService(t, other) // so the time is over
	peer := w.secured(raw)
	require.NoError(t, outcome(t, done))
	w.talks(peer, w.attach(got))
	w.nothingMore(a)
}

// A reader that does not receive holds up what was given to him for no longer than any
// other, and the rest no longer than until the next comes.
func TestReaderThatStalls(t *testing.T) {
	t.Parallel()
	const peers = 600 // more than a stream's window has room for
	w := plainListener(t, claimingSoon, backlog(peers))
	a := w.accept(peers)
	for range peers {
		w.dialPlain()
	}
	var left int32
	require.Eventually(t, func() bool {
		l := w.look()
		left = l.GetPendingCount()
		return l.GetAcceptedCount() == peers && left < peers
	}, patience, 5*time.Millisecond)
	w.until(func(sessions []*pb.Session) bool { return all(len(sessions), pb.State_STATE_CONNECTED)(sessions) })
	next := w.accept(1) // and has credit for no more than one, once all is over that was given out
	given := make(map[string]bool)
	stalled, err := a.rest()
	require.Equal(t, "SUPERSEDED", reasonOf(t, err))
	for _, id := range stalled {
		given[id] = true
	}
	last, again := portOf(w.dialPlain()), make(map[string]bool)
	for {
		s := next.next().GetSession()
		_, err := w.c.DeleteSession(t.Context(), &pb.DeleteSessionRequest{SessionId: s.GetSessionId()})
		if err != nil {
			require.Equal(t, "SESSION_NOT_FOUND", reasonOf(t, err), "its time was over")
		}
		if s.GetRemote().GetPort() == last {
			break
		}
		require.False(t, again[s.GetSessionId()], "twice")
		given[s.GetSessionId()], again[s.GetSessionId()] = true, true
	}
	require.LessOrEqual(t, len(again), int(left))
	require.Equal(t, peers, len(given), "each was given to one of them") //nolint:testifylint // their names say nothing
	w.pending(0)
	w.dialPlain()
	next.next()
	w.nothingMore(next)
}
