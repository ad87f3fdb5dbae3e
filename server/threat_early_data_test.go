package server_test

import (
	"crypto/tls"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"securesocket/server"
	"securesocket/server/servertest"
	"securesocket/session"
	"securesocket/tlsengine"
	"securesocket/tlsengine/tlstest"
	"securesocket/tlsengine/tlstest/hostile"
)

// played is what a client would like to have heard twice.
const played = "GET /pay?to=mallory HTTP/1.1\r\n\r\n"

// ends are the connections of a service that have ended.
func ends(c chan session.End) servertest.Option {
	return func(sc *session.Config, _ *server.Config) { sc.Ended = func(e session.End) { c <- e } }
}

// earlyHellos are what clients say first who have early data for a server that never gave them a ticket: hellos of
// crypto/tls, changed. The early data comes behind each as it stands, so that it would be heard if anything were.
func earlyHellos(t *testing.T, config *tls.Config) map[string][]byte {
	t.Helper()
	// A ticket of another server of that name, for a hello with pre_shared_key.
	ca := tlstest.NewCA(t)
	other := newTicketPeer(ca.Leaf(tlstest.Names(config.ServerName)), tls.VersionTLS13)
	with := config.Clone()
	with.RootCAs, with.ClientSessionCache = ca.Pool(), tls.NewLRUClientSessionCache(1)
	conn, err := tls.Dial("tcp", other.serve(t), with)
	require.NoError(t, err)
	_, err = conn.Read(make([]byte, 1)) // the ticket stands before it
	require.NoError(t, err)
	require.NoError(t, conn.Close())

	changed := func(config *tls.Config, changes ...func(*hostile.Hello)) []byte {
		hello := helloOf(t, config)
		for _, change := range changes {
			hello = hostile.ChangedHellos(change, nil)(false, 0, hello)
		}
		data := []byte{hostile.ApplicationData, 3, 3, 0, byte(len(played))}
		return append(append(hello, data...), played...)
	}
	early := func(h *hostile.Hello) { h.Set(hostile.EarlyData) }
	resuming := changed(with, early)
	h, _, err := hostile.ParseHello(resuming[5:])
	require.NoError(t, err)
	require.True(t, h.Has(hostile.PreSharedKey))
	require.True(t, h.Has(hostile.EarlyData))
	return map[string][]byte{
		"with a ticket of another server":       resuming,
		"without a ticket":                      changed(config, early),
		"unannounced":                           changed(config),
		"unannounced, with a ticket":            changed(with),
		"of a client of 1.2":                    changed(config, early, versionsOf(tls.VersionTLS12)),
		"with no share of a key, to be retried": changed(config, early, func(h *hostile.Hello) { h.Set(51, 0, 0) }),
	}
}

// Early data comes to a listener: the handshake fails, and none of it is given to anybody.
func TestThreat24EarlyDataToAListener(t *testing.T) {
	t.Parallel()
	ended := make(chan session.End, 16)
	w := secureListener(t, []servertest.Option{ends(ended)})
	a := w.accept(0)
	for name, hello := range earlyHellos(t, w.clientConfig()) {
		conn := w.dialPlain()
		_, err := conn.Write(hello)
		require.NoError(t, err, name)
		_, _ = io.Copy(io.Discard, conn)
		requireDisturbed(t, <-ended, name)
	}
	// Who comes next is served, and is the first to be given out.
	w.talks(w.dial(), w.attach(a.next()))
	w.nothingMore(a)
}

// requireDisturbed is the end of a handshake that its client spoilt.
func requireDisturbed(t *testing.T, e session.End, name string) {
	t.Helper()
	var he *tlsengine.HandshakeError
	require.ErrorAs(t, e.Failure, &he, name)
	require.Equal(t, tlsengine.Misbehaved, he.Kind, "%s: %v", name, he)
	require.Nil(t, e.TLS, name)
	require.Zero(t, e.Received, name)
	require.Zero(t, e.Sent, name)
}

// The same where the session's owner has it enter TLS: he learns why it failed.
func TestThreat24EarlyDataBehindStartTLS(t *testing.T) {
	t.Parallel()
	eachEntrance(t, func(t *testing.T, by entrance) {
		p := openPorch(t)
		for name, hello := range earlyHellos(t, &tls.Config{ServerName: "porch.test", RootCAs: p.ca.Pool()}) {
			g, s := p.visit(t)
			k := attach(t.Context(), t, p.c, s, 1)
			takingBack(k, 0)
			g.say(hello) // before TLS these are bytes as any others
			k.until(func() bool { return string(k.data) == string(hello) })
			require.Equal(t, "PEER_MISBEHAVED", by.begin(k, p.c, asServer(0, 0))(), name)
			closed := k.closed()
			require.Equal(t, "PEER_MISBEHAVED", nameOf(closed.GetFailure().GetReason()), name)
			require.NotContains(t, k.kinds(), "secure_connected", name)
			require.Equal(t, string(hello), string(k.data), "%s: there is more than what came in plain", name)
			require.Zero(t, closed.GetReceivedBytes(), "%s: and that was taken back", name)
		}
	})
}

// OpenSSL sends early data that it has sealed properly, by a ticket of its own server, which takes it.
func TestThreat24OpenSSL(t *testing.T) {
	t.Parallel()
	openssl, dir := program(t, "openssl"), t.TempDir()
	early, ticket := filepath.Join(dir, "early"), filepath.Join(dir, "ticket")
	require.NoError(t, os.WriteFile(early, []byte(played), 0o600))
	giver, _, heard := serveOpenSSL(t, tls.VersionTLS13, dir, "-early_data", "-max_early_data", "4096", "-no_anti_replay")
	client := func(addr string, args ...string) (stdin io.WriteCloser, out *printed) {
		t.Helper()
		cmd := exec.Command(openssl, append([]string{"s_client", "-connect", addr, "-tls1_3", "-servername", listenerName}, args...)...)
		out = &printed{changed: make(chan struct{}, 1)}
		cmd.Stdout, cmd.Stderr = out, out
		stdin, err := cmd.StdinPipe()
		require.NoError(t, err)
		t.Cleanup(func() { _ = stdin.Close() })
		run(t, cmd)
		return stdin, out
	}
	in, out := client(giver, "-sess_out", ticket)
	out.until(t, contains("Verify return code"))
	require.Eventually(t, func() bool { // s_server gives its ticket when it has heard something, if not just then
		_, err := in.Write([]byte("hello\n"))
		text, _ := os.ReadFile(ticket)
		return err == nil && contains("-----END")(text) != nil
	}, patience, 50*time.Millisecond)
	require.NoError(t, in.Close()) // and s_client goes: s_server has one at a time

	ended := make(chan session.End, 1)
	w := secureListener(t, []servertest.Option{ends(ended)})
	a := w.accept(0)
	client(localAddr(w.l), "-sess_in", ticket, "-early_data", early)
	requireDisturbed(t, <-ended, "a listener")
	w.talks(w.dial(), w.attach(a.next()))
	w.nothingMore(a)

	_, out = client(giver, "-sess_in", ticket, "-early_data", early)
	out.until(t, contains("Early data was accepted"))
	heard.until(t, contains("GET /pay?to=mallory"))
}
