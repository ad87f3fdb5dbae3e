package main

import (
	"errors"
	"log/slog"
	"slices"

	"securesocket/server/callers"
)

// knowCallers makes the one who says who calls, and who may. It reads the files that the settings name. refused is told of
// each TLS handshake that ends for the caller's certificate.
func (s settings) knowCallers(log *slog.Logger, refused func()) (*callers.Callers, error) {
	cfg := callers.Config{
		Insecure: s.Insecure, TokensFile: s.Callers.Tokens, Logger: log, Refused: refused,
		Allow: s.Callers.Allow, Administrators: s.Callers.Administrators,
	}
	if t := s.TLS; t.Cert != "" {
		cfg.TLS = &callers.TLS{
			CertFile: t.Cert, KeyFile: t.Key, ClientCAFile: t.ClientCA, ClientCRLFile: t.ClientCRL, RequireClientCert: t.RequireClientCert,
		}
	}
	if j := s.Callers.JWT; j.Issuer != "" {
		cfg.JWT = &callers.JWT{Issuer: j.Issuer, Audience: j.Audience, SubjectClaim: j.Claim, KeysFile: j.JWKS, CAFile: j.CA}
	}
	c, err := callers.New(cfg)
	if err != nil {
		return nil, eachError(err, s.blameCallers)
	}
	return c, nil
}

// blameCallers makes a mistake of usage of an error of package callers.
func (s settings) blameCallers(err error) error {
	if pe := new(callers.PatternError); errors.As(err, &pe) {
		if slices.Contains(s.Callers.Allow, pe.Pattern) {
			return s.blameItem("callers.allow", pe.Pattern, err)
		}
		return s.blameItem("callers.administrators", pe.Pattern, err)
	}
	if fe := new(callers.FileError); errors.As(err, &fe) {
		for path, file := range map[string]string{
			"tls.cert": s.TLS.Cert, "tls.client_ca": s.TLS.ClientCA, "tls.client_crl": s.TLS.ClientCRL,
			"callers.tokens": s.Callers.Tokens, "callers.jwt.jwks": s.Callers.JWT.JWKS, "callers.jwt.ca": s.Callers.JWT.CA,
		} {
			if file == fe.File {
				return s.blame(path, err)
			}
		}
		return s.blame("tls.key", err)
	}
	if ce := new(callers.ConfigError); errors.As(err, &ce) {
		err = errors.New(ce.Why) // its field is the program's, not the operator's
	}
	return s.blame("callers.jwt.issuer", err) // the rest has been judged already
}
