package server_test

import (
	"context"
	"crypto/tls"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	pb "securesocket/gen/securesocket/v1"
	"securesocket/server/servertest"
	"securesocket/tlsengine/tlstest"
)

var abandoned = map[string]struct {
	act    func(*dilemma)
	cause  pb.CloseCause
	gone   bool // the session is
	silent bool // the stream is gone
}{
	"Close": {act: func(d *dilemma) {
		_, err := d.c.Close(d.tb.Context(), &pb.CloseRequest{SessionId: d.s.id})
		require.NoError(d.tb, err)
	}},
	"Close, an abort": {act: func(d *dilemma) {
		_, err := d.c.Close(d.tb.Context(), &pb.CloseRequest{SessionId: d.s.id, Close: &pb.CloseSocket{How: pb.CloseSocket_HOW_ABORT}})
		require.NoError(d.tb, err)
	}},
	"close, a frame":           {act: func(d *dilemma) { d.send(closeFrame(pb.CloseSocket_HOW_GRACEFUL)) }},
	"close, a frame, an abort": {act: func(d *dilemma) { d.send(closeFrame(pb.CloseSocket_HOW_ABORT)) }},
	"CloseSend":                {act: func(d *dilemma) { require.NoError(d.tb, d.stream.CloseSend()) }},
	"the stream is cancelled":  {act: func(d *dilemma) { d.cancel() }, silent: true},
	"Connect is cancelled":     {act: func(d *dilemma) { d.giveUp() }},
	"DeleteSession": {act: func(d *dilemma) {
		_, err := d.c.DeleteSession(d.tb.Context(), &pb.DeleteSessionRequest{SessionId: d.s.id})
		require.NoError(d.tb, err)
	}, cause: pb.CloseCause_CLOSE_CAUSE_DELETED, gone: true},
}

// Whoever ends the connection instead of answering refuses.
func TestQuestionsThatAreAbandoned(t *testing.T) {
	t.Parallel()
	bothVersions(t, func(t *testing.T, version uint16) {
		for name, tc := range abandoned {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				addr, ends, ca := serveFlawed(t, version)
				c := servertest.Start(t).Client(t)
				s := newIdle(t.Context(), t, c, ca, asking())
				d := &dilemma{asker: asked(attach(t.Context(), t, c, s, 1)), c: c, s: s, addr: addr}
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				d.giveUp = cancel
				d.outcome = connecting(ctx, t, c, s, addr)
				d.question1()
				tc.act(d)
				err := outcome(t, d.outcome)
				if ctx.Err() == nil {
					require.Equal(t, "CANCELLED", reasonOf(t, err))
				}
				requireAlert(t, alertBadCertificate, ends.next(t))
				if tc.silent {
					d.asker = asked(attach(t.Context(), t, c, s, 2))
				}
				closed := d.closed()
				require.Equal(t, max(tc.cause, pb.CloseCause_CLOSE_CAUSE_LOCAL), closed.GetCause())
				story := slices.DeleteFunc(d.story(1), func(what string) bool { return what == "decision_request" })
				require.Equal(t, []string{"certificate_error", "UNCONNECTED", "closed"}, story[slices.Index(story, "certificate_error"):])
				if tc.gone {
					require.Equal(t, "SESSION_NOT_FOUND", reasonOf(t, decide(t, c, s, everything(d.q))))
					require.NoError(t, d.end())
					return
				}
				d.claimed()
				require.NoError(t, decide(t, c, s, everything(d.q)), "an answer to a question that is closed is ignored")
			})
		}
	})
}

func TestAnotherConnectEndsTheQuestion(t *testing.T) {
	t.Parallel()
	bothVersions(t, func(t *testing.T, version uint16) {
		addr, ends, ca := serveFlawed(t, version)
		c := servertest.Start(t).Client(t)
		s := newIdle(t.Context(), t, c, ca, asking())
		d := &dilemma{asker: asked(attach(t.Context(), t, c, s, 1)), c: c, s: s, addr: addr}
		d.outcome = connecting(t.Context(), t, c, s, addr)
		d.question1()
		again := connecting(t.Context(), t, c, s, addr)
		require.Equal(t, "CANCELLED", reasonOf(t, outcome(t, d.outcome)))
		requireAlert(t, alertBadCertificate, ends.next(t))
		second := d.question(2)
		require.Greater(t, second.GetDecisionId(), d.q.GetDecisionId())
		d.send(decisionFrame(everything(d.q))) // the first question is closed
		require.NoError(t, decide(t, c, s, everything(d.q)))
		d.send(decisionFrame(exactly(second)))
		require.NoError(t, outcome(t, again))
		require.NoError(t, ends.next(t))
		require.Equal(t, pb.CloseCause_CLOSE_CAUSE_RECONNECT, d.closed().GetCause())
		require.Empty(t, d.refused)
		require.EqualValues(t, 2, certificateStatus(t, c, s).GetGeneration())
	})
}

// A close behind the answer is no answer: what was accepted is still written.
func TestACloseBehindTheAnswer(t *testing.T) {
	t.Parallel()
	bothVersions(t, func(t *testing.T, version uint16) {
		for name, end := range map[string]func(*asker){
			"a frame":   func(k *asker) { k.send(closeFrame(pb.CloseSocket_HOW_GRACEFUL)) },
			"CloseSend": func(k *asker) { require.NoError(k.tb, k.stream.CloseSend()) },
		} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				ca, got := tlstest.NewCA(t), make(listener, 1)
				addr := tlstest.Serve(t, &tls.Config{
					Certificates: []tls.Certificate{ca.Leaf(tlstest.Expired()).Certificate()}, MinVersion: version, MaxVersion: version,
				}, got.handle)
				k := asked(open(t, servertest.Start(t).Client(t), addr, ca, askingOpen()))
				k.write([]byte("accepted by the service"))
				k.send(decisionFrame(exactly(k.question(1))))
				end(k)
				closed := k.closed()
				require.Nil(t, closed.GetFailure())
				require.Equal(t, k.sent, closed.GetSentBytes())
				heard := got.wait(t)
				require.NoError(t, heard.err)
				require.Equal(t, "accepted by the service", string(heard.data))
			})
		}
	})
}
