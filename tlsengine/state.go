package tlsengine

import "crypto/tls"

// State is what a handshake agreed on. It does not change during the connection.
type State struct {
	Version     uint16 // crypto/tls number, such as tls.VersionTLS13
	CipherSuite uint16 // see SuiteByID
	Group       uint16 // a tls.CurveID; 0 when the key exchange had none (RSA)
	ALPN        string // empty: none was agreed on
	ServerName  string // as sent; empty: none was sent, or a client sent what cannot be one
	Resumed     bool   // a TLS session was resumed

	ClientCertificate ClientCertificate
}

func newState(cs tls.ConnectionState, serverName string, shown ClientCertificate) State {
	return State{
		Version:     cs.Version,
		CipherSuite: cs.CipherSuite,
		Group:       uint16(cs.CurveID),
		ALPN:        cs.NegotiatedProtocol,
		ServerName:  serverName,
		Resumed:     cs.DidResume,

		ClientCertificate: shown,
	}
}
