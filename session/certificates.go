package session

import (
	"crypto/x509"

	"securesocket/tlsengine/truststore"
)

// CertificateChange changes the certificates of a level.
type CertificateChange func(truststore.Level) (truststore.Level, error)

// ListCertificates returns what counts at a scope: for ScopeSession that of the
// session with the ID. The error is ErrNotFound, or of the store.
func (r *Registry) ListCertificates(owner string, scope Scope, id string) ([]TrustedCertificate, error) {
	if scope == ScopeSession {
		s, err := r.Get(owner, id)
		if err != nil {
			return nil, err
		}
		levels, err := s.levels(s.Snapshot().Effective.TrustBase)
		return listed(levels), r.storeError(err)
	}
	levels, err := r.trust.above(scope, owner)
	if err != nil {
		return nil, r.storeError(err)
	}
	switch scope {
	case ScopeService:
		l, err := r.trust.levels.get(nobody, serviceKey)
		return listed(follow(levels, scoped{l, scope})), r.storeError(err)
	case ScopeDefaults:
		l, err := r.trust.levels.get(owner, callerKey(owner))
		return listed(follow(levels, scoped{l, scope})), r.storeError(err)
	}
	return listed(levels), nil
}

// ChangeCertificates changes a level. The error is ErrNotFound, a LimitError, a
// NotAllowedError for the system's, or of the store. Sessions see the change at
// their next handshake.
func (r *Registry) ChangeCertificates(owner string, scope Scope, id string, change CertificateChange) error {
	bounded := func(have truststore.Level) (truststore.Level, error) {
		l, err := change(have)
		switch {
		case err != nil:
			return have, err
		case l == have:
			return have, errUnchanged
		}
		return l, checkLevel(l, "a level of trust", maxLevelCertificates, maxLevelBytes)
	}
	switch scope {
	case ScopeSession:
		s, err := r.Get(owner, id)
		if err != nil {
			return err
		}
		return s.changeCertificates(change)
	case ScopeDefaults:
		return r.storeError(r.trust.levels.change(owner, callerKey(owner), bounded))
	case ScopeService:
		return r.storeError(r.trust.levels.change(nobody, serviceKey, bounded))
	}
	return &NotAllowedError{What: "the system's certificates", Why: "they are changed on the service's machine, not here"}
}

// AddCertificates extends a level; count is how many are new or newly trusted.
func AddCertificates(certs []*x509.Certificate, trusted bool, count *int) CertificateChange {
	return func(l truststore.Level) (truststore.Level, error) {
		entries := make([]truststore.Entry, len(certs))
		for i, c := range shared(certs) {
			entries[i] = truststore.Entry{Cert: c, Trusted: trusted}
		}
		l, *count = l.Add(entries...)
		return l, nil
	}
}

// SetCertificates replaces the anchors of a level.
func SetCertificates(certs []*x509.Certificate) CertificateChange {
	return func(l truststore.Level) (truststore.Level, error) { return l.Replace(shared(certs)), nil }
}

// ResetCertificates lets a level follow again.
func ResetCertificates(l truststore.Level) (truststore.Level, error) { return l.Reset(), nil }

// AddCertificate adds a certificate for the next handshakes. The same one
// again changes nothing, but trusted makes it an anchor.
func (s *Session) AddCertificate(cert *x509.Certificate, trusted bool) error {
	var count int
	return s.changeCertificates(AddCertificates([]*x509.Certificate{cert}, trusted, &count))
}

func (s *Session) changeCertificates(change CertificateChange) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over != nil {
		return s.over
	}
	s.claimLocked()
	next, err := change(s.certificates)
	if err != nil {
		return err
	}
	if err := checkLevel(next, "a session", maxCertificates, maxCertificateTotalBytes); err != nil {
		return err
	}
	before := s.certificates
	s.certificates = next
	if err := s.giveLocked(false); err != nil {
		s.certificates = before
		return err
	}
	return nil
}
