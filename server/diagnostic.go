package server

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"

	pb "securesocket/gen/securesocket/v1"
	"securesocket/server/egress"
	"securesocket/session"
	"securesocket/tlsengine/revocation"
)

// diagnosticService implements DiagnosticService.
type diagnosticService struct {
	pb.UnimplementedDiagnosticServiceServer

	*service
	policy *egress.Live // nil: everything is allowed
}

// maxCRLs bounds the CRLs of a ValidateChain.
const maxCRLs = 64

func (s *diagnosticService) Probe(ctx context.Context, req *pb.ProbeRequest) (*pb.ProbeResponse, error) {
	args, err := connectArgs(probeArgs{req})
	if err != nil {
		return nil, err
	}
	settings, err := s.fromSettings(ctx, req.GetSettings(), nil)
	if err != nil {
		return nil, inSettings("settings.", err)
	}
	certs, err := extraCertificates("certificates", req.GetCertificates())
	if err != nil {
		return nil, err
	}
	found, err := s.registry.Probe(ctx, principalOf(ctx), args, settings, certs)
	if err != nil {
		return nil, inSettings("settings.", err)
	}
	v := found.Snapshot
	resp := &pb.ProbeResponse{
		Remote:   toEndpoint(v.Remote),
		Report:   toReport(found.Report),
		Timeline: toTimeline(v.Timeline),
		Greeting: v.Greeting,
	}
	if v.TLS != nil {
		resp.Tls = toTLSState(*v.TLS)
	}
	if found.Err != nil {
		resp.Failure, resp.FailedPhase = toFailure(found.Err), pb.Phase(found.Phase)
	}
	return resp, nil
}

// probeArgs is a ProbeRequest, which is never plain.
type probeArgs struct{ *pb.ProbeRequest }

func (probeArgs) GetPlain() bool { return false }

func (s *diagnosticService) ValidateChain(ctx context.Context, req *pb.ValidateChainRequest) (*pb.ValidateChainResponse, error) {
	switch {
	case len(req.GetChain()) == 0 && !req.GetServerRole():
		return nil, &session.FieldError{Field: "chain", Why: "is required: DER, the leaf first"}
	case len(req.GetVerifyNames()) == 0 && !req.GetServerRole():
		return nil, &session.FieldError{Field: "verify_names", Why: "is required: a chain that is good for no name in particular proves nothing"}
	case len(req.GetCrls()) > maxCRLs:
		return nil, &session.FieldError{Field: "crls", Why: fmt.Sprintf("has more than %d", maxCRLs)}
	case req.GetAtTime() != nil && req.GetAtTime().CheckValid() != nil:
		return nil, &session.FieldError{Field: "at_time", Why: "is not a valid time"}
	}
	for i, der := range req.GetChain() {
		if bytes.Contains(der, []byte("-----BEGIN")) {
			return nil, &session.CertificateInputError{Why: fmt.Sprintf("chain[%d]: it is PEM; give the DER between the lines, decoded from base64", i)}
		}
	}
	certs, err := extraCertificates("certificates", req.GetCertificates())
	if err != nil {
		return nil, err
	}
	pins, err := pinsOf(req.GetTrust())
	if err != nil {
		return nil, err
	}
	v := session.Validation{
		Chain: req.GetChain(), Names: req.GetVerifyNames(), Certificates: certs,
		Base: session.TrustBase(req.GetTrust().GetBase()), Pins: pins,
		Revocation: revocation.Mode(req.GetRevocation()), //nolint:gosec // 0 to 3
		Client:     req.GetServerRole(), Staple: req.GetOcspStaple(), CRLs: req.GetCrls(),
	}
	if req.GetAtTime() != nil {
		at := req.GetAtTime().AsTime()
		v.At = &at
	}
	report, err := s.registry.Validate(ctx, principalOf(ctx), v)
	if err != nil {
		if ctx.Err() != nil && errors.Is(err, context.Cause(ctx)) {
			return nil, session.ErrCancelled
		}
		return nil, outsideTLS(err)
	}
	return &pb.ValidateChainResponse{Report: toReport(report)}, nil
}

// outsideTLS names a field as ValidateChain has it: what settings have below tls.
func outsideTLS(err error) error {
	if e, ok := err.(*session.FieldError); ok { //nolint:errorlint // as the session made it
		return &session.FieldError{Field: strings.TrimPrefix(e.Field, "tls."), Why: e.Why}
	}
	return err
}
