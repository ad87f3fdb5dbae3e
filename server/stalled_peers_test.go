package server_test

import (
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"securesocket/tlsengine/tlstest"
)

// stalledPeers are the peers of a test, one for each session. A session says
// its number first, in four bytes.
type stalledPeers struct {
	addr  string
	ca    *tlstest.CA
	moved atomic.Int64  // bytes that they have sent, or received after the number
	begin chan struct{} // closed when they may go on
	ctx   context.Context

	mu    sync.Mutex
	known []*stalledPeer // by number
	left  sync.WaitGroup // of the numbers that are still to come
	errs  chan error     // one for each peer, at its end
}

// stalledPeer is one of them.
type stalledPeer struct {
	*stalledPeers
	conn *tls.Conn
	pattern
}

// stalledPeersOf serves count sessions, each by behave. The number of bytes that
// moved is in the peer's pattern.
func stalledPeersOf(tb testing.TB, count int, behave func(*stalledPeer) error) *stalledPeers {
	tb.Helper()
	p := &stalledPeers{
		ca: tlstest.NewCA(tb), ctx: tb.Context(), begin: make(chan struct{}), known: make([]*stalledPeer, count), errs: make(chan error, count),
	}
	p.left.Add(count)
	cfg := serverConfig(p.ca.Leaf(tlstest.Names("127.0.0.1")))
	cfg.SessionTicketsDisabled = true
	p.addr = tlstest.ServeRaw(tb, func(raw net.Conn) {
		narrow(raw)
		conn := tls.Server(&bunched{Conn: raw}, cfg)
		if conn.HandshakeContext(p.ctx) != nil {
			return
		}
		var number [4]byte
		if _, err := io.ReadFull(conn, number[:]); err != nil {
			return
		}
		peer := &stalledPeer{stalledPeers: p, conn: conn, pattern: pattern{session: int(binary.BigEndian.Uint32(number[:]))}}
		p.mu.Lock()
		p.known[peer.session] = peer
		p.mu.Unlock()
		p.left.Done()
		err := behave(peer)
		if err != nil {
			err = fmt.Errorf("peer %d at %d: %w", peer.session, peer.offset, err)
		}
		p.errs <- err
	})
	return p
}

// ended waits for all of them.
func (p *stalledPeers) ended(tb testing.TB) {
	tb.Helper()
	for range p.known {
		require.NoError(tb, <-p.errs)
	}
}

// await waits until the peer may go on. The error is that of the test's end.
func (p *stalledPeer) await() error {
	select {
	case <-p.begin:
		return nil
	case <-p.ctx.Done():
		return p.ctx.Err()
	}
}

// send sends records of a size, while more says so. Small ones reach the kernel
// in bunches: to ask it for each would take most of the time.
func (p *stalledPeer) send(size int, more func() bool) error {
	raw := p.conn.NetConn().(*bunched)
	raw.bunch = 4 << 10
	for more() {
		n, err := p.conn.Write(p.next(size))
		p.moved.Add(int64(n))
		if err != nil {
			return err
		}
	}
	raw.bunch = 0
	return nil
}

// bunched holds back what is written until there is more than bunch.
type bunched struct {
	net.Conn
	bunch int
	held  []byte
}

func (b *bunched) Write(p []byte) (int, error) {
	if len(b.held) == 0 && len(p) > b.bunch {
		return b.Conn.Write(p)
	}
	b.held = append(b.held, p...)
	if len(b.held) > b.bunch {
		_, err := b.Conn.Write(b.held)
		b.held = b.held[:0]
		if err != nil {
			return 0, err
		}
	}
	return len(p), nil
}

// finish says that there is no more, and waits for the other side to say so.
func (p *stalledPeer) finish() error {
	if err := p.conn.CloseWrite(); err != nil {
		return err
	}
	_, err := io.Copy(io.Discard, p.conn)
	return err
}

var errPattern = errors.New("other bytes came than were sent")

// receive takes all there is until the end.
func (p *stalledPeer) receive() error {
	buf := make([]byte, 32<<10)
	for {
		n, err := p.conn.Read(buf)
		if !p.continues(buf[:n]) {
			return errPattern
		}
		p.moved.Add(int64(n))
		if errors.Is(err, io.EOF) {
			return p.conn.Close()
		}
		if err != nil {
			return err
		}
	}
}
