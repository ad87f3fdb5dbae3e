package callers

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"strconv"
	"sync"
	"time"

	"google.golang.org/grpc/credentials"

	"securesocket/server/peeruid"
)

// errNotServed says that a connection came over a listener that needs what the
// operator did not configure.
var errNotServed = errors.New("such connections are not served")

// Credentials returns the server's side of every connection, for grpc.Creds. Over
// a Unix socket it asks the kernel who is there; over what [SecureListener]
// accepted it makes the TLS handshake; anything else is [Anonymous] where the
// service is [Config.Insecure], and is refused where it is not.
//
// It sets no deadline: grpc.ConnectionTimeout does.
func (c *Callers) Credentials() credentials.TransportCredentials { return transport{c} }

type transport struct{ callers *Callers }

func (t transport) ServerHandshake(conn net.Conn) (net.Conn, credentials.AuthInfo, error) {
	inner, secure := innermost(conn)
	if secure {
		return t.callers.handshake(conn)
	}
	if unix, ok := inner.(*net.UnixConn); ok {
		uid, err := peeruid.Of(unix)
		if err != nil {
			return nil, nil, err
		}
		return conn, unixCaller{
			credentials.CommonAuthInfo{SecurityLevel: credentials.PrivacyAndIntegrity},
			KindUID + ":" + strconv.FormatUint(uint64(uid), 10),
		}, nil
	}
	if !t.callers.insecure {
		return nil, nil, errNotServed
	}
	return conn, anonymousCaller{credentials.CommonAuthInfo{SecurityLevel: credentials.NoSecurity}}, nil
}

func (transport) ClientHandshake(context.Context, string, net.Conn) (net.Conn, credentials.AuthInfo, error) {
	return nil, nil, errors.New("server credentials")
}

func (transport) Info() credentials.ProtocolInfo {
	return credentials.ProtocolInfo{SecurityProtocol: "securesocket"}
}

func (t transport) Clone() credentials.TransportCredentials { return t }

func (transport) OverrideServerName(string) error { return nil }

// connection is the AuthInfo of a connection: who is at its other end.
type connection interface {
	credentials.AuthInfo
	// encrypted says whether a token may come over it.
	encrypted() bool
	// principal returns "" where nobody said who it is.
	principal() (string, error)
}

// unixCaller is the process at the other end of a Unix socket.
type unixCaller struct {
	credentials.CommonAuthInfo
	name string
}

func (unixCaller) AuthType() string             { return "unix-peer" }
func (unixCaller) encrypted() bool              { return true } // it does not leave the machine
func (u unixCaller) principal() (string, error) { return u.name, nil }

// anonymousCaller is a caller of whom nothing is known.
type anonymousCaller struct{ credentials.CommonAuthInfo }

func (anonymousCaller) AuthType() string           { return "insecure" }
func (anonymousCaller) encrypted() bool            { return false }
func (anonymousCaller) principal() (string, error) { return Anonymous, nil }

// tlsCaller is a caller over TLS.
type tlsCaller struct {
	credentials.CommonAuthInfo
	files *source[tlsFiles]
	now   func() time.Time
	name  string              // "" without a certificate
	chain []*x509.Certificate // as it was sent, leaf first; empty without a certificate

	mu    sync.Mutex
	under *tlsFiles // that until and err come from; nil before the first RPC
	at    time.Time // when the certificate was judged
	until time.Time // when it has to be judged again
	err   error
}

func (*tlsCaller) AuthType() string { return "tls" }
func (*tlsCaller) encrypted() bool  { return true }

// principal judges the certificate again when the files or the time ask for it:
// a connection may last for months.
func (t *tlsCaller) principal() (string, error) {
	if len(t.chain) == 0 {
		return "", nil
	}
	files := t.files.get()
	t.mu.Lock()
	defer t.mu.Unlock()
	if now := t.now(); t.under != files || wasSet(t.at, now) || t.err == nil && now.After(t.until) {
		t.until, t.err = files.verify(t.chain)
		t.under, t.at = files, now
	}
	if t.err != nil {
		return "", t.err
	}
	return t.name, nil
}

// handshake makes the TLS handshake with a caller.
func (c *Callers) handshake(raw net.Conn) (net.Conn, credentials.AuthInfo, error) {
	if c.tls == nil {
		return nil, nil, errNotServed
	}
	conn := tls.Server(raw, c.tls.get().config)
	info, err := c.identify(conn)
	if err != nil {
		_ = conn.Close()
		if c.failures.tell(c.log, conn, err).ofCertificate() {
			c.refused()
		}
		return nil, nil, &handshakeError{err}
	}
	return conn, info, nil
}

// identify returns who is there, verified by the configuration of conn.
func (c *Callers) identify(conn *tls.Conn) (*tlsCaller, error) {
	if err := conn.Handshake(); err != nil {
		return nil, err
	}
	cs := conn.ConnectionState()
	if cs.NegotiatedProtocol == "" {
		return nil, errors.New("the caller did not ask for HTTP/2 (ALPN h2)")
	}
	info := &tlsCaller{
		CommonAuthInfo: credentials.CommonAuthInfo{SecurityLevel: credentials.PrivacyAndIntegrity},
		files:          c.tls, now: c.now, chain: cs.PeerCertificates,
	}
	if len(cs.PeerCertificates) == 0 {
		return info, nil
	}
	var err error
	info.name, err = certificatePrincipal(cs.PeerCertificates[0])
	return info, err
}

// handshakeError keeps what a caller sent out of gRPC's own log, but for a bounded
// and quoted piece.
type handshakeError struct{ err error }

func (e *handshakeError) Error() string {
	return "TLS handshake with a caller: " + bounded(e.err.Error())
}

func (e *handshakeError) Unwrap() error { return e.err }

const maxText = 200

// bounded quotes text that may come from outside, and cuts it.
func bounded(text string) string {
	if len(text) > maxText {
		text = text[:maxText] + "..."
	}
	return strconv.QuoteToASCII(text)
}
