package client_test

import (
	"bytes"
	"crypto/tls"
	"io"
	"net"
	"net/textproto"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"securesocket/client"
	pb "securesocket/gen/securesocket/v1"
	"securesocket/tlsengine/tlstest"
)

// smtpPeer is an SMTP server that offers STARTTLS. After it, it answers EHLO and NOOP under TLS. more follows the answer
// to STARTTLS in clear.
func smtpPeer(t *testing.T, config *tls.Config, more string) (address string) {
	return tlstest.ServeRaw(t, func(conn net.Conn) {
		serveSMTP(conn, config, more)
	})
}

func serveSMTP(conn net.Conn, config *tls.Config, more string) {
	_, _ = io.WriteString(conn, "220 mail.example ESMTP\r\n")
	text := textproto.NewConn(conn)
	for {
		line, err := text.ReadLine()
		if err != nil {
			return
		}
		switch verb, _, _ := strings.Cut(line, " "); strings.ToUpper(verb) {
		case "EHLO":
			_ = text.PrintfLine("250-mail.example\r\n250-STARTTLS\r\n250 8BITMIME")
		case "NOOP":
			_ = text.PrintfLine("250 fine")
		case "STARTTLS":
			_, _ = io.WriteString(conn, "220 go ahead\r\n"+more)
			secure := tls.Server(conn, config)
			if secure.Handshake() != nil {
				_ = conn.Close()
				return
			}
			conn, text = secure, textproto.NewConn(secure)
		case "QUIT":
			_ = text.PrintfLine("221 bye")
			_ = conn.Close()
			return
		default:
			_ = text.PrintfLine("500 what?")
		}
	}
}

// ask writes a line and reads an answer, byte by byte: a buffer would read into what comes after.
func ask(t *testing.T, conn net.Conn, line string) (answer string) {
	t.Helper()
	if line != "" {
		_, err := io.WriteString(conn, line+"\r\n")
		require.NoError(t, err)
	}
	for {
		var b [1]byte
		var got []byte
		for !bytes.HasSuffix(got, []byte("\r\n")) {
			_, err := io.ReadFull(conn, b[:])
			require.NoError(t, err)
			got = append(got, b[0])
		}
		answer += string(got)
		if len(got) > 3 && got[3] == ' ' {
			return answer
		}
	}
}

// TestServiceStartTLSByHand: a dialogue in clear, then the same in TLS.
func TestServiceStartTLSByHand(t *testing.T) {
	t.Parallel()
	ca := tlstest.NewCA(t)
	d := plainDialer(t, ca)
	for name, resumable := range map[string]bool{"not resumable": false, "resumable": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := *d
			d.Resumable = resumable
			conn, err := d.DialPlain(t.Context(), "tcp", smtpPeer(t, serverConfig(ca), ""))
			require.NoError(t, err)
			require.Contains(t, ask(t, conn, ""), "220 ")
			require.Contains(t, ask(t, conn, "EHLO me"), "STARTTLS")
			require.Contains(t, ask(t, conn, "STARTTLS"), "220 ")
			require.NoError(t, conn.StartTLS(t.Context()))
			require.True(t, conn.Encrypted())
			require.NoError(t, conn.ConnectionState().PeerCertificates[0].VerifyHostname("localhost"))
			require.Equal(t, pb.CertificateReport_TRUST_BASIS_VALIDATED, conn.TrustBasis())
			require.Contains(t, ask(t, conn, "NOOP"), "250 ")
			e := requireError(t, conn.StartTLS(t.Context()), pb.ErrorReason_ERROR_REASON_SESSION_STATE)
			require.Equal(t, "caller", e.Side())
			require.Contains(t, ask(t, conn, "QUIT"), "221 ")
			require.NoError(t, conn.Close())
		})
	}
}

// TestServiceStartTLSRefusals: what ends the connection, and as what.
func TestServiceStartTLSRefusals(t *testing.T) {
	t.Parallel()
	ca := tlstest.NewCA(t)
	d := plainDialer(t, ca)
	for name, tc := range map[string]struct {
		peer   string
		reason pb.ErrorReason
	}{
		"injection": {smtpPeer(t, serverConfig(ca), "250 injected\r\n"), pb.ErrorReason_ERROR_REASON_START_TLS_INJECTION},
		"untrusted": {smtpPeer(t, serverConfig(tlstest.NewCA(t)), ""), pb.ErrorReason_ERROR_REASON_CERTIFICATE_UNTRUSTED_SIGNERS},
		"silent": {tlstest.ServeRaw(t, func(conn net.Conn) {
			_, _ = io.WriteString(conn, "220 hi\r\n220 go ahead\r\n")
			_, _ = io.Copy(io.Discard, conn)
		}), pb.ErrorReason_ERROR_REASON_HANDSHAKE_TIMEOUT},
		"gone": {tlstest.ServeRaw(t, func(conn net.Conn) {
			_, _ = io.WriteString(conn, "220 hi\r\n220 go ahead\r\n")
			_, _ = io.ReadFull(conn, make([]byte, 5))
			_ = conn.(interface{ SetLinger(int) error }).SetLinger(0)
			_ = conn.Close()
		}), pb.ErrorReason_ERROR_REASON_PEER_RESET},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := *d
			if tc.reason == pb.ErrorReason_ERROR_REASON_HANDSHAKE_TIMEOUT {
				d.HandshakeTimeout = 500 * time.Millisecond // the others may be slow, and are to fail for what they do
			}
			conn, err := d.DialPlain(t.Context(), "tcp", tc.peer)
			require.NoError(t, err)
			t.Cleanup(conn.Abort)
			ask(t, conn, "")
			ask(t, conn, "STARTTLS")
			err = conn.StartTLS(t.Context())
			e := requireError(t, err, tc.reason)
			if tc.reason == pb.ErrorReason_ERROR_REASON_CERTIFICATE_UNTRUSTED_SIGNERS {
				require.NotEmpty(t, e.Report.GetProblems())
			}
			n, err := conn.Read(make([]byte, 100))
			require.Zero(t, n)
			requireError(t, err, tc.reason)
			_, err = conn.Write([]byte("x"))
			require.Error(t, err)
			require.False(t, conn.Encrypted())
		})
	}
}

// TestServiceStartTLSWhileWriting: writers do not stop for the switch. The peer sees a beginning of what was written in
// clear, ending where StartTLS was called, and all the rest under TLS.
func TestServiceStartTLSWhileWriting(t *testing.T) {
	t.Parallel()
	ca := tlstest.NewCA(t)
	d := plainDialer(t, ca)
	for name, resumable := range map[string]bool{"not resumable": false, "resumable": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := *d
			d.Resumable = resumable
			for range 10 {
				startWhileWriting(t, &d, ca)
			}
		})
	}
}

func startWhileWriting(t *testing.T, d *client.Dialer, ca *tlstest.CA) {
	t.Helper()
	conn, peer := plainPair(t, d)
	const record = 16
	var writers sync.WaitGroup
	stop := make(chan struct{})
	for i := range 4 {
		writers.Go(func() {
			line := bytes.Repeat([]byte{byte('a' + i)}, record)
			for {
				select {
				case <-stop:
					return
				default:
				}
				if _, err := conn.Write(line); err != nil {
					t.Errorf("write: %v", err)
					return
				}
				time.Sleep(50 * time.Microsecond)
			}
		})
	}
	type seen struct{ clear, secret []byte }
	all := make(chan seen, 1)
	go func() {
		var got seen
		var b [1]byte
		for { // in clear there are letters only; the first byte of TLS is none
			if _, err := io.ReadFull(peer, b[:]); err != nil || b[0] == 0x16 {
				break
			}
			got.clear = append(got.clear, b[0])
		}
		secure := tls.Server(&prefixed{peer, b[:]}, serverConfig(ca))
		got.secret, _ = io.ReadAll(secure)
		_ = secure.Close()
		all <- got
	}()
	time.Sleep(2 * time.Millisecond)
	require.NoError(t, conn.StartTLS(t.Context()))
	switched := conn.SentOffset()
	require.Eventually(t, func() bool { return conn.SentOffset() > switched }, 10*time.Second, time.Millisecond)
	close(stop)
	writers.Wait()
	require.NoError(t, conn.CloseWrite())
	total := conn.SentOffset()
	_, err := io.Copy(io.Discard, conn)
	require.NoError(t, err)
	got := <-all
	require.EqualValues(t, total, len(got.clear)+len(got.secret))
	require.NotEmpty(t, got.secret)
	require.Zero(t, len(got.clear)%record)
	for all := append(got.clear, got.secret...); len(all) > 0; all = all[record:] {
		require.Equal(t, bytes.Repeat(all[:1], record), all[:record])
	}
	require.NoError(t, conn.Close())
}

// prefixed is a connection of which some bytes were read already.
type prefixed struct {
	net.Conn
	first []byte
}

func (p *prefixed) Read(b []byte) (int, error) {
	if len(p.first) > 0 {
		n := copy(b, p.first)
		p.first = p.first[n:]
		return n, nil
	}
	return p.Conn.Read(b)
}

// TestServiceStartTLSServer: the peer is the client, whose hello has come before StartTLSServer or not.
func TestServiceStartTLSServer(t *testing.T) {
	t.Parallel()
	ca := tlstest.NewCA(t)
	d := plainDialer(t, ca)
	for name, early := range map[string]bool{"hello before": true, "hello after": false} {
		for kind, identity := range identities(t, ca) {
			t.Run(name+" "+kind, func(t *testing.T) {
				t.Parallel()
				d := *d
				d.Identities = []*client.Identity{identity}
				conn, peer := plainPair(t, &d)
				wait := make(chan struct{})
				var talking sync.WaitGroup
				talking.Go(func() {
					_, _ = io.WriteString(peer, "please\n")
					if !early {
						<-wait
					}
					config := &tls.Config{RootCAs: ca.Pool(), ServerName: "localhost"}
					if early {
						config.MaxVersion = tls.VersionTLS12
					}
					secure := tls.Client(peer, config)
					_, err := io.WriteString(secure, greeting)
					if err != nil {
						t.Errorf("peer: %v", err)
					}
					got := make([]byte, 5)
					_, _ = io.ReadFull(secure, got)
					if string(got) != "hello" {
						t.Errorf("peer got %q", got)
					}
					_ = secure.CloseWrite()
				})
				readExactly(t, conn, "please\n")
				if early {
					// The hello is there, and is not to be read.
					require.Eventually(t, func() bool {
						answer, err := d.Client.Service().GetSession(t.Context(), &pb.GetSessionRequest{SessionId: conn.SessionID()})
						return err == nil && answer.GetSession().GetReceivedBytes() > 100
					}, patience, time.Millisecond)
				} else {
					time.AfterFunc(5*time.Millisecond, func() { close(wait) })
				}
				require.NoError(t, conn.StartTLSServer(t.Context()))
				require.True(t, conn.Encrypted())
				require.Empty(t, conn.ConnectionState().PeerCertificates)
				require.Equal(t, pb.CertificateStatus_CERTIFICATE_STATUS_UNKNOWN, conn.CertificateStatus())
				_, err := io.WriteString(conn, "hello")
				require.NoError(t, err)
				got, err := io.ReadAll(conn)
				require.NoError(t, err)
				require.Equal(t, greeting, string(got))
				talking.Wait()
				require.NoError(t, conn.Close())
			})
		}
	}
}

// identities are one of each kind that a test can have, for localhost.
func identities(t *testing.T, ca *tlstest.CA) map[string]*client.Identity {
	t.Helper()
	all := map[string]*client.Identity{}
	for kind, options := range map[string][]tlstest.Option{
		"ECDSA": nil, "Ed25519": {tlstest.Ed25519()}, "RSA": {tlstest.RSA(2048)},
	} {
		cert := ca.Leaf(append(options, tlstest.Names("localhost", "127.0.0.1"))...).Certificate()
		held, err := client.CallerHeldIdentity(cert)
		require.NoError(t, err)
		sent, err := client.UploadedIdentity(cert)
		require.NoError(t, err)
		all["held "+kind], all["sent "+kind] = held, sent
	}
	return all
}

// TestServiceStartTLSServerNeedsIdentity: it is refused before anything has happened.
func TestServiceStartTLSServerNeedsIdentity(t *testing.T) {
	t.Parallel()
	ca := tlstest.NewCA(t)
	d := plainDialer(t, ca)
	conn, err := d.DialPlain(t.Context(), "tcp", smtpPeer(t, serverConfig(ca), ""))
	require.NoError(t, err)
	ask(t, conn, "")
	_, err = io.WriteString(conn, "NOOP\r\n")
	require.NoError(t, err)
	requireError(t, conn.StartTLSServer(t.Context()), pb.ErrorReason_ERROR_REASON_INVALID_FIELD)
	require.Contains(t, ask(t, conn, ""), "250 ", "it can be read on")
	_, err = io.WriteString(conn, "NOOP\r\n")
	requireError(t, err, pb.ErrorReason_ERROR_REASON_INVALID_FIELD)
	require.NoError(t, conn.Close())
}

// TestServiceStartTLSServerRaces: the hello comes at the very moment at which this side enters TLS.
func TestServiceStartTLSServerRaces(t *testing.T) {
	t.Parallel()
	ca := tlstest.NewCA(t)
	d := plainDialer(t, ca)
	d.Identities = []*client.Identity{uploaded(t, ca, "localhost")}
	for range 200 {
		conn, peer := plainPair(t, d)
		var talking sync.WaitGroup
		talking.Go(func() {
			_, _ = io.WriteString(peer, "please\n")
			secure := tls.Client(peer, &tls.Config{RootCAs: ca.Pool(), ServerName: "localhost"})
			_ = secure.Handshake()
			_ = secure.Close()
		})
		readExactly(t, conn, "please\n")
		require.NoError(t, conn.StartTLSServer(t.Context()))
		_, err := conn.Read(make([]byte, 1))
		require.ErrorIs(t, err, io.EOF)
		talking.Wait()
		conn.Abort()
	}
}
