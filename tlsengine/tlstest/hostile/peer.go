package hostile

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"sync"
)

// Peer is a server, or a client, after its handshake. It belongs to one goroutine.
type Peer struct {
	Raw     net.Conn // nobody reads it while the script runs
	Version uint16   // crypto/tls's number

	out *sealer
}

// Record seals the next record. Padding is TLS 1.3's; the content is not kept.
func (p *Peer) Record(contentType byte, content []byte, padding int) []byte {
	return p.out.seal(contentType, content, padding)
}

// KeyUpdate makes a record with that message, and goes over to the next keys (RFC 8446, section 4.6.3). Only TLS 1.3.
func (p *Peer) KeyUpdate(ask bool) []byte {
	message := []byte{24, 0, 0, 1, 0}
	if ask {
		message[4] = 1
	}
	record := p.Record(Handshake, message, 0)
	if p.out.update() != nil {
		return nil
	}
	return record
}

// Send writes records; false: the other side has gone.
func (p *Peer) Send(records ...[]byte) bool {
	for _, r := range records {
		if _, err := p.Raw.Write(r); err != nil {
			return false
		}
	}
	return true
}

// Flood writes what next makes, for ever: until the other side has gone.
func (p *Peer) Flood(next func() []byte) {
	const batch = 16 << 10
	var held []byte
	for {
		held = append(held, next()...)
		if len(held) < batch {
			continue
		}
		if !p.Send(held) {
			return
		}
		held = held[:0]
	}
}

// Await waits for the other side's end.
func (p *Peer) Await() { _, _ = io.Copy(io.Discard, p.Raw) }

// Server is a handler for tlstest.ServeRaw that runs the script with every client whose handshake succeeds. The config's
// version must be one, TLS 1.2 or 1.3; suites, tickets and key log are set here. What the client writes is dropped. ctx
// ends handshakes.
func Server(ctx context.Context, config *tls.Config, script func(*Peer)) func(net.Conn) {
	return func(raw net.Conn) { attack(ctx, raw, config, tls.Server, script) }
}

// Attack is Server in the client's role, over one connection. It returns when the server has ended that, or has not let the
// client through its handshake.
func Attack(ctx context.Context, raw net.Conn, config *tls.Config, script func(*Peer)) {
	attack(ctx, raw, config, tls.Client, script)
}

func attack(ctx context.Context, raw net.Conn, config *tls.Config, role func(net.Conn, *tls.Config) *tls.Conn, script func(*Peer)) {
	config, log, wire := config.Clone(), new(keyLog), &hellos{Conn: raw}
	config.KeyLogWriter, config.SessionTicketsDisabled = log, true
	config.CipherSuites = []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256}
	conn := role(wire, config)
	if conn.HandshakeContext(ctx) != nil {
		return
	}
	peer := &Peer{Raw: raw, Version: conn.ConnectionState().Version}
	var err error
	if peer.out, err = log.sealer(conn.ConnectionState(), wire); err != nil {
		panic(err) // of a config that cannot be attacked with
	}
	var wg sync.WaitGroup
	wg.Go(peer.Await) // an answer that nobody reads would end the flood
	script(peer)
	wg.Wait()
}

// hellos keeps the first of what is written and read. It begins with a hello.
type hellos struct {
	net.Conn
	written, read []byte
}

// helloKept is enough of a ServerHello for its random.
const helloKept = headerLen + 4 + 2 + 32

func (c *hellos) Write(p []byte) (int, error) {
	c.written = append(c.written, p[:min(len(p), helloKept-len(c.written))]...)
	return c.Conn.Write(p)
}

func (c *hellos) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.read = append(c.read, p[:min(n, helloKept-len(c.read))]...)
	return n, err
}
