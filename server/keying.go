package server

import (
	"context"
	"crypto/sha256"
	"fmt"
	"slices"

	pb "securesocket/gen/securesocket/v1"
	"securesocket/session"
	"securesocket/tlsengine"
)

// What may be asked of an exporter.
const (
	maxExporterLabel   = 249 // RFC 8446, section 7.1: 255 with its prefix
	maxExporterBytes   = 1024
	maxExporterContext = 255
)

// reservedLabels are TLS's own.
var reservedLabels = []string{"client finished", "server finished", "master secret", "key expansion", "extended master secret"}

func (s *service) ExportKeyingMaterial(ctx context.Context, req *pb.ExportKeyingMaterialRequest) (*pb.ExportKeyingMaterialResponse, error) {
	sess, err := s.session(ctx, req.GetSessionId())
	if err != nil {
		return nil, err
	}
	binding := req.GetChannelBinding()
	what := "label"
	switch {
	case binding != 0 && (req.GetLabel() != "" || req.Context != nil || req.GetLength() != 0):
		return nil, &session.FieldError{Field: "channel_binding", Why: "excludes label, context and length"}
	case binding != 0:
		what = "channel_binding"
	case req.GetLabel() == "" || len(req.GetLabel()) > maxExporterLabel:
		return nil, &session.FieldError{Field: "label", Why: fmt.Sprintf("has to have 1 to %d bytes, unless channel_binding is set", maxExporterLabel)}
	case slices.Contains(reservedLabels, req.GetLabel()):
		return nil, &session.FieldError{Field: "label", Why: "is one that TLS uses itself (RFC 5705, section 4)"}
	case req.GetLength() < 1 || req.GetLength() > maxExporterBytes:
		return nil, &session.FieldError{Field: "length", Why: fmt.Sprintf("has to be between 1 and %d", maxExporterBytes)}
	case len(req.GetContext()) > maxExporterContext:
		return nil, &session.FieldError{Field: "context", Why: fmt.Sprintf("has more than %d bytes", maxExporterContext)}
	}
	material, err := sess.ExportKeyingMaterial(req.GetGeneration(), what, func(c *tlsengine.Conn) ([]byte, error) {
		if binding != 0 {
			return c.ChannelBinding(tlsengine.Binding(binding)) //nolint:gosec // 1 to 3
		}
		return c.ExportKeyingMaterial(req.GetLabel(), req.Context, int(req.GetLength()))
	})
	if err != nil {
		return nil, err
	}
	return &pb.ExportKeyingMaterialResponse{Material: material}, nil
}

func (s *service) Decide(ctx context.Context, req *pb.DecideRequest) (*pb.DecideResponse, error) {
	if req.GetDecision() == nil {
		return nil, &session.FieldError{Field: "decision", Why: "is required"}
	}
	d, err := decisionOf("decision", req.GetDecision())
	if err != nil {
		return nil, err
	}
	sess, err := s.session(ctx, req.GetSessionId())
	if err != nil {
		return nil, err
	}
	if err := sess.Decide(d); err != nil {
		return nil, err
	}
	return &pb.DecideResponse{}, nil
}

func decisionOf(field string, m *pb.CertificateDecision) (session.Decision, error) {
	d := session.Decision{ID: m.GetDecisionId(), AcceptAll: m.GetAcceptAll()}
	for i, a := range m.GetAccept() {
		if a.GetCode() == 0 {
			return d, &session.FieldError{Field: fmt.Sprintf("%s.accept[%d].code", field, i), Why: "is required"}
		}
		acceptance := session.Acceptance{Code: tlsengine.ProblemCode(a.GetCode())} //nolint:gosec // known to the contract
		switch len(a.GetCertificateSha256()) {
		case 0:
		case sha256.Size:
			acceptance.Certificate = [sha256.Size]byte(a.GetCertificateSha256())
		default:
			return d, &session.FieldError{
				Field: fmt.Sprintf("%s.accept[%d].certificate_sha256", field, i),
				Why:   fmt.Sprintf("has %d bytes; a SHA-256 hash has 32", len(a.GetCertificateSha256())),
			}
		}
		d.Accept = append(d.Accept, acceptance)
	}
	return d, nil
}
