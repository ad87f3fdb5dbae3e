package main

import (
	"context"
	"errors"

	"github.com/spf13/cobra"
	"google.golang.org/grpc/codes"

	"securesocket/client"
	"securesocket/cmd/securesocket/internal/picture"
	pb "securesocket/gen/securesocket/v1"
)

func (p *program) diagnoseCommand() *cobra.Command {
	var flags tlsFlags
	var startTLS startTLSFlag
	var drawing drawingFlags
	cmd := &cobra.Command{
		Use:   "diagnose HOST:PORT",
		Short: "Say what is wrong with a peer, who can mend it, and where the time goes",
		Long: `diagnose connects to the peer at HOST:PORT, hangs up, and tells all that was found: the verdict, every problem
of every certificate with what mends it and on which side, revocation, what was negotiated, the chain as a tree from
the trust anchor down to the leaf, and the time that each phase took.

-o json prints the contract's ProbeResponse, whether the peer is trusted or not. The exit code is 0 if it is.`,
		Args: onePeer,
	}
	flags.register(cmd)
	startTLS.register(cmd.Flags())
	drawing.register(cmd)
	cmd.RunE = p.withService(func(cmd *cobra.Command, args []string, c *client.Client) error {
		if err := drawing.check(); err != nil {
			return err
		}
		t, err := parseTarget(args[0])
		if err != nil {
			return err
		}
		if err := startTLS.check(cmd.Flags()); err != nil {
			return err
		}
		p.startTLS = startTLS.protocol != ""
		settings, anchors, err := flags.settings(cmd)
		if err != nil {
			return err
		}
		request := &pb.ProbeRequest{Host: t.host, Port: t.port, StartTlsProtocol: startTLS.protocol,
			Settings: settings, Certificates: trusted(anchors)}
		d, err := probe(cmd.Context(), c, request)
		if err != nil {
			return p.showRefusal(&drawing, err)
		}
		d.Target, d.Added = t.String(), anchors
		return p.show(&drawing, d, d.Reply)
	})
	return cmd
}

// trusted are anchors as requests have them.
func trusted(anchors [][]byte) (all []*pb.ExtraCertificate) {
	for _, der := range anchors {
		all = append(all, &pb.ExtraCertificate{Certificate: der, Trusted: true})
	}
	return all
}

// probe asks the service about a peer. The error is about the request, or the service.
func probe(ctx context.Context, c *client.Client, request *pb.ProbeRequest) (*picture.Diagnosis, error) {
	reply, err := c.Probe(ctx, request)
	if err != nil {
		return nil, err
	}
	return &picture.Diagnosis{Reply: reply, Err: probeError(reply)}, nil
}

// probeError is why a peer is not as it should be; nil if it is.
func probeError(reply *pb.ProbeResponse) *client.Error {
	if f := reply.GetFailure(); f != nil {
		return &client.Error{Code: codes.Code(f.GetCode()), Reason: f.GetReason(), Message: f.GetMessage(), //nolint:gosec // a code
			Metadata: f.GetMetadata(), Phase: reply.GetFailedPhase(), Report: reply.GetReport()}
	}
	return reportError(reply.GetReport())
}

// showRefusal prints the refusal of a request where JSON was asked for, and returns it: for people stderr is enough.
func (p *program) showRefusal(f *drawingFlags, err error) error {
	failure := failureOf(err)
	if !f.asJSON || failure == nil {
		return err
	}
	if content, bad := toJSON(&pb.ProbeResponse{Failure: failure}); bad == nil {
		_ = p.print(content) // err says more than a stdout that has gone away
	}
	return err
}

// failureOf is an error of the service as the contract has it; nil for another.
func failureOf(err error) *pb.Failure {
	e, ok := errors.AsType[*client.Error](err)
	if !ok {
		return nil
	}
	return &pb.Failure{Code: int32(e.Code), Reason: e.Reason, Message: e.Message, Metadata: e.Metadata} //nolint:gosec // a small enum
}

// reasonOf is the reason that a connect would have failed for, by the status of the chain.
var reasonOf = map[pb.CertificateStatus]pb.ErrorReason{
	pb.CertificateStatus_CERTIFICATE_STATUS_EXPIRED:            pb.ErrorReason_ERROR_REASON_CERTIFICATE_EXPIRED,
	pb.CertificateStatus_CERTIFICATE_STATUS_NOT_YET_VALID:      pb.ErrorReason_ERROR_REASON_CERTIFICATE_NOT_YET_VALID,
	pb.CertificateStatus_CERTIFICATE_STATUS_PRINCIPAL_MISMATCH: pb.ErrorReason_ERROR_REASON_CERTIFICATE_PRINCIPAL_MISMATCH,
	pb.CertificateStatus_CERTIFICATE_STATUS_INVALID_CHAIN:      pb.ErrorReason_ERROR_REASON_CERTIFICATE_INVALID_CHAIN,
	pb.CertificateStatus_CERTIFICATE_STATUS_UNTRUSTED_SIGNERS:  pb.ErrorReason_ERROR_REASON_CERTIFICATE_UNTRUSTED_SIGNERS,
	pb.CertificateStatus_CERTIFICATE_STATUS_REVOKED:            pb.ErrorReason_ERROR_REASON_CERTIFICATE_REVOKED,
	pb.CertificateStatus_CERTIFICATE_STATUS_INVALID:            pb.ErrorReason_ERROR_REASON_CERTIFICATE_INVALID,
}

// reportError is why a chain is refused; nil if it is valid. Whatever is not clearly valid is refused.
func reportError(report *pb.CertificateReport) *client.Error {
	if report != nil && !picture.Refused(report) {
		return nil
	}
	e := &client.Error{Code: codes.FailedPrecondition, Reason: reasonOf[report.GetStatus()],
		Message: "the chain was not judged", Report: report}
	problem := picture.Deciding(report)
	if e.Reason == pb.ErrorReason_ERROR_REASON_UNSPECIFIED {
		e.Reason = pb.ErrorReason_ERROR_REASON_CERTIFICATE_UNDETERMINED
		if problem.GetCode() == pb.CertificateProblemCode_CERTIFICATE_PROBLEM_CODE_REVOCATION_UNKNOWN {
			e.Reason = pb.ErrorReason_ERROR_REASON_REVOCATION_UNAVAILABLE
		}
	}
	if problem != nil {
		e.Message, e.Metadata = problem.GetMessage(), map[string]string{"hint": problem.GetHint()}
	}
	return e
}
