package securesocket_test

import (
	"bufio"
	"context"
	"crypto"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"securesocket/client"
	pb "securesocket/gen/securesocket/v1"
	"securesocket/server/servertest"
	"securesocket/tlsengine/tlstest"
)

// provoker has what it takes to provoke a refusal.
type provoker struct {
	tb    testing.TB
	c     *client.Client
	s     pb.SecureSocketServiceClient
	svc   *servertest.Service
	ca    *tlstest.CA
	other *tlstest.CA // not trusted
}

// id is an idle session.
func (p *provoker) id() string {
	resp, err := p.s.CreateSession(p.tb.Context(), &pb.CreateSessionRequest{})
	require.NoError(p.tb, err)
	return resp.GetSession().GetSessionId()
}

func (p *provoker) create(settings *pb.SessionSettings) error {
	_, err := p.s.CreateSession(p.tb.Context(), &pb.CreateSessionRequest{Settings: settings})
	return err
}

func (p *provoker) connect(host string, port int32) error {
	_, err := p.s.Connect(p.tb.Context(), &pb.ConnectRequest{SessionId: p.id(), Host: host, Port: port})
	return err
}

// dial opens a Conn to addr, where the CA is trusted.
func (p *provoker) dial(addr string, change ...func(*client.Dialer)) (*client.Conn, error) {
	d := &client.Dialer{Client: p.c, RootCAs: [][]byte{p.ca.DER()}}
	for _, f := range change {
		f(d)
	}
	return d.Dial(p.tb.Context(), "tcp", addr)
}

func (p *provoker) dialErr(addr string, change ...func(*client.Dialer)) error {
	conn, err := p.dial(addr, change...)
	if err == nil {
		_ = conn.Close()
	}
	return err
}

// serve runs a TLS server with a leaf of the trusted CA.
func (p *provoker) serve(handle func(*tls.Conn), opts ...tlstest.Option) string {
	leaf := p.ca.Leaf(append([]tlstest.Option{tlstest.Names("127.0.0.1")}, opts...)...)
	return tlstest.Serve(p.tb, &tls.Config{Certificates: []tls.Certificate{leaf.Certificate()}}, handle)
}

// hostPort splits an address of a test server.
func (p *provoker) hostPort(addr string) (string, int32) {
	host, port, err := net.SplitHostPort(addr)
	require.NoError(p.tb, err)
	n, err := strconv.ParseInt(port, 10, 32)
	require.NoError(p.tb, err)
	return host, int32(n)
}

func (p *provoker) serveRaw(answer string) string {
	return tlstest.ServeRaw(p.tb, func(c net.Conn) {
		_, _ = c.Read(make([]byte, 1))
		_, _ = c.Write([]byte(answer))
		_, _ = c.Read(make([]byte, 4096)) // what is unread would reset the connection
		_ = c.Close()
	})
}

// read connects and reads until an error.
func (p *provoker) read(addr string) error {
	conn, err := p.dial(addr)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	buf := make([]byte, 1024)
	for {
		if _, err := conn.Read(buf); err != nil {
			return err
		}
	}
}

// stream sends frames and returns how the stream ended.
func (p *provoker) stream(frames ...*pb.AttachRequest) error {
	ctx, cancel := context.WithTimeout(p.tb.Context(), 20*time.Second)
	defer cancel()
	st, err := p.s.Attach(ctx)
	require.NoError(p.tb, err)
	for _, f := range frames {
		require.NoError(p.tb, st.Send(f))
	}
	for {
		if _, err := st.Recv(); err != nil {
			return err
		}
	}
}

func (p *provoker) attach(m *pb.AttachSession) *pb.AttachRequest {
	return &pb.AttachRequest{Frame: &pb.AttachRequest_Attach{Attach: m}}
}

// faulty answers a dial to some port with an error of the network, and lets
// some connections fail later.
func faulty(ctx context.Context, d *net.Dialer, addr string) (net.Conn, error) {
	faults := map[uint16]error{
		1001: syscall.ENETUNREACH, 1002: syscall.EHOSTUNREACH, 1003: syscall.EMFILE, 1004: syscall.ETIMEDOUT,
	}
	if err, ok := faults[netip.MustParseAddrPort(addr).Port()]; ok {
		return nil, &net.OpError{Op: "dial", Err: os.NewSyscallError("connect", err)}
	}
	return d.DialContext(ctx, "tcp", addr)
}

// brokenDNS fails as name servers do.
type brokenDNS struct{}

func (brokenDNS) LookupNetIP(_ context.Context, _, host string) ([]netip.Addr, error) {
	return nil, &net.DNSError{Err: "no answer", Name: host, IsNotFound: strings.HasPrefix(host, "missing"), IsTemporary: true}
}

func failure(f *pb.Failure) error { return &client.Error{Reason: f.GetReason()} }

// tlsSettings lays settings below a dial.
func tlsSettings(m *pb.TlsSettings) func(*client.Dialer) {
	return func(d *client.Dialer) { d.Settings = &pb.SessionSettings{Tls: m} }
}

// unwilling is a key that does not sign.
type unwilling struct{ crypto.Signer }

func (unwilling) Sign(io.Reader, []byte, crypto.SignerOpts) ([]byte, error) {
	return nil, errors.New("the holder is on holiday")
}

func (p *provoker) listeners() pb.ListenerServiceClient {
	return pb.NewListenerServiceClient(p.svc.Dial(p.tb))
}

func (p *provoker) listen(address string, port int32) error {
	_, err := p.listeners().Listen(p.tb.Context(), &pb.ListenRequest{Address: address, Port: port})
	return err
}

// startTLS asks a mail server for TLS that answers so.
func (p *provoker) startTLS(answer string) error {
	host, port := p.hostPort(tlstest.ServeRaw(p.tb, func(c net.Conn) {
		lines := bufio.NewReader(c)
		for _, say := range []string{"220 mail.test\r\n", "250-mail.test\r\n250 STARTTLS\r\n", answer} {
			if _, err := io.WriteString(c, say); err != nil {
				return
			}
			if _, err := lines.ReadString('\n'); err != nil {
				return
			}
		}
	}))
	_, err := p.s.Connect(p.tb.Context(), &pb.ConnectRequest{SessionId: p.id(), Host: host, Port: port, StartTlsProtocol: "smtp"})
	return err
}

// silent is a peer that never says a word.
func silent(tb testing.TB) string {
	return tlstest.ServeRaw(tb, func(c net.Conn) {
		for buf := make([]byte, 4096); ; {
			if _, err := c.Read(buf); err != nil {
				return
			}
		}
	})
}
