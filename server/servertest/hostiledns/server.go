package hostiledns

import (
	"context"
	"encoding/binary"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/net/dns/dnsmessage"
)

// Server is a running name server. Made by Start.
type Server struct {
	udp     net.PacketConn
	tcp     net.Listener
	script  Script
	ctx     context.Context // done when the test ends
	queries atomic.Int64
	overTCP atomic.Int64
	wg      sync.WaitGroup
}

// Script says what is answered; a nil Reply is silence. It is called by several
// goroutines at once.
type Script func(q Question) Reply

// Question is what was asked.
type Question struct {
	Name string // in lower case, without the final dot
	Type dnsmessage.Type
	Nth  int64 // counted from 1, over all questions
	TCP  bool

	id  uint16
	raw dnsmessage.Question // as it came
}

// Start answers on a free port of 127.0.0.1 until the test ends.
func Start(tb testing.TB, script Script) *Server {
	tb.Helper()
	s := &Server{script: script}
	var cancel context.CancelFunc
	s.ctx, cancel = context.WithCancel(context.Background())
	s.udp, s.tcp = listenBoth(tb)
	s.wg.Go(s.serveUDP)
	s.wg.Go(s.serveTCP)
	tb.Cleanup(func() {
		cancel()
		_ = s.udp.Close()
		_ = s.tcp.Close()
		s.wg.Wait()
	})
	return s
}

// listenBoth finds a port that is free for both: a resolver goes from one to the
// other on the same.
func listenBoth(tb testing.TB) (net.PacketConn, net.Listener) {
	tb.Helper()
	for range 32 {
		tcp, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(tb, err)
		if udp, err := net.ListenPacket("udp", tcp.Addr().String()); err == nil {
			return udp, tcp
		}
		_ = tcp.Close()
	}
	tb.Fatal("no port is free for both UDP and TCP")
	return nil, nil
}

// Addr is where the server listens, as 127.0.0.1:port.
func (s *Server) Addr() string { return s.udp.LocalAddr().String() }

// Queries returns how many questions there were, by UDP and TCP.
func (s *Server) Queries() int64 { return s.queries.Load() }

// QueriesOverTCP returns how many of them came by TCP.
func (s *Server) QueriesOverTCP() int64 { return s.overTCP.Load() }

// Resolver is Go's resolver, which asks this server alone whatever the machine is
// configured to ask. It reads /etc/hosts as ever.
func (s *Server) Resolver() *net.Resolver {
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		var d net.Dialer
		conn, err := d.DialContext(ctx, network, s.Addr())
		if err == nil {
			context.AfterFunc(ctx, func() { _ = conn.Close() }) // Go would wait five seconds for a lookup that was given up
		}
		return conn, err
	}}
}

func (s *Server) serveUDP() {
	buf := make([]byte, 4096)
	for {
		n, from, err := s.udp.ReadFrom(buf)
		if err != nil {
			return
		}
		q, err := s.read(buf[:n], false)
		if err != nil {
			continue
		}
		s.wg.Go(func() {
			for _, p := range s.answer(q) {
				_, _ = s.udp.WriteTo(p, from) // what does not fit into a datagram is not sent
			}
		})
	}
}

func (s *Server) serveTCP() {
	for {
		conn, err := s.tcp.Accept()
		if err != nil {
			return
		}
		s.wg.Go(func() {
			defer conn.Close()
			stop := context.AfterFunc(s.ctx, func() { _ = conn.Close() })
			defer stop()
			for s.serveConn(conn) == nil {
			}
		})
	}
}

// serveConn answers one question of a connection (RFC 1035 section 4.2.2).
func (s *Server) serveConn(conn net.Conn) error {
	var size [2]byte
	if _, err := io.ReadFull(conn, size[:]); err != nil {
		return err
	}
	message := make([]byte, binary.BigEndian.Uint16(size[:]))
	if _, err := io.ReadFull(conn, message); err != nil {
		return err
	}
	q, err := s.read(message, true)
	if err != nil {
		return err
	}
	for _, p := range s.answer(q) {
		p = p[:min(len(p), maxMessage)]
		if _, err := conn.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(p))), p...)); err != nil { //nolint:gosec // cut above
			return err
		}
	}
	return nil
}

func (s *Server) read(message []byte, tcp bool) (Question, error) {
	var p dnsmessage.Parser
	header, err := p.Start(message)
	if err != nil {
		return Question{}, err
	}
	raw, err := p.Question()
	if err != nil {
		return Question{}, err
	}
	if tcp {
		s.overTCP.Add(1)
	}
	return Question{
		Name: strings.ToLower(strings.TrimSuffix(raw.Name.String(), ".")), Type: raw.Type,
		Nth: s.queries.Add(1), TCP: tcp, id: header.ID, raw: raw,
	}, nil
}

func (s *Server) answer(q Question) [][]byte {
	if reply := s.script(q); reply != nil {
		return reply(s.ctx, q)
	}
	return nil
}

// wait is false when the test has ended before.
func wait(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
