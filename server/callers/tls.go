package callers

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"log/slog"
	"slices"
	"time"
)

// TLS is how the service shows itself to callers, and which certificates of
// theirs it takes.
type TLS struct {
	// CertFile holds the service's chain in PEM, leaf first. Required.
	CertFile string
	// KeyFile holds the leaf's private key in PEM. Required; may be CertFile.
	KeyFile string
	// ClientCAFile holds, in PEM, the authorities that vouch for callers. "": callers
	// are not asked for a certificate.
	ClientCAFile string
	// ClientCRLFile holds revocation lists of those authorities, in PEM, or one in DER.
	// "": nothing is revoked. A list that is past its next update refuses all
	// certificates of its authority.
	ClientCRLFile string
	// RequireClientCert refuses callers without a certificate; a token does not
	// replace it. Needs ClientCAFile.
	RequireClientCert bool
}

func (t *TLS) check() error {
	switch {
	case t.CertFile == "" || t.KeyFile == "":
		return &ConfigError{"TLS", "it needs CertFile and KeyFile"}
	case t.ClientCAFile == "" && (t.RequireClientCert || t.ClientCRLFile != ""):
		return &ConfigError{"TLS.ClientCAFile", "without it no client certificate can be required or revoked"}
	}
	return nil
}

func (t *TLS) paths() []string {
	paths := []string{t.CertFile, t.KeyFile}
	for _, p := range []string{t.ClientCAFile, t.ClientCRLFile} {
		if p != "" {
			paths = append(paths, p)
		}
	}
	return paths
}

// tlsFiles is what the files of a TLS say at one time.
type tlsFiles struct {
	config      *tls.Config
	authorities *x509.CertPool // nil: no client certificates
	revoked     revocations
	now         func() time.Time
}

// parse makes tlsFiles of the contents of paths. Everything fits together, or none
// of it is used.
func (t *TLS) parse(contents [][]byte, now func() time.Time) (*tlsFiles, error) {
	pair, err := tls.X509KeyPair(contents[0], contents[1])
	if err != nil {
		return nil, &FileError{File: t.CertFile, Why: "certificate and key (" + t.KeyFile + ") do not make a pair: " + bounded(err.Error()), Err: err}
	}
	f := &tlsFiles{now: now}
	f.config = &tls.Config{
		Certificates: []tls.Certificate{pair},
		MinVersion:   tls.VersionTLS12,
		CipherSuites: http2Suites(),
		NextProtos:   []string{"h2"},
		Time:         now,
		// Callers connect rarely and stay. Without tickets each of them shows its
		// certificate, and none comes back under authorities that are gone.
		SessionTicketsDisabled: true,
		VerifyConnection:       f.verifyConnection,
	}
	if t.ClientCAFile == "" {
		return f, nil
	}
	var authorities []*x509.Certificate
	f.authorities = x509.NewCertPool()
	err = eachBlock(t.ClientCAFile, contents[2], "CERTIFICATE", func(der []byte) error {
		cert, err := x509.ParseCertificate(der)
		switch {
		case err != nil:
			return &FileError{File: t.ClientCAFile, Why: "a certificate in it cannot be parsed", Err: err}
		case !cert.IsCA:
			// As an anchor it would vouch for nobody but itself, as whoever it says.
			return &FileError{File: t.ClientCAFile, Why: "a certificate in it is no authority's"}
		}
		authorities = append(authorities, cert)
		f.authorities.AddCert(cert)
		return nil
	})
	if err != nil {
		return nil, err
	}
	f.config.ClientCAs = f.authorities // names them to callers; verifyConnection verifies
	f.config.ClientAuth = tls.RequestClientCert
	if t.RequireClientCert {
		f.config.ClientAuth = tls.RequireAnyClientCert
	}
	if t.ClientCRLFile != "" {
		f.revoked, err = parseRevocations(t.ClientCRLFile, contents[3], authorities)
	}
	return f, err
}

// warn says when callers will not take the service for what it is: it serves all the
// same, since a clock that is wrong is no reason to stay away.
func (f *tlsFiles) warn(log *slog.Logger, file string) {
	leaf, now := f.config.Certificates[0].Leaf, f.now()
	if now.Before(leaf.NotBefore) || now.After(leaf.NotAfter) {
		log.Warn("the service's certificate is not valid now, and callers refuse it: have it renewed, or set this machine's clock", "file", file, "not_before", leaf.NotBefore, "not_after", leaf.NotAfter)
	}
}

// http2Suites are crypto/tls's secure suites of TLS 1.2 but for those that HTTP/2
// forbids (RFC 9113 appendix A): without forward secrecy, or CBC.
func http2Suites() (ids []uint16) {
	for _, suite := range tls.CipherSuites() {
		switch suite.ID {
		case tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
			tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
			tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256:
			ids = append(ids, suite.ID)
		}
	}
	return ids
}

// verifyConnection verifies the certificate of a caller, inside the handshake, so
// that the caller gets an alert. crypto/tls would do so by itself, but before
// anybody could bound the work.
func (f *tlsFiles) verifyConnection(cs tls.ConnectionState) error {
	if len(cs.PeerCertificates) == 0 {
		return nil
	}
	if _, err := certificatePrincipal(cs.PeerCertificates[0]); err != nil {
		return err
	}
	_, err := f.verify(cs.PeerCertificates)
	return err
}

// What a caller's chain may be. Strangers choose what is verified here: with each
// name there once, x509.Verify has one way to go, and not a hundred signatures to
// check.
const (
	maxChain      = 8
	maxChainBytes = 64 << 10
)

func bearable(certs []*x509.Certificate) bool {
	size, names := 0, map[string]bool{}
	for i, cert := range certs {
		size += len(cert.Raw)
		if i > 0 && names[string(cert.RawSubject)] {
			return false
		}
		names[string(cert.RawSubject)] = i > 0
	}
	return len(certs) <= maxChain && size <= maxChainBytes
}

// verify says until when the certificates of a caller, leaf first, are good.
func (f *tlsFiles) verify(certs []*x509.Certificate) (until time.Time, err error) {
	if f.authorities == nil {
		return until, &CertificateError{CertificateUntrusted, nil}
	}
	if !bearable(certs) {
		return until, &CertificateError{CertificateChain, nil}
	}
	intermediates := x509.NewCertPool()
	for _, cert := range certs[1:] {
		intermediates.AddCert(cert)
	}
	chains, err := certs[0].Verify(x509.VerifyOptions{
		Roots: f.authorities, Intermediates: intermediates, CurrentTime: f.now(),
		KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	})
	var invalid x509.CertificateInvalidError
	switch {
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return until, &CertificateError{CertificateExpired, err}
	case err != nil:
		return until, &CertificateError{CertificateUntrusted, err}
	}
	return f.judge(chains)
}

// judge says until when the best of some verified chains is good.
func (f *tlsFiles) judge(chains [][]*x509.Certificate) (until time.Time, err error) {
	err = &CertificateError{CertificateUntrusted, nil}
	for _, chain := range chains {
		end, failed := f.revoked.judge(chain, f.now())
		if failed != nil {
			err = failed
			continue
		}
		ends := slices.MinFunc(chain, func(a, b *x509.Certificate) int { return a.NotAfter.Compare(b.NotAfter) }).NotAfter
		if end.IsZero() || ends.Before(end) {
			end = ends
		}
		if end.After(until) {
			until = end
		}
	}
	if !until.IsZero() {
		return until, nil
	}
	return until, err
}
