package client_test

import (
	"context"
	"errors"
	"io"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"securesocket/client"
	pb "securesocket/gen/securesocket/v1"
)

// wrongName is a report with a problem of the leaf and one of the chain as a whole.
var wrongName = &pb.CertificateReport{Problems: []*pb.CertificateProblem{
	{Code: pb.CertificateProblemCode_CERTIFICATE_PROBLEM_CODE_HOST_NAME_MISMATCH, CertificateSha256: make([]byte, 32)},
	{Code: pb.CertificateProblemCode_CERTIFICATE_PROBLEM_CODE_PIN_MISMATCH},
}}

func (s *fakeStream) ask(request *pb.DecisionRequest) {
	s.frame(&pb.AttachResponse{Frame: &pb.AttachResponse_DecisionRequest{DecisionRequest: request}})
}

// asks is a script that asks about wrongName and obeys the answer, as far as it is one.
func asks(s *fakeStream) error {
	s.attached()
	s.event(&pb.Event{Kind: &pb.Event_CertificateError{CertificateError: &pb.CertificateError{Report: wrongName, Overridable: true}}})
	s.ask(&pb.DecisionRequest{DecisionId: 7, Report: wrongName})
	request, err := s.Recv()
	if err != nil {
		return err
	}
	want := &pb.CertificateDecision{DecisionId: 7}
	for _, problem := range wrongName.GetProblems() {
		want.Accept = append(want.Accept, &pb.CertificateProblemAcceptance{
			Code: problem.GetCode(), CertificateSha256: problem.GetCertificateSha256(),
		})
	}
	if !proto.Equal(want, request.GetDecision()) && !request.GetDecision().GetAcceptAll() {
		s.failed(pb.Phase_PHASE_CERTIFICATE, codes.FailedPrecondition, pb.ErrorReason_ERROR_REASON_DECISION_REFUSED)
		return nil
	}
	return echoes(s)
}

func TestDecideAnswers(t *testing.T) {
	t.Parallel()
	c, _ := startFake(t, asks)
	oops := errors.New("oops")
	for name, tc := range map[string]struct {
		decide   func(*client.Question) client.Answer
		accepted bool
	}{
		"all of them": {func(q *client.Question) client.Answer {
			return q.AcceptIf(func(*pb.CertificateProblem) bool { return true })
		}, true},
		"exactly": {func(q *client.Question) client.Answer { return client.AcceptExactly(q.Report.GetProblems()...) }, true},
		"all":     {func(*client.Question) client.Answer { return client.AcceptAll() }, true},
		"some of them": {func(q *client.Question) client.Answer {
			return q.AcceptIf(func(p *pb.CertificateProblem) bool { return len(p.GetCertificateSha256()) > 0 })
		}, false},
		"too few": {func(q *client.Question) client.Answer { return client.AcceptExactly(q.Report.GetProblems()[1:]...) }, false},
		"none":    {func(*client.Question) client.Answer { return client.AcceptExactly() }, false},
		"no":      {func(*client.Question) client.Answer { return client.Refuse() }, false},
		"zero":    {func(*client.Question) client.Answer { return client.Answer{} }, false},
		"panic":   {func(*client.Question) client.Answer { panic(oops) }, false},
		"no rule": {func(q *client.Question) client.Answer { return q.AcceptIf(nil) }, false},
		"exit":    {func(*client.Question) client.Answer { runtime.Goexit(); return client.AcceptAll() }, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var seen []string
			d := client.Dialer{Client: c, Decide: func(_ context.Context, q *client.Question) client.Answer {
				seen = append(seen, "asked")
				if q.Address != "example.com:443" || len(q.SessionID) != 26 {
					return client.Refuse()
				}
				return tc.decide(q)
			}, OnEvent: func(e client.Event) {
				if e.GetCertificateError() != nil {
					seen = append(seen, e.Name())
				}
			}}
			conn, err := d.Dial(t.Context(), "tcp", "example.com:443")
			require.Equal(t, []string{"certificate_error", "asked"}, seen)
			if tc.accepted {
				require.NoError(t, err)
				require.NoError(t, conn.Close())
				return
			}
			e := requireError(t, err, pb.ErrorReason_ERROR_REASON_DECISION_REFUSED)
			require.True(t, proto.Equal(wrongName, e.Report))
			_, panicked := errors.AsType[*client.PanicError](err)
			require.Equal(t, name == "panic" || name == "no rule", panicked)
			require.Equal(t, name == "panic", errors.Is(err, oops))
		})
	}
}

// TestDecideAsksForTheQuestion: the override follows from Decide, unless the settings have one.
func TestDecideAsksForTheQuestion(t *testing.T) {
	t.Parallel()
	got := make(chan *pb.TlsSettings, 1)
	c, _ := startFake(t, func(s *fakeStream) error {
		got <- s.open.GetSettings().GetTls()
		return echoes(s)
	})
	refuse := func(context.Context, *client.Question) client.Answer { return client.Refuse() }
	strict := &pb.SessionSettings{Tls: &pb.TlsSettings{Override: pb.OverrideMode_OVERRIDE_MODE_STRICT}}
	for _, tc := range []struct {
		d    client.Dialer
		want *pb.TlsSettings
	}{
		{client.Dialer{}, &pb.TlsSettings{}},
		{client.Dialer{Decide: refuse}, &pb.TlsSettings{Override: pb.OverrideMode_OVERRIDE_MODE_ASK}},
		{client.Dialer{Decide: refuse, Settings: strict}, strict.GetTls()},
		{client.Dialer{DecisionTimeout: time.Second}, &pb.TlsSettings{DecisionTimeout: durationpb.New(time.Second)}},
	} {
		tc.d.Client = c
		conn, err := tc.d.Dial(t.Context(), "tcp", "example.com:443")
		require.NoError(t, err)
		require.True(t, proto.Equal(tc.want, <-got))
		require.NoError(t, conn.Close())
	}
}

// TestSlowDecideHoldsNothingUp: another caller has answered, and frames go on while the callback still thinks.
func TestSlowDecideHoldsNothingUp(t *testing.T) {
	t.Parallel()
	asked, think := make(chan context.Context, 1), make(chan struct{})
	answered := make(chan struct{})
	c, _ := startFake(t, func(s *fakeStream) error {
		s.attached()
		s.ask(&pb.DecisionRequest{DecisionId: 1, Report: wrongName})
		<-answered
		return echoes(s)
	})
	returned := make(chan struct{})
	d := client.Dialer{Client: c, Decide: func(ctx context.Context, _ *client.Question) client.Answer {
		defer close(returned)
		asked <- ctx
		<-think
		return client.AcceptAll()
	}}
	go func() {
		ctx := <-asked
		close(answered)
		<-ctx.Done() // the question is over
		asked <- ctx
	}()
	conn, err := d.Dial(t.Context(), "tcp", "example.com:443")
	require.NoError(t, err)
	require.Error(t, (<-asked).Err())
	_, err = io.WriteString(conn, greeting)
	require.NoError(t, err)
	got := make([]byte, len(greeting))
	_, err = io.ReadFull(conn, got)
	require.NoError(t, err)
	require.Equal(t, greeting, string(got))
	close(think)
	<-returned
	require.NoError(t, conn.Close())
}

// TestDecideEnds: the context of the question ends with whatever ends the question.
func TestDecideEnds(t *testing.T) {
	t.Parallel()
	type ctxKey struct{}
	giveUp := errors.New("enough")
	for name, tc := range map[string]struct {
		wait  time.Duration // 0: no deadline
		after func(s *fakeStream, cancel context.CancelCauseFunc, over <-chan struct{})
		check func(*testing.T, error, error)
	}{
		"deadline": {300 * time.Millisecond, func(s *fakeStream, _ context.CancelCauseFunc, over <-chan struct{}) {
			<-over
			s.ask(&pb.DecisionRequest{DecisionId: 2, Report: wrongName})
			request, _ := s.Recv() // nothing came for the first: that was the answer
			if id := request.GetDecision().GetDecisionId(); id != 2 {
				t.Errorf("an answer to %d", id)
			}
			s.failed(pb.Phase_PHASE_CERTIFICATE, codes.FailedPrecondition, pb.ErrorReason_ERROR_REASON_DECISION_TIMEOUT)
		}, func(t *testing.T, ctxErr, err error) {
			require.ErrorIs(t, ctxErr, context.DeadlineExceeded)
			requireError(t, err, pb.ErrorReason_ERROR_REASON_DECISION_TIMEOUT)
		}},
		"dial cancelled": {0, func(s *fakeStream, cancel context.CancelCauseFunc, _ <-chan struct{}) {
			cancel(giveUp)
			_, _ = s.Recv()
		}, func(t *testing.T, ctxErr, err error) {
			require.ErrorIs(t, ctxErr, context.Canceled)
			require.ErrorIs(t, err, giveUp)
			require.Equal(t, pb.Phase_PHASE_CERTIFICATE, requireError(t, err, pb.ErrorReason_ERROR_REASON_CANCELLED).Phase)
		}},
		"connection closed": {time.Hour, func(s *fakeStream, _ context.CancelCauseFunc, over <-chan struct{}) {
			s.failed(pb.Phase_PHASE_CERTIFICATE, codes.Unavailable, pb.ErrorReason_ERROR_REASON_PEER_RESET)
			<-over
			s.event(&pb.Event{Kind: &pb.Event_Draining{Draining: &pb.Draining{}}}) // the stream is still there
		}, func(t *testing.T, ctxErr, err error) {
			require.ErrorIs(t, ctxErr, context.Canceled)
			requireError(t, err, pb.ErrorReason_ERROR_REASON_PEER_RESET)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithCancelCause(context.WithValue(t.Context(), ctxKey{}, "value"))
			defer cancel(nil)
			thinking, over := make(chan struct{}), make(chan struct{})
			c, _ := startFake(t, func(s *fakeStream) error {
				s.attached()
				theirNow := time.Now().Add(-time.Hour) // clocks differ
				s.event(&pb.Event{
					EventTime: timestamppb.New(theirNow),
					Kind:      &pb.Event_CertificateError{CertificateError: &pb.CertificateError{Report: wrongName}},
				})
				question := &pb.DecisionRequest{DecisionId: 1, Report: wrongName}
				if tc.wait > 0 {
					question.DeadlineTime = timestamppb.New(theirNow.Add(tc.wait))
				}
				s.ask(question)
				<-thinking
				tc.after(s, cancel, over)
				return nil
			})
			ended := make(chan error, 1)
			first := make(chan struct{}, 1)
			first <- struct{}{}
			var drained bool
			note := func(e client.Event) { drained = drained || e.GetDraining() != nil }
			d := client.Dialer{Client: c, OnEvent: note, Decide: func(ctx context.Context, _ *client.Question) client.Answer {
				select {
				case <-first:
				default: // the second question
					return client.Refuse()
				}
				if ctx.Value(ctxKey{}) != "value" || ctx.Err() != nil {
					t.Error("not the context of the dial, or over before it began")
				}
				close(thinking)
				<-ctx.Done()
				ended <- ctx.Err()
				close(over)
				return client.AcceptAll()
			}}
			dialled := make(chan error, 1)
			go func() {
				_, err := d.Dial(ctx, "tcp", "example.com:443")
				dialled <- err
			}()
			tc.check(t, <-ended, <-dialled)
			require.Equal(t, name == "connection closed", drained)
		})
	}
}

// TestNoDecide: without a callback nothing is answered, for another caller may.
func TestNoDecide(t *testing.T) {
	t.Parallel()
	frames := make(chan *pb.AttachRequest, 1)
	c, _ := startFake(t, func(s *fakeStream) error {
		s.attached()
		s.ask(&pb.DecisionRequest{DecisionId: 1, Report: wrongName})
		s.secure(nil, nil, "")
		request, err := s.Recv()
		frames <- request
		return err
	})
	conn, err := c.DialContext(t.Context(), "tcp", "example.com:443")
	require.NoError(t, err)
	_ = conn.Close() // the service ends the stream without a word
	require.NotNil(t, (<-frames).GetClose())
}

// TestRefusedAnswer: a refused answer is no refused data.
func TestRefusedAnswer(t *testing.T) {
	t.Parallel()
	c, _ := startFake(t, func(s *fakeStream) error {
		s.attached()
		s.ask(&pb.DecisionRequest{DecisionId: 1, Report: wrongName})
		_, _ = s.Recv()
		s.frame(&pb.AttachResponse{Frame: &pb.AttachResponse_Refused{Refused: &pb.Refused{
			FrameNumber: 2, Failure: &pb.Failure{Code: int32(codes.InvalidArgument), Reason: pb.ErrorReason_ERROR_REASON_INVALID_FIELD},
		}}})
		return echoes(s)
	})
	d := client.Dialer{Client: c, Decide: func(context.Context, *client.Question) client.Answer { return client.AcceptAll() }}
	conn, err := d.Dial(t.Context(), "tcp", "example.com:443")
	require.NoError(t, err)
	_, err = io.WriteString(conn, greeting)
	require.NoError(t, err)
	_, err = io.ReadFull(conn, make([]byte, len(greeting)))
	require.NoError(t, err)
	require.NoError(t, conn.Close())
}
