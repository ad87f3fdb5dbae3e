package client

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io/fs"
	"net"
	"slices"
	"sync"

	"google.golang.org/grpc/credentials"
)

// tlsCredentials make TLS with the service, each time with what the files have by then.
type tlsCredentials struct {
	base  *tls.Config
	roots *kept[*x509.CertPool]   // nil: those of base
	pair  *kept[*tls.Certificate] // nil: those of base
}

// newTLSCredentials reads all files once. The error is a *CredentialsError.
func newTLSCredentials(a *access, addr address) (*tlsCredentials, error) {
	c := &tlsCredentials{base: &tls.Config{}} //nolint:gosec // MinVersion follows
	if a.tls != nil {
		c.base = a.tls.Clone()
	}
	c.base.MinVersion = max(c.base.MinVersion, tls.VersionTLS12)
	c.base.NextProtos = []string{"h2"}
	if c.base.ServerName == "" {
		c.base.ServerName, _, _ = net.SplitHostPort(addr.name) // it has been parsed before
	}
	if slices.Contains(a.options, "WithCAFile") {
		c.roots = &kept[*x509.CertPool]{load: func() (*x509.CertPool, error) { return readRoots(a.caFile) }}
		if _, err := c.roots.get(); err != nil {
			return nil, err
		}
	}
	if slices.Contains(a.options, "WithCertificateFiles") {
		c.pair = &kept[*tls.Certificate]{load: func() (*tls.Certificate, error) { return readPair(a.certFile, a.keyFile) }}
		if _, err := c.pair.get(); err != nil {
			return nil, err
		}
	}
	return c, nil
}

// ClientHandshake implements credentials.TransportCredentials. The authority is the address, as in base.
func (c *tlsCredentials) ClientHandshake(ctx context.Context, _ string, raw net.Conn) (net.Conn, credentials.AuthInfo, error) {
	config := c.base.Clone()
	if c.roots != nil {
		roots, err := c.roots.get()
		if err != nil {
			return nil, nil, err
		}
		config.RootCAs = roots
	}
	own, err := c.identify(config)
	if err != nil {
		return nil, nil, err
	}
	conn := tls.Client(raw, config)
	if err := conn.HandshakeContext(ctx); err != nil {
		_ = raw.Close()
		if ctx.Err() == nil {
			err = handshakeError(err, *own)
		}
		return nil, nil, err
	}
	state := conn.ConnectionState()
	if state.NegotiatedProtocol != "h2" {
		_ = conn.Close()
		return nil, nil, newWayError(wayNotHTTP2, "the service's address has TLS, but no HTTP/2", nil)
	}
	info := credentials.TLSInfo{State: state, CommonAuthInfo: credentials.CommonAuthInfo{SecurityLevel: credentials.PrivacyAndIntegrity}}
	return newWayConn(conn, func(err error) error { return firstReadError(err, *own) }, nil), info, nil
}

// identify has a handshake show this side's certificate. What it returns is filled in as that runs.
func (c *tlsCredentials) identify(config *tls.Config) (*showing, error) {
	own := &showing{possible: true}
	show := config.GetClientCertificate
	switch {
	case c.pair != nil:
		pair, err := c.pair.get()
		if err != nil {
			return nil, err
		}
		// Shown whomever the service says it trusts: its alert tells why one is refused, but not why none is shown.
		show = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return pair, nil }
	case show != nil:
	case len(config.Certificates) > 0:
		return own, nil // crypto/tls chooses
	default:
		own.possible = false
		show = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &tls.Certificate{}, nil }
	}
	config.GetClientCertificate = func(request *tls.CertificateRequestInfo) (*tls.Certificate, error) {
		own.asked = true
		return show(request)
	}
	return own, nil
}

// firstReadError is about a service that says no word after the handshake. In TLS 1.3 that is how it refuses a certificate:
// this side's handshake is complete before the service has judged it.
func firstReadError(err error, own showing) error {
	if e := alertError(err, own); e != nil {
		return e
	}
	switch {
	case !ended(err):
		return err
	case own.asked && own.possible:
		return newWayError(wayIdentity, "the service ended the connection when it had seen this side's certificate", nil)
	case own.asked:
		return newWayError(wayIdentity, "the service ended the connection when it was shown no certificate", nil)
	default:
		return newWayError(wayRefused, "the service ended the connection after the handshake", nil)
	}
}

// ServerHandshake implements credentials.TransportCredentials.
func (c *tlsCredentials) ServerHandshake(net.Conn) (net.Conn, credentials.AuthInfo, error) {
	return nil, nil, errors.New("securesocket: these are a client's credentials")
}

// Info implements credentials.TransportCredentials.
func (c *tlsCredentials) Info() credentials.ProtocolInfo {
	return credentials.ProtocolInfo{SecurityProtocol: "tls", SecurityVersion: "1.2"} //nolint:staticcheck // as gRPC's own
}

// Clone implements credentials.TransportCredentials. Nothing in it changes but what is kept, which is shared.
func (c *tlsCredentials) Clone() credentials.TransportCredentials { return c }

// OverrideServerName implements credentials.TransportCredentials; the name is the address's.
func (c *tlsCredentials) OverrideServerName(string) error {
	return errors.New("securesocket: the name is the address's, or that of WithTLS")
}

// kept is what a file has, or had when it was last in order.
type kept[T any] struct {
	load func() (T, error)

	mu   sync.Mutex
	last T
	ever bool // last is something
}

// get reads it anew. The error is load's, as long as that has never succeeded.
func (k *kept[T]) get() (T, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	now, err := k.load()
	if err == nil {
		k.last, k.ever = now, true
	}
	if k.ever {
		err = nil
	}
	return k.last, err
}

func readRoots(path string) (*x509.CertPool, error) {
	content, err := readCredential("WithCAFile", path)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(content) {
		return nil, &CredentialsError{Option: "WithCAFile", File: path, Problem: "has no certificate in PEM"}
	}
	return pool, nil
}

func readPair(certFile, keyFile string) (*tls.Certificate, error) {
	const option = "WithCertificateFiles"
	if certFile == "" || keyFile == "" {
		return nil, &CredentialsError{Option: option, Problem: "certificate and key belong together; name both"}
	}
	chain, err := readCredential(option, certFile)
	if err != nil {
		return nil, err
	}
	key, err := readCredential(option, keyFile)
	if err != nil {
		return nil, err
	}
	pair, err := tls.X509KeyPair(chain, key)
	clear(key)
	if err != nil { // its text says what kind of thing is wrong, and nothing of a key
		return nil, &CredentialsError{Option: option, File: certFile, Problem: "does not go with the key in the other file: " + err.Error(), cause: err}
	}
	return &pair, nil
}

// pathless is an error about a file without its name, which is told beside.
func pathless(err error) string {
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		return e.Err.Error()
	}
	return err.Error()
}
