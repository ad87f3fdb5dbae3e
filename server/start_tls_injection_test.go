package server_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	pb "securesocket/gen/securesocket/v1"
	"securesocket/server/servertest"
	"securesocket/tlsengine/tlstest"
)

// injected is what somebody on the way puts in, to have it taken for the peer's under TLS.
const injected = "250 mallory\r\n"

// adversary puts it into the peer's agreement to TLS, before the byte `at`, which is one behind its end at most.
type adversary struct {
	at      int
	second  bool // what follows `at` is a segment of its own
	onHello bool // which waits for the caller's hello
}

func (a adversary) String() string {
	return fmt.Sprintf("at %d, second segment %v, after the hello %v", a.at, a.second, a.onHello)
}

// prey is a peer whose agreement goes through an adversary's hands. The peer itself knows nothing of that, and goes on with
// TLS.
type prey struct {
	dialogue func(lines *bufio.Reader, say func(string)) (agreement string, err error)
	config   *tls.Config
	next     chan adversary
	ends     chan preyEnd
}

// preyEnd is how a connection ended, as the peer saw it.
type preyEnd struct {
	handshake error
	tcp       error // of reading up to the end, where the handshake failed; nil: FIN
	data      string
}

func smtpDialogue(lines *bufio.Reader, say func(string)) (string, error) {
	say("220 ready\r\n")
	for {
		line, err := lines.ReadString('\n')
		if err != nil || strings.HasPrefix(line, "STARTTLS") {
			return "220 go\r\n", err
		}
		say("250-here\r\n250 STARTTLS\r\n")
	}
}

func imapDialogue(lines *bufio.Reader, say func(string)) (string, error) {
	say("* OK ready\r\n")
	for {
		line, err := lines.ReadString('\n')
		if err != nil {
			return "", err
		}
		tag, command, _ := strings.Cut(line, " ")
		if strings.HasPrefix(command, "STARTTLS") {
			return tag + " OK go\r\n", nil
		}
		say("* CAPABILITY IMAP4rev1 STARTTLS\r\n" + tag + " OK\r\n")
	}
}

// peeked has what was looked at still to be read.
type peeked struct {
	net.Conn

	r io.Reader
}

func (p *peeked) Read(b []byte) (int, error) { return p.r.Read(b) }

func (p *prey) serve(tb testing.TB) string {
	tb.Helper()
	p.next, p.ends = make(chan adversary, 1), make(chan preyEnd, 1)
	ctx := context.WithoutCancel(tb.Context())
	return tlstest.ServeRaw(tb, func(conn net.Conn) {
		a := <-p.next
		var end preyEnd
		defer func() { p.ends <- end }()
		lines := bufio.NewReader(conn)
		agreement, err := p.dialogue(lines, func(s string) { _, _ = io.WriteString(conn, s) })
		if err != nil {
			end.handshake, end.tcp = err, err
			return
		}
		first, rest := agreement[:a.at], injected+agreement[a.at:]
		if a.second {
			_, _ = io.WriteString(conn, first)
			first = ""
		}
		if a.onHello {
			_, _ = lines.Peek(1)
		}
		_, _ = io.WriteString(conn, first+rest)
		secured := tls.Server(&peeked{conn, lines}, p.config)
		if end.handshake = secured.HandshakeContext(ctx); end.handshake != nil {
			_, end.tcp = io.Copy(io.Discard, lines)
			return
		}
		b, _ := io.ReadAll(secured)
		end.data = string(b)
	})
}

// positions are the adversary's choices with an agreement.
func positions(agreement string) (all []adversary) {
	for at := range len(agreement) + 1 {
		all = append(all, adversary{at: at}, adversary{at: at, second: true})
	}
	return append(all, adversary{at: len(agreement), second: true, onHello: true})
}

// eachPrey runs a test with a protocol, its command and the peer's agreement. start starts a peer.
func eachPrey(t *testing.T, f func(t *testing.T, protocol, command, agreement string, start func() (*prey, string, *tlstest.CA))) {
	t.Helper()
	for protocol, tc := range map[string]struct {
		dialogue           func(*bufio.Reader, func(string)) (string, error)
		command, agreement string
	}{
		"smtp": {smtpDialogue, "STARTTLS\r\n", "220 go\r\n"},
		"imap": {imapDialogue, "a2 STARTTLS\r\n", "a2 OK go\r\n"},
	} {
		t.Run(protocol, func(t *testing.T) {
			t.Parallel()
			ca := tlstest.NewCA(t)
			config := &tls.Config{Certificates: []tls.Certificate{ca.Leaf(tlstest.Names("127.0.0.1")).Certificate()}}
			f(t, protocol, tc.command, tc.agreement, func() (*prey, string, *tlstest.CA) {
				p := &prey{dialogue: tc.dialogue, config: config}
				return p, p.serve(t), ca
			})
		})
	}
}

// The service speaks the protocol: wherever the bytes are put in, there is no TLS with them, and nothing is delivered.
func TestInjectedIntoTheDialogueOfTheService(t *testing.T) {
	t.Parallel()
	eachPrey(t, func(t *testing.T, protocol, _, agreement string, start func() (*prey, string, *tlstest.CA)) {
		p, addr, ca := start()
		c := servertest.Start(t).Client(t)
		for _, a := range positions(agreement) {
			p.next <- a
			k := open(t, c, addr, ca, func(m *pb.Open) { m.StartTlsProtocol = protocol })
			closed := k.closed()
			reason := nameOf(closed.GetFailure().GetReason())
			switch {
			case a.onHello:
				require.Contains(t, []string{"NOT_TLS", "PEER_MISBEHAVED"}, reason, "%v", a)
			case a.at == len(agreement) && !a.second:
				require.Equal(t, "START_TLS_INJECTION", reason, "%v", a)
			default: // a reply that is none, or another one
				require.Contains(t, []string{"START_TLS_INJECTION", "NOT_TLS", "PEER_MISBEHAVED", "START_TLS_REFUSED"}, reason, "%v", a)
			}
			require.NoError(t, k.end())
			require.Empty(t, k.data, "%v", a)
			require.Zero(t, closed.GetReceivedBytes())
			require.NotContains(t, k.kinds(), "secure_connected")
			require.Error(t, (<-p.ends).handshake, "%v", a)
		}
	})
}

// The caller speaks it: it takes the first line that comes for the agreement, and everything behind it is an injection.
func TestInjectedIntoTheDialogueOfTheCaller(t *testing.T) {
	t.Parallel()
	eachPrey(t, func(t *testing.T, _, command, agreement string, start func() (*prey, string, *tlstest.CA)) {
		eachEntrance(t, func(t *testing.T, by entrance) {
			p, addr, ca := start()
			c := servertest.Start(t).Client(t)
			for _, a := range positions(agreement) {
				p.next <- a
				k := open(t, c, addr, ca, plainly, keepSession)
				k.until(func() bool { return strings.Count(string(k.data), "\r\n") == 1 })
				before := len(k.data)
				k.write([]byte(command))
				line := 0
				k.until(func() bool {
					line = before + strings.Index(string(k.data[before:]), "\n") + 1
					return line > before
				})
				whole := before + len(agreement) + len(injected)
				if !a.onHello {
					readyRead(t, c, k.session(), int64(whole)) // all of it has come
				}
				end := by.begin(k, c, asClient(int64(line), k.sent))
				sent := k.sent
				if by.name == byFrame.name { // beside a call it might come too early
					k.write([]byte("secret"))
				}
				reason := end()
				closed := k.closed()
				if a.onHello {
					require.Contains(t, []string{"NOT_TLS", "PEER_MISBEHAVED"}, reason, "%v", a)
					require.EqualValues(t, line, closed.GetReceivedBytes(), "%v", a)
				} else {
					require.Equal(t, "START_TLS_INJECTION", reason, "%v", a)
					require.NotContains(t, k.kinds(), "HANDSHAKING")
				}
				require.Equal(t, reason, nameOf(closed.GetFailure().GetReason()))
				require.NotContains(t, k.kinds(), "secure_connected")
				require.LessOrEqual(t, len(k.data), whole)
				require.Equal(t, sent, closed.GetSentBytes(), "nothing beyond send_offset")
				got := <-p.ends
				require.Error(t, got.handshake)
				require.Empty(t, got.data)
				if !a.onHello {
					require.ErrorIs(t, errors.Join(got.handshake, got.tcp), syscall.ECONNRESET, "%v", a)
				}
				s := getSession(t.Context(), t, c, k.session())
				require.Equal(t, reason, nameOf(s.GetLastError().GetReason()))
			}
		})
	})
}

// What lies in the socket still, unread, when the handshake is about to begin is an injection too.
func TestInjectedWhileTheServiceWaits(t *testing.T) {
	t.Parallel()
	ca := tlstest.NewCA(t)
	eachEntrance(t, func(t *testing.T, by entrance) {
		put := make(chan struct{})
		ask := make(chan struct{})
		got := make(chan preyEnd, 1)
		addr := tlstest.ServeRaw(t, func(conn net.Conn) {
			<-ask
			_, _ = io.WriteString(conn, injected)
			close(put)
			b, err := io.ReadAll(conn)
			got <- preyEnd{tcp: err, data: string(b)}
		})
		c := servertest.Start(t).Client(t)
		k := open(t, c, addr, ca, plainly, keepSession)
		k.write([]byte("early"))
		k.until(func() bool { return k.progress.GetWrittenOffset() == 5 })
		end := by.begin(k, c, asClient(0, 9)) // four bytes are to come
		switching(t, c, k.session())
		close(ask)
		<-put
		k.write([]byte("late, and never in clear"))
		require.Equal(t, "START_TLS_INJECTION", end())
		peer := <-got
		require.ErrorIs(t, peer.tcp, syscall.ECONNRESET)
		require.Equal(t, "earlylate", peer.data)
		closed := k.closed()
		require.Empty(t, k.data)
		require.EqualValues(t, 9, closed.GetSentBytes())
		require.Equal(t, pb.CloseCause_CLOSE_CAUSE_ERROR, closed.GetCause())
		require.Equal(t, []string{"HOST_LOOKUP", "host_found", "CONNECTING", "tcp_connected", "CONNECTED", "io_error", "UNCONNECTED", "closed"}, k.kinds())
	})
}
