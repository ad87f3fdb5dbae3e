//go:build unix

package server_test

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"regexp"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"

	pb "securesocket/gen/securesocket/v1"
	"securesocket/server/servertest"
	"securesocket/server/servertest/realserver"
	"securesocket/tlsengine/tlstest"
)

// realServers start servers that people run, and say where each speaks what.
var realServers = map[string]func(testing.TB, realserver.Config) (addrs map[string]string){
	"Exim":       realServer("smtp", realserver.Exim),
	"OpenLDAP":   realServer("ldap", realserver.OpenLDAP),
	"PostgreSQL": realServer("postgres", realserver.PostgreSQL),
	"MariaDB":    realServer("mysql", realserver.MariaDB),
	"vsftpd":     realServer("ftp", realserver.VSFTPD),
	"Prosody":    realServer("xmpp", realserver.Prosody),
	"Dovecot": func(tb testing.TB, c realserver.Config) map[string]string {
		at := realserver.Dovecot(tb, c)
		return map[string]string{"imap": at.IMAP, "pop3": at.POP3, "lmtp": at.LMTP, "sieve": at.Sieve}
	},
}

func realServer(protocol string, start func(testing.TB, realserver.Config) string) func(testing.TB, realserver.Config) map[string]string {
	return func(tb testing.TB, c realserver.Config) map[string]string {
		return map[string]string{protocol: start(tb, c)}
	}
}

// realProtocol is what a test knows of a protocol.
type realProtocol struct {
	greeting *regexp.Regexp
	// Of the words with which a server without TLS refuses; empty: it has none.
	refusal string
	// From the beginning to where the handshake belongs.
	upgrade func(*talk)
	// Under TLS, to where the server ends the connection.
	use func(*talk)
	// The server may do so without close_notify.
	careless bool
}

// talk is what a caller says and hears on a stream, before and after the switch.
// It takes byte by byte what it hears, so it knows where it is.
type talk struct {
	*caller
	plain bool
	r     *bufio.Reader
}

func newTalk(k *caller, plain bool) *talk {
	return &talk{k, plain, bufio.NewReader(iotest.OneByteReader(bytesOf{k}))}
}

func (c *talk) say(words string) {
	c.tb.Helper()
	c.write([]byte(words))
}

// hear takes lines up to one that begins so.
func (c *talk) hear(last string) (lines string) {
	c.tb.Helper()
	for {
		line, err := c.r.ReadString('\n')
		require.NoError(c.tb, err, "%q", lines+line)
		lines += line
		if strings.HasPrefix(line, last) {
			c.acknowledge()
			return lines
		}
	}
}

// hearUpTo takes what comes up to these words.
func (c *talk) hearUpTo(words string) string {
	c.tb.Helper()
	var heard []byte
	for !bytes.HasSuffix(heard, []byte(words)) {
		b, err := c.r.ReadByte()
		require.NoError(c.tb, err, "%q", heard)
		heard = append(heard, b)
	}
	c.acknowledge()
	return string(heard)
}

// hearBytes takes so many bytes.
func (c *talk) hearBytes(n int) []byte {
	c.tb.Helper()
	b := make([]byte, n)
	_, err := io.ReadFull(c.r, b)
	require.NoError(c.tb, err)
	c.acknowledge()
	return b
}

// acknowledge says what need not be kept for a switch any more.
func (c *talk) acknowledge() {
	c.tb.Helper()
	if c.plain {
		c.send(&pb.AttachRequest{Frame: &pb.AttachRequest_Ack{Ack: &pb.Ack{ReceivedOffset: c.heard(), Generation: 1}}})
	}
}

// heard is how many bytes of the server's were taken.
func (c *talk) heard() int64 { return c.attached.GetSocketDataOffset() }

// startTLS switches between what was heard and said so far and what comes.
func (c *talk) startTLS() {
	c.tb.Helper()
	require.True(c.tb, c.plain)
	c.send(&pb.AttachRequest{Frame: &pb.AttachRequest_StartTls{StartTls: &pb.StartTls{
		Role: pb.TlsRole_TLS_ROLE_CLIENT, ReceiveOffset: c.heard(), SendOffset: c.sent, Generation: 1,
	}}})
	c.plain = false
}

// requireTheEnd waits for the server to end the connection.
func (c *talk) requireTheEnd(p realProtocol) {
	c.tb.Helper()
	_, err := c.r.ReadByte()
	require.ErrorIs(c.tb, err, io.EOF)
	_ = c.stream.CloseSend() // the stream may have ended
	closed := c.closed()
	if p.careless && closed.GetFailure() != nil {
		require.Equal(c.tb, pb.ErrorReason_ERROR_REASON_PEER_TRUNCATED, closed.GetFailure().GetReason())
		require.Equal(c.tb, pb.CloseCause_CLOSE_CAUSE_PEER_TRUNCATED, closed.GetReadCause())
		return
	}
	require.Nil(c.tb, closed.GetFailure())
	require.Equal(c.tb, pb.CloseCause_CLOSE_CAUSE_PEER_CLOSE_NOTIFY, closed.GetCause())
}

// Every server is asked for TLS by the service, probed, asked in vain, and asked
// by the caller himself.
func TestStartTLSWithRealServers(t *testing.T) {
	t.Parallel()
	for name, start := range realServers {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ca := tlstest.NewCA(t)
			leaf := ca.Leaf()
			secure := start(t, realserver.Config{Find: program, Certificate: leaf.ChainPEM(), Key: leaf.KeyPEM()})
			insecure := start(t, realserver.Config{Find: program})
			for protocol, addr := range secure {
				p, ok := realProtocols[protocol]
				require.True(t, ok)
				t.Run(protocol+" connected", func(t *testing.T) { connectsByStartTLS(t, protocol, p, addr, ca) })
				t.Run(protocol+" probed", func(t *testing.T) { probesByStartTLS(t, protocol, p, addr, ca) })
				t.Run(protocol+" refused", func(t *testing.T) { isRefusedTLS(t, protocol, p, insecure[protocol], ca) })
				t.Run(protocol+" by hand", func(t *testing.T) { startsTLSByHand(t, p, addr, ca) })
			}
		})
	}
}

func connectByStartTLS(ctx context.Context, tb testing.TB, c pb.SecureSocketServiceClient, s idle, addr, protocol string) (*pb.ConnectResponse, error) {
	tb.Helper()
	host, port := hostPort(tb, addr)
	return c.Connect(ctx, &pb.ConnectRequest{SessionId: s.id, Host: host, Port: port, StartTlsProtocol: protocol})
}

func connectsByStartTLS(t *testing.T, protocol string, p realProtocol, addr string, ca *tlstest.CA) {
	c := servertest.Start(t).Client(t)
	s := newIdle(t.Context(), t, c, ca)
	resp, err := connectByStartTLS(t.Context(), t, c, s, addr, protocol)
	require.NoError(t, err)
	got := resp.GetSession()
	require.Equal(t, pb.State_STATE_ENCRYPTED, got.GetState())
	require.Equal(t, pb.Mode_MODE_TLS_CLIENT, got.GetMode())
	require.Equal(t, pb.CertificateStatus_CERTIFICATE_STATUS_TRUSTED, got.GetCertificateStatus())
	require.Regexp(t, p.greeting, string(got.GetGreeting()))

	k := newTalk(attach(t.Context(), t, c, s, 1), false)
	require.Equal(t, got.GetGreeting(), k.secure().GetGreeting())
	p.use(k)
	k.requireTheEnd(p)
}

func probesByStartTLS(t *testing.T, protocol string, p realProtocol, addr string, ca *tlstest.CA) {
	probe := newProber(t)
	byStartTLS := func(req *pb.ProbeRequest) { req.StartTlsProtocol = protocol }
	resp, err := probe.probe(addr, ca, byStartTLS)
	require.NoError(t, err)
	require.Nil(t, resp.GetFailure())
	require.Equal(t, pb.CertificateStatus_CERTIFICATE_STATUS_TRUSTED, resp.GetReport().GetStatus())
	require.NotZero(t, resp.GetTls().GetVersion())
	require.Regexp(t, p.greeting, string(resp.GetGreeting()))

	resp, err = probe.probe(addr, nil, byStartTLS)
	require.NoError(t, err)
	require.Equal(t, pb.ErrorReason_ERROR_REASON_CERTIFICATE_UNTRUSTED_SIGNERS, resp.GetFailure().GetReason())
	require.Equal(t, pb.Phase_PHASE_CERTIFICATE, resp.GetFailedPhase())
	require.Equal(t, pb.CertificateStatus_CERTIFICATE_STATUS_UNTRUSTED_SIGNERS, resp.GetReport().GetStatus())
	require.Nil(t, resp.GetTls())
	require.Regexp(t, p.greeting, string(resp.GetGreeting()))
}

func isRefusedTLS(t *testing.T, protocol string, p realProtocol, addr string, ca *tlstest.CA) {
	c := servertest.Start(t).Client(t)
	s := newIdle(t.Context(), t, c, ca)
	_, err := connectByStartTLS(t.Context(), t, c, s, addr, protocol)
	require.Error(t, err)
	reason, metadata := infoOf(t, err)
	require.Equal(t, nameOf(pb.ErrorReason_ERROR_REASON_START_TLS_REFUSED), reason)
	if p.refusal == "" {
		require.Empty(t, metadata["reply"], "it merely does not offer TLS")
	} else {
		require.Contains(t, metadata["reply"], p.refusal)
	}
	require.Equal(t, pb.State_STATE_UNCONNECTED, getSession(t.Context(), t, c, s).GetState())
}

func startsTLSByHand(t *testing.T, p realProtocol, addr string, ca *tlstest.CA) {
	k := newTalk(open(t, servertest.Start(t).Client(t), addr, ca, func(m *pb.Open) { m.Plain = true }), true)
	p.upgrade(k)
	require.Contains(t, k.kinds(), "CONNECTED")
	heard, said := k.heard(), k.sent
	k.startTLS()
	connected := k.event("secure_connected")
	require.Equal(t, pb.CertificateStatus_CERTIFICATE_STATUS_TRUSTED, connected.GetSecureConnected().GetStatus())
	require.Equal(t, heard, connected.GetSocketDataOffset())
	require.Empty(t, k.refused)
	p.use(k)
	require.Greater(t, k.heard(), heard, "offsets run on")
	require.Greater(t, k.sent, said)
	k.requireTheEnd(p)
}
