package hostile

import "crypto/tls"

// offences break the protocol at once.
func offences() []Script {
	once := func(records func(*Peer) []byte) func(*Peer) {
		return func(p *Peer) { p.Send(records(p)) }
	}
	sealed := func(contentType byte, content []byte) func(*Peer) {
		return once(func(p *Peer) []byte { return p.Record(contentType, content, 0) })
	}
	clear := func(record ...byte) func(*Peer) {
		return once(func(*Peer) []byte { return record })
	}
	const tls12, tls13 = tls.VersionTLS12, tls.VersionTLS13
	return []Script{
		{Name: "HelloRequest", Version: tls12, Run: func(p *Peer) {
			p.Flood(func() []byte { return p.Record(Handshake, make([]byte, 4), 0) })
		}},
		{Name: "handshake record without content", Version: tls12, Run: sealed(Handshake, nil)},
		{Name: "handshake record without content", Version: tls13, Run: sealed(Handshake, nil)},
		{Name: "content beyond 16 KiB", Version: tls12, Run: sealed(ApplicationData, make([]byte, 1<<14+1))},
		{Name: "content beyond 16 KiB", Version: tls13, Run: sealed(ApplicationData, make([]byte, 1<<14+1))},
		{Name: "record beyond its bound", Version: tls12, Run: clear(ApplicationData, 3, 3, 0xff, 0xff)},
		{Name: "record beyond its bound", Version: tls13, Run: clear(ApplicationData, 3, 3, 0xff, 0xff)},
		{Name: "unknown content type", Version: tls12, Run: sealed(99, []byte("what"))},
		{Name: "unknown content type", Version: tls13, Run: sealed(99, []byte("what"))},
		{Name: "alert of three bytes", Version: tls12, Run: sealed(Alert, []byte{1, 100, 0})},
		{Name: "alert of three bytes", Version: tls13, Run: sealed(Alert, []byte{1, 90, 0})},
		{Name: "record in clear", Version: tls12, Run: clear(ApplicationData, 3, 3, 0, 2, 'h', 'i')},
		{Name: "record in clear", Version: tls13, Run: clear(ApplicationData, 3, 3, 0, 2, 'h', 'i')},
		{Name: "change_cipher_spec", Version: tls12, Run: sealed(ChangeCipherSpec, []byte{1})},
		{Name: "change_cipher_spec in clear", Version: tls13, Run: func(p *Peer) {
			p.Flood(func() []byte { return []byte{ChangeCipherSpec, 3, 3, 0, 1, 1} })
		}},
		// After the handshake, which no client has agreed to (RFC 8446, section 4.6.2): signature_algorithms with ECDSA.
		{Name: "CertificateRequest", Version: tls13, Run: sealed(Handshake, []byte{13, 0, 0, 11, 0, 0, 8, 0, 13, 0, 4, 0, 2, 4, 3})},
	}
}
