package client

import (
	"context"
	"slices"

	pb "securesocket/gen/securesocket/v1"
)

// Question is what Dialer.Decide is asked: the peer's certificate chain has problems; may it be used nevertheless?
//
// The chain is claimed, not proven: the peer has not yet shown that it holds the key, so anybody may have sent a copy of
// it. Never cache it, pin it or call it trusted because it was seen here; what Conn.Report says after the dial is proven.
type Question struct {
	// Address is the host and port that are being dialled.
	Address string
	// SessionID is the session's ID in the service, for its logs.
	SessionID string
	// Report is the whole judgement, with every problem of every certificate. It belongs to the callee. The peer chose
	// every text in it: escape before showing.
	Report *pb.CertificateReport
}

// AcceptIf accepts the problems for which accept returns true, and so the chain if that is all of them: one that is not
// accepted refuses. accept is called for every problem in turn, the certificate that has it being named by its SHA-256.
func (q *Question) AcceptIf(accept func(*pb.CertificateProblem) bool) Answer {
	problems := q.Report.GetProblems()
	for _, problem := range problems {
		if !accept(problem) {
			return Refuse()
		}
	}
	return AcceptExactly(problems...)
}

// Answer is the answer to a Question: Refuse, AcceptExactly, AcceptAll or Question.AcceptIf. Its zero value refuses.
type Answer struct {
	accept []*pb.CertificateProblemAcceptance
	all    bool
}

// Refuse refuses the chain: the dial fails with DECISION_REFUSED.
func Refuse() Answer { return Answer{} }

// AcceptExactly accepts a chain that has these problems and no others: the service compares code and certificate of each
// and refuses if one is missing or one is not there. Without any it refuses. It is for answers that were made elsewhere,
// by a person or from a file; Question.AcceptIf is the same for a rule.
func AcceptExactly(problems ...*pb.CertificateProblem) Answer {
	var answer Answer
	for _, problem := range problems {
		answer.accept = append(answer.accept, &pb.CertificateProblemAcceptance{
			Code:              problem.GetCode(),
			CertificateSha256: slices.Clone(problem.GetCertificateSha256()),
		})
	}
	return answer
}

// AcceptAll accepts whatever is wrong, which is to talk to anybody. It is for looking at a peer, not for trusting it.
func AcceptAll() Answer { return Answer{all: true} }

// handleDecision has Dialer.Decide answer. Without one the question is left to the unary call Decide.
func (c *Conn) handleDecision(request *pb.DecisionRequest) {
	if c.hooks.decide == nil {
		return
	}
	asked := &Question{Address: c.hooks.address, SessionID: c.facts.sessionID, Report: request.GetReport()}
	var answer Answer // stays a refusal unless decide returns
	c.answer(question{id: request.GetDecisionId()}, "Dialer.Decide", request.GetDeadlineTime(), func(ctx context.Context) error {
		answer = c.hooks.decide(ctx, asked)
		return nil
	}, func(error) *pb.AttachRequest {
		return &pb.AttachRequest{Frame: &pb.AttachRequest_Decision{Decision: &pb.CertificateDecision{
			DecisionId: request.GetDecisionId(), Accept: answer.accept, AcceptAll: answer.all,
		}}}
	})
}
