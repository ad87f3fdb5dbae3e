package server

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"fmt"

	"google.golang.org/protobuf/proto"

	pb "securesocket/gen/securesocket/v1"
	"securesocket/session"
	"securesocket/tlsengine/truststore"
)

// trustService implements TrustService.
type trustService struct {
	pb.UnimplementedTrustServiceServer

	*service
}

// scopeOf checks a scope and its session_id.
func scopeOf(scope pb.TrustScope, sessionID string) (session.Scope, error) {
	switch {
	case scope == pb.TrustScope_TRUST_SCOPE_UNSPECIFIED:
		return 0, &session.FieldError{Field: "scope", Why: "is required"}
	case scope == pb.TrustScope_TRUST_SCOPE_SESSION && sessionID == "":
		return 0, &session.FieldError{Field: "session_id", Why: "is required for the scope SESSION"}
	case scope != pb.TrustScope_TRUST_SCOPE_SESSION && sessionID != "":
		return 0, &session.FieldError{Field: "session_id", Why: "has a meaning for the scope SESSION alone"}
	}
	return session.Scope(scope), nil
}

// may returns the level that the caller wants to change, where he may.
func (s *trustService) may(ctx context.Context, scope pb.TrustScope, sessionID string) (session.Scope, error) {
	level, err := scopeOf(scope, sessionID)
	if err == nil && level == session.ScopeService && !callerOf(ctx).administrator {
		err = &session.NotAllowedError{What: "the service's certificates", Why: "only its administrators change them"}
	}
	return level, err
}

func (s *trustService) change(ctx context.Context, scope pb.TrustScope, sessionID string, change session.CertificateChange) error {
	level, err := s.may(ctx, scope, sessionID)
	if err != nil {
		return err
	}
	err = s.registry.ChangeCertificates(principalOf(ctx), level, sessionID, change)
	if err == nil && level == session.ScopeService {
		s.audit.note(ctx, "change the service's certificates")
	}
	return err
}

func (s *trustService) ListCertificates(ctx context.Context, req *pb.ListCertificatesRequest) (*pb.ListCertificatesResponse, error) {
	scope, err := scopeOf(req.GetScope(), req.GetSessionId())
	if err != nil {
		return nil, err
	}
	size, err := pageSize(req.GetPageSize())
	if err != nil {
		return nil, err
	}
	all, err := s.registry.ListCertificates(principalOf(ctx), scope, req.GetSessionId())
	if err != nil {
		return nil, err
	}
	if all, err = afterToken(all, req.GetPageToken()); err != nil {
		return nil, err
	}
	resp := &pb.ListCertificatesResponse{}
	bytes := 0
	for i, c := range all {
		m := &pb.TrustedCertificate{Certificate: toCertificate(c.Cert), Trusted: c.Trusted, Scope: pb.TrustScope(c.Scope)}
		resp.Certificates = append(resp.Certificates, m)
		if bytes += proto.Size(m); i+1 < len(all) && (i+1 == size || bytes > maxPageBytes) {
			sum := sha256.Sum256(c.Cert.Raw)
			resp.NextPageToken = base64.RawURLEncoding.EncodeToString(sum[:])
			break
		}
	}
	return resp, nil
}

// afterToken drops the pages before: a token names the last certificate of one.
func afterToken(all []session.TrustedCertificate, token string) ([]session.TrustedCertificate, error) {
	if token == "" {
		return all, nil
	}
	for i, c := range all {
		sum := sha256.Sum256(c.Cert.Raw)
		if base64.RawURLEncoding.EncodeToString(sum[:]) == token {
			return all[i+1:], nil
		}
	}
	return nil, &session.FieldError{Field: "page_token", Why: "names no certificate that is there; the list may have changed: begin anew"}
}

// bundle reads what a request brings, or the operator's bundle that it names.
func (s *trustService) bundle(b []byte, ref string) ([]*x509.Certificate, error) {
	switch {
	case len(b) > 0 && ref != "":
		return nil, &session.FieldError{Field: "bundle_ref", Why: "excludes bundle"}
	case ref != "":
		certs, ok := s.registry.Config().Bundles[ref]
		if !ok {
			return nil, &session.FieldError{Field: "bundle_ref", Why: "is not the name of a bundle of this service's operator"}
		}
		return certs, nil
	}
	return truststore.ParseBundle(b)
}

func (s *trustService) AddCertificates(ctx context.Context, req *pb.AddCertificatesRequest) (*pb.AddCertificatesResponse, error) {
	if _, err := s.may(ctx, req.GetScope(), req.GetSessionId()); err != nil {
		return nil, err
	}
	certs, err := s.bundle(req.GetBundle(), req.GetBundleRef())
	if err != nil {
		return nil, err
	}
	var added int
	if err := s.change(ctx, req.GetScope(), req.GetSessionId(), session.AddCertificates(certs, req.GetTrusted(), &added)); err != nil {
		return nil, err
	}
	return &pb.AddCertificatesResponse{AddedCount: toInt32(added), Count: toInt32(len(certs))}, nil
}

func (s *trustService) SetCertificates(ctx context.Context, req *pb.SetCertificatesRequest) (*pb.SetCertificatesResponse, error) {
	if _, err := s.may(ctx, req.GetScope(), req.GetSessionId()); err != nil {
		return nil, err
	}
	var certs []*x509.Certificate
	if len(req.GetBundle()) > 0 || req.GetBundleRef() != "" {
		var err error
		if certs, err = s.bundle(req.GetBundle(), req.GetBundleRef()); err != nil {
			return nil, err
		}
	}
	if err := s.change(ctx, req.GetScope(), req.GetSessionId(), session.SetCertificates(certs)); err != nil {
		return nil, err
	}
	return &pb.SetCertificatesResponse{Count: toInt32(len(certs))}, nil
}

func (s *trustService) ResetCertificates(ctx context.Context, req *pb.ResetCertificatesRequest) (*pb.ResetCertificatesResponse, error) {
	if err := s.change(ctx, req.GetScope(), req.GetSessionId(), session.ResetCertificates); err != nil {
		return nil, err
	}
	return &pb.ResetCertificatesResponse{}, nil
}

func (s *trustService) GetDefaults(ctx context.Context, _ *pb.GetDefaultsRequest) (*pb.GetDefaultsResponse, error) {
	settings, err := s.registry.Defaults(principalOf(ctx))
	if err != nil {
		return nil, err
	}
	return &pb.GetDefaultsResponse{Settings: toSettings(settings)}, nil
}

func (s *trustService) UpdateDefaults(ctx context.Context, req *pb.UpdateDefaultsRequest) (*pb.UpdateDefaultsResponse, error) {
	for i, id := range req.GetSettings().GetTls().GetIdentities() {
		if id.GetKeyPair() != nil || id.GetCallerSigner() != nil {
			return nil, &session.FieldError{Field: fmt.Sprintf("settings.tls.identities[%d]", i), Why: "takes only an identity_ref here: keys are not kept"}
		}
	}
	next, warnings, err := s.registry.UpdateDefaults(principalOf(ctx), s.merging(ctx, req.GetSettings(), req.GetUpdateMask()))
	if err != nil {
		return nil, inSettings("settings.", err)
	}
	return &pb.UpdateDefaultsResponse{Settings: toSettings(next), Warnings: warnings}, nil
}

// pageSize checks how many a caller wants of a list.
func pageSize(n int32) (int, error) {
	switch {
	case n < 0 || n > maxPage:
		return 0, &session.FieldError{Field: "page_size", Why: fmt.Sprintf("has to be between 0 and %d", maxPage)}
	case n == 0:
		return defaultPage, nil
	}
	return int(n), nil
}
