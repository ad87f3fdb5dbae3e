package load

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"sync"
	"time"
)

const (
	// chunkBytes is how much is written or read at once, by the peer and by the sessions.
	chunkBytes = 64 << 10
	// handshakeTimeout bounds a handshake with the peer.
	handshakeTimeout = 20 * time.Second
)

// Peer is a TLS server on a port of 127.0.0.1 that does what each connection asks it for, one request after the other.
type Peer struct {
	listener net.Listener
	config   *tls.Config
	resuming bool
	chunks   sync.Pool // of *[chunkBytes]byte, so that an idle connection holds none
	running  sync.WaitGroup

	mu     sync.Mutex
	conns  map[net.Conn]bool
	closed bool
	terms  error // how the first connection that was refused broke the terms
}

// StartPeer starts a peer that shows the identity. With resuming it hands out tickets and takes them.
func StartPeer(identity *Identity, resuming bool) (*Peer, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	p := &Peer{
		listener: listener, resuming: resuming, conns: map[net.Conn]bool{},
		config: &tls.Config{
			Certificates: []tls.Certificate{identity.leaf}, MinVersion: tls.VersionTLS13,
			CurvePreferences: []tls.CurveID{tls.X25519}, SessionTicketsDisabled: !resuming,
		},
		chunks: sync.Pool{New: func() any { return new([chunkBytes]byte) }},
	}
	p.running.Go(p.accept)
	return p, nil
}

// Address is where it listens, 127.0.0.1:PORT.
func (p *Peer) Address() string { return p.listener.Addr().String() }

// Err says how the first connection that was refused broke the terms; nil if none did.
func (p *Peer) Err() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.terms
}

// Close ends the peer and every connection, and waits for them. Again, it does nothing.
func (p *Peer) Close() {
	p.mu.Lock()
	p.closed = true
	for conn := range p.conns {
		_ = conn.Close()
	}
	p.mu.Unlock()
	_ = p.listener.Close()
	p.running.Wait()
}

func (p *Peer) accept() {
	for {
		conn, err := p.listener.Accept()
		if err != nil {
			p.mu.Lock()
			closed := p.closed
			p.mu.Unlock()
			if closed {
				return
			}
			time.Sleep(time.Millisecond) // no descriptor left, which passes
			continue
		}
		p.mu.Lock()
		if p.closed {
			p.mu.Unlock()
			_ = conn.Close()
			return
		}
		p.conns[conn] = true
		p.mu.Unlock()
		p.running.Go(func() {
			p.serve(conn)
			p.mu.Lock()
			delete(p.conns, conn)
			p.mu.Unlock()
		})
	}
}

// serve does what one connection asks for, until its end.
func (p *Peer) serve(raw net.Conn) {
	conn := tls.Server(raw, p.config)
	defer conn.Close()
	ctx, cancel := context.WithTimeout(context.Background(), handshakeTimeout)
	defer cancel()
	if err := conn.HandshakeContext(ctx); err != nil {
		return
	}
	if err := p.judge(conn.ConnectionState()); err != nil {
		p.mu.Lock()
		if p.terms == nil {
			p.terms = err
		}
		p.mu.Unlock()
		return
	}
	head := make([]byte, requestBytes)
	for {
		if _, err := io.ReadFull(conn, head); err != nil {
			return
		}
		r, err := parseRequest(head)
		if err != nil {
			return
		}
		chunk := p.chunks.Get().(*[chunkBytes]byte) //nolint:forcetypeassert // the pool has nothing else
		err = do(conn, r, head, chunk[:])
		p.chunks.Put(chunk)
		if err != nil {
			return
		}
	}
}

// judge refuses a connection whose figures could not be compared with those of others.
func (p *Peer) judge(state tls.ConnectionState) error {
	switch {
	case state.Version != tls.VersionTLS13:
		return errors.New("the version is " + tls.VersionName(state.Version) + ", not TLS 1.3")
	case state.CipherSuite != tls.TLS_AES_128_GCM_SHA256:
		return errors.New("the cipher suite is " + tls.CipherSuiteName(state.CipherSuite))
	case state.CurveID != tls.X25519:
		return errors.New("the group is " + state.CurveID.String() + ", not X25519")
	case state.DidResume && !p.resuming:
		return errors.New("the TLS session was resumed")
	}
	return nil
}

// do does one request, whose head is head.
func do(conn net.Conn, r request, head, chunk []byte) error {
	switch r.kind {
	case bounce:
		message := chunk[:r.size]
		copy(message, head)
		if _, err := io.ReadFull(conn, message[requestBytes:]); err != nil {
			return err
		}
		_, err := conn.Write(message)
		return err
	case pull:
		return writeAll(conn, r.size, chunk)
	default:
		if err := readAll(conn, r.size, chunk); err != nil {
			return err
		}
		_, err := conn.Write(chunk[:1])
		return err
	}
}

func writeAll(w io.Writer, size int, chunk []byte) error {
	for size > 0 {
		n, err := w.Write(chunk[:min(size, len(chunk))])
		if err != nil {
			return err
		}
		size -= n
	}
	return nil
}

func readAll(r io.Reader, size int, chunk []byte) error {
	for size > 0 {
		n, err := r.Read(chunk[:min(size, len(chunk))])
		size -= n
		if err != nil && size > 0 {
			return err
		}
	}
	return nil
}
