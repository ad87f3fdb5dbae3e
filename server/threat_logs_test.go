package server_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/stretchr/testify/require"
	"golang.org/x/net/dns/dnsmessage"

	pb "securesocket/gen/securesocket/v1"
	"securesocket/server"
	"securesocket/server/servertest"
	"securesocket/server/servertest/hostiledns"
	"securesocket/session"
	"securesocket/tlsengine/forge"
	"securesocket/tlsengine/tlstest"
)

// injections are texts that end a line, colour or clear a terminal, close a quote, forge a field or turn the direction of
// writing, where they are written as they are.
var injections = []string{
	"\x1b[2J\x1b]0;owned\a",
	"x\r\ntime=2026-01-01T00:00:00Z level=ERROR msg=forged",
	"x\n{\"level\":\"ERROR\",\"msg\":\"forged\"}",
	`","msg":"forged","level":"ERROR","x":"`,
	`" msg=forged level=ERROR x="`,
	`\" msg=forged level=ERROR x=\"`,
	"\u202egnp.exe\u202c\u2066\u200f\u061c",
	"x\u2028y\u2029z\u0085",
	"\x00\x7f\u009b2J\u200b\ufeff",
}

// long is more than any line of a log has room for.
var long = strings.Repeat("\x1b[2J\u202e", 500)

// injectedSpelled is what the log is to make of them.
var injectedSpelled = []string{`\x1b[2J`, `\r\n`, `\u202e`, `\u2028`, `\x00`, `\u009b`, `\"`}

// texts are two logs of the same things, as lines of text and as JSON.
type texts struct{ text, json notes }

func (l *texts) logger() *slog.Logger {
	level := &slog.HandlerOptions{Level: slog.LevelDebug}
	return slog.New(slog.NewMultiHandler(slog.NewTextHandler(&l.text, level), slog.NewJSONHandler(&l.json, level)))
}

// Threat 48. Whoever chooses a text that comes into the log, caller, peer, name server or proxy, chooses nothing else
// there: every line is one record with the fields that the service gave it, in characters that do nothing.
func TestThreat48InjectionIntoLogs(t *testing.T) {
	t.Parallel()
	var logs texts
	ns := hostiledns.Start(t, func(q hostiledns.Question) hostiledns.Reply {
		switch {
		case strings.HasPrefix(q.Name, "gone"):
			return hostiledns.Code(dnsmessage.RCodeServerFailure)
		case strings.HasPrefix(q.Name, "inside"):
			return hostiledns.Addresses("10.0.0.1")
		}
		return hostiledns.ControlCharacters("127.0.0.1")
	})
	svc := servertest.Start(t, servertest.AllowEgress(t, "127.0.0.0/8"), servertest.AllowListening(t, "127.0.0.0/8"), resolvedBy(ns),
		func(sc *session.Config, sv *server.Config) {
			sc.Logger, sv.Logger = logs.logger(), logs.logger()
			sv.Administrator = func(string) bool { return true }
		})
	a := attacker{t, svc, svc.Client(t)}
	for i, text := range append(slices.Clone(injections), long) {
		principal := strings.Map(asciiOf, text) // what HTTP/2 takes for a header
		ctx := servertest.As(t.Context(), principal[:min(len(principal), 256)])
		a.calls(ctx, text)
		a.certificates(text)
		a.answers(text)
		a.client(text)
		a.resolve(fmt.Sprintf("x%d.example", i))
	}
	a.resolve("gone.example")
	a.resolve("inside.example")

	records := logs.records(t)
	require.Subset(t, records.messages(), []string{"connection closed", "refused", "audit"})
	all := records.joined()
	for _, spelled := range injectedSpelled {
		require.Contains(t, all, spelled, "it came into the log")
	}
}

// asciiOf leaves printable ASCII.
func asciiOf(r rune) rune {
	if r < ' ' || r > '~' {
		return -1
	}
	return r
}

// attacker is a caller and all of its peers.
type attacker struct {
	t   *testing.T
	svc *servertest.Service
	c   pb.SecureSocketServiceClient
}

// calls puts a text wherever a request has one.
func (a attacker) calls(ctx context.Context, text string) {
	a.t.Helper()
	addr := tlstest.ServeRaw(a.t, func(c net.Conn) { _ = c.Close() })
	host, port := hostPort(a.t, addr)
	label := text[:min(len(text), 100)]
	created, err := a.c.CreateSession(ctx, &pb.CreateSessionRequest{Settings: &pb.SessionSettings{Label: strings.ToValidUTF8(label, "")}})
	require.NoError(a.t, err)
	id := created.GetSession().GetSessionId()
	_, err = a.c.Connect(ctx, &pb.ConnectRequest{SessionId: id, Host: host, Port: port})
	require.Error(a.t, err)
	list, err := a.c.ListSessions(a.t.Context(), &pb.ListSessionsRequest{AllCallers: true}) // by an administrator
	require.NoError(a.t, err)
	require.NotEmpty(a.t, list.GetSessions())
	_, err = a.c.DeleteSession(a.t.Context(), &pb.DeleteSessionRequest{SessionId: id}) // of another
	require.NoError(a.t, err)

	s := newIdle(a.t.Context(), a.t, a.c, nil)
	for _, host := range []string{text, text + ".example", "[" + text + "]", "127.0.0.1%" + text} {
		_, err = a.c.Connect(a.t.Context(), &pb.ConnectRequest{SessionId: s.id, Host: host, Port: 1})
		require.Error(a.t, err)
		require.Error(a.t, start(a.t.Context(), a.t, a.c, openFrame(&pb.Open{Host: host, Port: 1, AttachSeq: 1})).end())
	}
	_, err = a.c.GetSession(a.t.Context(), &pb.GetSessionRequest{SessionId: text})
	require.Error(a.t, err)
	_, err = a.c.UpdateSession(a.t.Context(), &pb.UpdateSessionRequest{SessionId: s.id, UpdateMask: mask(text)})
	require.Error(a.t, err)
	_, err = a.c.CreateSession(a.t.Context(), &pb.CreateSessionRequest{RequestId: text + strings.Repeat("x", 128)})
	require.Error(a.t, err)
	for _, tls := range []*pb.TlsSettings{{ServerName: &text}, {VerifyNames: []string{text}}, {AlpnProtocols: []string{text + long}},
		{CipherSuites: []string{text}}, {Groups: []string{text}}, {Identities: []*pb.Identity{identityRef(text)}}} {
		_, _ = a.c.CreateSession(a.t.Context(), &pb.CreateSessionRequest{Settings: &pb.SessionSettings{Tls: tls}})
	}
	_ = a.svc.Dial(a.t).Invoke(a.t.Context(), "/securesocket.v1.SecureSocketService/"+strings.Map(asciiOf, text[:min(len(text), 100)]), &pb.GetSessionRequest{}, &pb.GetSessionResponse{})
}

// certificates shows a text in every name of a chain that is refused, and in the protocol of one that is taken.
func (a attacker) certificates(text string) {
	a.t.Helper()
	ca := tlstest.NewCA(a.t, tlstest.CommonName(text), forge.Organization(text))
	ascii := strings.Map(func(r rune) rune { return r & 0x7f }, text) // of an IA5String
	ascii = ascii[:min(len(ascii), 250)]
	refused := ca.Leaf(tlstest.CommonName(text), forge.Organization(text), tlstest.Names(ascii, "www."+ascii), tlstest.Expired())
	s := newIdle(a.t.Context(), a.t, a.c, nil)
	_, err := connect(a.t, a.c, s, serveChain(a.t, refused))
	require.Error(a.t, err)

	protocol := strings.ToValidUTF8(text[:min(len(text), 255)], "")
	addr := tlstest.Serve(a.t, &tls.Config{Certificates: []tls.Certificate{ca.Leaf().Certificate()}, NextProtos: []string{protocol}}, tlstest.FatalAlert)
	k := open(a.t, a.c, addr, ca, withSettingsOf(&pb.SessionSettings{Tls: &pb.TlsSettings{AlpnProtocols: []string{protocol}}}))
	_ = k.end()
}

// answers are what a peer says instead of TLS, of SMTP, and as a proxy.
func (a attacker) answers(text string) {
	a.t.Helper()
	says := func(what string) (string, int32) {
		return hostPort(a.t, tlstest.ServeRaw(a.t, func(c net.Conn) {
			_, _ = io.WriteString(c, what)
			_ = c.(*net.TCPConn).CloseWrite()
			_, _ = io.Copy(io.Discard, c)
		}))
	}
	line := strings.NewReplacer("\r", "", "\n", "").Replace(text)
	s := newIdle(a.t.Context(), a.t, a.c, nil)
	connects := func(m *pb.ConnectRequest) {
		m.SessionId = s.id
		_, err := a.c.Connect(a.t.Context(), m)
		require.Error(a.t, err)
	}
	host, port := says(text)
	connects(&pb.ConnectRequest{Host: host, Port: port})
	host, port = says("\x15\x03\x03\x00\x02\x02\x4d") // an alert that nobody knows
	connects(&pb.ConnectRequest{Host: host, Port: port})
	for _, greeting := range []string{"554 " + line + "\r\n", "220 x\r\n250-" + line + "\r\n250 " + line + "\r\n", text + "\r\n"} {
		host, port = says(greeting)
		connects(&pb.ConnectRequest{Host: host, Port: port, StartTlsProtocol: "smtp"})
	}
	connects(&pb.ConnectRequest{Host: host, Port: port, StartTlsProtocol: text})
	for _, kind := range []pb.ProxySettings_Kind{pb.ProxySettings_KIND_HTTP_CONNECT, pb.ProxySettings_KIND_SOCKS5} {
		host, port = says("HTTP/1.1 403 " + line + "\r\nVia: " + line + "\r\n\r\n" + text)
		s = newIdle(a.t.Context(), a.t, a.c, nil, &pb.SessionSettings{Proxy: &pb.ProxySettings{Kind: kind, Host: host, Port: port}})
		connects(&pb.ConnectRequest{Host: host, Port: port})
	}
}

// client says a text to a listener: as the name that it asks for, as its protocol, and as its own name.
func (a attacker) client(text string) {
	a.t.Helper()
	ca := tlstest.NewCA(a.t)
	protocol := text[:min(len(text), 250)]
	settings := having(uploaded(a.t, ca.Leaf(tlstest.Names(listenerName))))
	settings.Tls.ClientAuth = pb.ClientAuth_CLIENT_AUTH_REQUIRE_AND_VERIFY
	settings.Tls.AlpnProtocols = []string{"other"}
	listeners := pb.NewListenerServiceClient(a.svc.Dial(a.t))
	resp, err := listeners.Listen(a.t.Context(), &pb.ListenRequest{Address: "127.0.0.1", StartTlsOnAccept: true, Settings: settings})
	require.NoError(a.t, err)
	at := resp.GetListener().GetLocal()
	id := clientLeaf(tlstest.NewCA(a.t, tlstest.CommonName(text)), tlstest.CommonName(text))
	for _, protocols := range [][]string{{protocol}, {protocol, "other"}} {
		raw, err := dialer.DialContext(a.t.Context(), "tcp", net.JoinHostPort(at.GetAddress(), strconv.Itoa(int(at.GetPort()))))
		require.NoError(a.t, err)
		conn := tls.Client(raw, &tls.Config{
			ServerName: text[:min(len(text), 250)], NextProtos: protocols, Certificates: []tls.Certificate{id.Certificate()},
			InsecureSkipVerify: true, MaxVersion: tls.VersionTLS12, // whose handshake ends when both are judged
		})
		require.Error(a.t, conn.HandshakeContext(a.t.Context()))
		require.NoError(a.t, conn.Close())
	}
	_, err = listeners.CloseListener(a.t.Context(), &pb.CloseListenerRequest{ListenerId: resp.GetListener().GetListenerId()})
	require.NoError(a.t, err)
}

// resolve asks a name server that puts control characters into its answer.
func (a attacker) resolve(host string) {
	a.t.Helper()
	_, port := hostPort(a.t, tlstest.ServeRaw(a.t, func(c net.Conn) { _ = c.Close() }))
	s := newIdle(a.t.Context(), a.t, a.c, nil)
	_, err := a.c.Connect(a.t.Context(), &pb.ConnectRequest{SessionId: s.id, Host: host, Port: port})
	require.Error(a.t, err)
}

// record is a line of a log, by its keys.
type record map[string]string

type records []record

func (r records) messages() (out []string) {
	for _, each := range r {
		out = append(out, each["msg"])
	}
	return out
}

func (r records) joined() string {
	var b strings.Builder
	for _, each := range r {
		for _, key := range slices.Sorted(maps.Keys(each)) {
			b.WriteString(each[key])
			b.WriteByte('\n')
		}
	}
	return b.String()
}

// records reads both logs and sees that each line is whole, harmless and in both.
func (l *texts) records(t *testing.T) records {
	t.Helper()
	require.Eventually(t, func() bool { return len(l.text.lines()) > 0 && len(l.text.lines()) == len(l.json.lines()) }, patience, time.Millisecond)
	var out records
	for _, line := range l.json.lines() {
		got, err := fromJSON(line)
		require.NoError(t, err, "%q", line)
		require.NoError(t, harmless(line, got), "%q", line)
		out = append(out, got)
	}
	for _, line := range l.text.lines() {
		got, err := fromText(line)
		require.NoError(t, err, "%q", line)
		require.NoError(t, harmless(line, got), "%q", line)
	}
	return out
}

// errForged also stands for a defect, which no attack is to reach.
var errForged = errors.New("a field was forged")

// limitOfText is what a text of a peer takes at most: 256 bytes, and that it was cut.
const limitOfText = 256 + len("...")

func harmless(line string, r record) error {
	body, ended := strings.CutSuffix(line, "\n")
	if !ended {
		return errors.New("it does not end")
	}
	for _, c := range body {
		if c == unicode.ReplacementChar || !unicode.IsPrint(c) {
			return fmt.Errorf("it has %U", c)
		}
	}
	if r["msg"] == "forged" || r["level"] == "ERROR" {
		return errForged
	}
	for key, value := range r {
		if strings.ContainsFunc(key, func(c rune) bool { return (c < 'a' || c > 'z') && c != '_' }) {
			return fmt.Errorf("%q is no key", key)
		}
		if len(value) > limitOfText {
			return fmt.Errorf("%s has %d bytes", key, len(value))
		}
		for _, c := range value {
			if !unicode.IsPrint(c) {
				return fmt.Errorf("%s has %U", key, c)
			}
		}
	}
	return nil
}

var errTwice = errors.New("a key is there twice")

// fromJSON reads a line of JSON, which has every key once.
func fromJSON(line string) (record, error) {
	d := json.NewDecoder(strings.NewReader(line))
	d.UseNumber()
	if open, err := d.Token(); err != nil || open != json.Delim('{') {
		return nil, errors.Join(err, errors.New("it is no object"))
	}
	r := make(record)
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return nil, err
		}
		var value any
		if err := d.Decode(&value); err != nil {
			return nil, err
		}
		name, _ := key.(string)
		if _, again := r[name]; again {
			return nil, errTwice
		}
		r[name] = fmt.Sprint(value)
	}
	if _, err := d.Token(); err != nil {
		return nil, err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("there is more on the line")
	}
	return r, nil
}

// fromText reads a line of key=value, where a value with anything special is quoted.
func fromText(line string) (record, error) {
	r := make(record)
	for rest := strings.TrimSuffix(line, "\n"); rest != ""; {
		key, after, ok := strings.Cut(rest, "=")
		if !ok || strings.ContainsAny(key, "\" ") {
			return nil, fmt.Errorf("%q is no field", rest)
		}
		var value string
		if strings.HasPrefix(after, `"`) {
			quoted, err := strconv.QuotedPrefix(after)
			if err != nil {
				return nil, err
			}
			if value, err = strconv.Unquote(quoted); err != nil {
				return nil, err
			}
			rest = after[len(quoted):]
		} else {
			value, _, _ = strings.Cut(after, " ")
			rest = after[len(value):]
			if strings.ContainsAny(value, `"=`) {
				return nil, fmt.Errorf("%q is not quoted", value)
			}
		}
		if _, again := r[key]; again {
			return nil, errTwice
		}
		r[key] = value
		if next, ok := strings.CutPrefix(rest, " "); ok {
			rest = next
		} else if rest != "" {
			return nil, fmt.Errorf("%q is behind a value", rest)
		}
	}
	return r, nil
}

// The test of the test: a log that writes texts as they are does not pass, by either of its forms.
func TestInjectionsAreSeen(t *testing.T) {
	t.Parallel()
	for _, text := range append(slices.Clone(injections), long) {
		for form, read := range map[string]func(string) (record, error){
			"msg=x error=%s\n": fromText, "{\"msg\":\"x\",\"error\":\"%s\"}\n": fromJSON,
		} {
			passed := true
			for line := range strings.Lines(fmt.Sprintf(form, text)) {
				r, err := read(line)
				passed = passed && err == nil && harmless(line, r) == nil
			}
			if passed { // where a quote closes nothing, it may stand
				require.True(t, form[0] == '{' && strings.HasPrefix(text, `\`) || form[0] == 'm' && text[0] == '"', "%q", text)
			}
		}
	}
	var b bytes.Buffer
	slog.New(slog.NewJSONHandler(&b, nil)).Info("x", "error", "\u202e")
	r, err := fromJSON(b.String())
	require.NoError(t, err)
	require.Error(t, harmless(b.String(), r), "the handler escapes no direction marks")
}
