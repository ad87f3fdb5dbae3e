package gallery

import (
	"bytes"
	"crypto/tls"
	"io"

	"securesocket/tlsengine/forge"
)

func (c *curator) badHandshakes() {
	const incompatible, misbehaved = "PEER_INCOMPATIBLE", "PEER_MISBEHAVED"
	version := func(label, about string, v uint16) {
		e := c.failed(label, about, incompatible)
		e.config.MinVersion, e.config.MaxVersion = v, v
	}
	version("tls10", "Only TLS 1.0, which is not offered.", tls.VersionTLS10)
	version("tls11", "Only TLS 1.1, which is not offered.", tls.VersionTLS11)
	suites := func(label, about string, ids ...uint16) {
		e := c.failed(label, about, incompatible)
		e.config.Certificates[0] = c.leaf(c.issuing, label, forge.Key(c.keyRSA)).Certificate()
		e.config.MaxVersion, e.config.CipherSuites = tls.VersionTLS12, ids
	}
	suites("rc4", "Only RC4, which is broken.", tls.TLS_RSA_WITH_RC4_128_SHA, tls.TLS_ECDHE_RSA_WITH_RC4_128_SHA)
	suites("triple-des", "Only 3DES, whose blocks are too small.", tls.TLS_RSA_WITH_3DES_EDE_CBC_SHA, tls.TLS_ECDHE_RSA_WITH_3DES_EDE_CBC_SHA)
	suites("static-rsa", "Only key exchange by RSA, without forward secrecy.", tls.TLS_RSA_WITH_AES_128_GCM_SHA256)

	e := c.failed("other-alpn", "Speaks an application protocol that is not offered.", "ALPN_MISMATCH")
	e.ALPN, e.config.NextProtos = []string{"http/1.1"}, []string{"gallery/1"}
	e = c.failed("no-alpn", "Chooses no application protocol, though the client insists on one.", "ALPN_MISMATCH")
	e.ALPN, e.RequireALPN = []string{"http/1.1"}, true

	// TLS 1.2 asks for the certificate inside the handshake; in TLS 1.3 the client is done before it hears (see the endings).
	e = c.failed("client-certificate-tls12", "Asks for a client certificate and goes when there is none.", "PEER_ALERT")
	e.config.ClientAuth, e.config.MaxVersion = tls.RequireAnyClientCert, tls.VersionTLS12

	act := func(label, about, reason string, act func(*wire)) *exhibit {
		e := c.failed(label, about, reason)
		e.act = act
		return e
	}
	says := func(p ...byte) func(*wire) { return func(w *wire) { w.say(p) } }
	const handshake, alert = 22, 21
	act("access-denied", "Answers with the alert access_denied.", "PEER_ALERT", says(alert, 3, 3, 0, 2, 2, 49))
	act("unrecognized-name", "Answers with the alert unrecognized_name.", "PEER_ALERT", says(alert, 3, 3, 0, 2, 2, 112))
	act("ssl3", "Only SSL 3.0, which nobody should speak.", incompatible, says(ssl3Hello()...))
	act("unexpected-message", "Begins with the end of a handshake.", misbehaved, says(handshake, 3, 3, 0, 4, 14, 0, 0, 0))
	act("giant-record", "Announces a record of 65535 bytes.", misbehaved, says(handshake, 3, 3, 0xff, 0xff))
	act("giant-message", "Announces a handshake message of 10 MiB.", misbehaved,
		says(append([]byte{handshake, 3, 3, 1, 0, 2, 0xa0, 0, 0}, bytes.Repeat([]byte{0xa5}, 252)...)...))
	act("garbage", "Answers with a handshake message that does not exist.", misbehaved,
		says(append([]byte{handshake, 3, 3, 1, 0, 42, 0, 0, 252}, bytes.Repeat([]byte{0xa5}, 252)...)...))
	act("http", "Speaks HTTP without TLS.", "NOT_TLS",
		says([]byte("HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")...))
	act("ssh", "Speaks SSH.", "NOT_TLS", says([]byte("SSH-2.0-Gallery_1.0\r\n")...))
	act("closes-at-once", "Closes after the client's hello.", "PEER_TRUNCATED", (*wire).finish)
	act("resets-at-once", "Resets after the client's hello.", "PEER_RESET", (*wire).reset)
	act("silent", "Says nothing at all.", "HANDSHAKE_TIMEOUT", func(w *wire) { _, _ = io.Copy(io.Discard, w.Conn) }).Silent = true

	stops := func(label, about, reason string, spent func(*wire)) {
		c.failed(label, about, reason).dress = func(w *wire) { w.budget, w.spent = 100, spent }
	}
	stops("closes-midway", "Closes after 100 bytes of the handshake.", "PEER_TRUNCATED", (*wire).finish)
	stops("resets-midway", "Resets after 100 bytes of the handshake.", "PEER_RESET", (*wire).reset)
	c.failed("hangs-midway", "Stops after 100 bytes of the handshake, and stays.", "HANDSHAKE_TIMEOUT").dress = func(w *wire) {
		w.budget, w.spent = 100, func(w *wire) { _, _ = io.Copy(io.Discard, w.Conn) }
	}
	c.last().Silent = true
}

// ssl3Hello is a ServerHello that chooses SSL 3.0 (RFC 6101, section 5.6.1.3).
func ssl3Hello() []byte {
	body := append([]byte{3, 0}, bytes.Repeat([]byte{7}, 32)...) // version, random
	body = append(body, 0, 0, 10, 0)                             // no session, 3DES, no compression
	message := append([]byte{2, 0, 0, byte(len(body))}, body...)
	return append([]byte{22, 3, 0, 0, byte(len(message))}, message...)
}
