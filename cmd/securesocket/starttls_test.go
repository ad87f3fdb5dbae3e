package main

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/encoding/protojson"

	pb "securesocket/gen/securesocket/v1"
	"securesocket/tlsengine/tlstest"
)

// mailServer speaks as much SMTP as comes before TLS, greets as it is told, and answers STARTTLS by reply; if that
// agrees, it echoes under TLS.
func mailServer(t *testing.T, greeting, reply string) peer {
	t.Helper()
	ca := tlstest.NewCA(t)
	config := &tls.Config{Certificates: []tls.Certificate{ca.Leaf().Certificate()}, SessionTicketsDisabled: true}
	address := tlstest.ServeRaw(t, func(conn net.Conn) {
		_, _ = fmt.Fprintf(conn, "220 %s\r\n", greeting)
		for in := bufio.NewReader(conn); ; {
			line, err := in.ReadString('\n')
			switch {
			case err != nil:
				return
			case strings.HasPrefix(line, "EHLO"):
				_, _ = io.WriteString(conn, "250-mail.example\r\n250 STARTTLS\r\n")
			case strings.HasPrefix(line, "STARTTLS"):
				_, _ = fmt.Fprintf(conn, "%s\r\n", reply)
				if strings.HasPrefix(reply, "220") {
					tlstest.Echo(tls.Server(conn, config))
					return
				}
			default:
				_, _ = io.WriteString(conn, "221 bye\r\n")
				return
			}
		}
	})
	return peer{address, writeFile(t, ca.PEM())}
}

// stdin and stdout begin where TLS does; what came before is told to whom asks for it, and escaped.
func TestConnectStartTLS(t *testing.T) {
	t.Parallel()
	p := mailServer(t, "mail.example \x1b[31mready", "220 go ahead")
	args := append([]string{"connect", p.address, "--starttls", "smtp", "--cafile", p.cafile}, local...)
	r := runWith(t.Context(), strings.NewReader("hello"), args...)
	require.Equal(t, exitDone, r.code, r.stderr)
	require.Equal(t, "hello", r.stdout)
	require.Empty(t, r.stderr)

	r = runWith(t.Context(), strings.NewReader("hello"), append(args, "-v")...)
	require.Equal(t, exitDone, r.code, r.stderr)
	require.Equal(t, "hello", r.stdout)
	require.Regexp(t, `(?m)^ *[0-9.]+ ms  greeting +220 mail.example \\x1b\[31mready$`, r.stderr)
	require.NotContains(t, r.stderr, "\x1b")
}

func TestStatusAndDiagnoseStartTLS(t *testing.T) {
	t.Parallel()
	p := mailServer(t, "mail.example \x1b[31mready", "220 go ahead")
	for _, command := range []string{"status", "diagnose"} {
		r := runLocal(t, command+" --starttls smtp", p.address, "--cafile", p.cafile)
		require.Equal(t, exitDone, r.code, r.stderr)
		require.Regexp(t, `greeting +220 mail.example \\x1b\[31mready`, r.stdout)
		require.NotContains(t, r.stdout, "\x1b")

		r = runLocal(t, command+" --starttls smtp", p.address)
		require.Equal(t, exitCertificate, r.code, "TLS is judged as ever: %s", r.stderr)
		r = runLocal(t, command, p.address, "--cafile", p.cafile)
		require.Equal(t, exitHandshake, r.code, r.stderr)
		require.Contains(t, r.stderr, "(NOT_TLS)")
		require.Contains(t, r.stderr, "--starttls", "the remedy")
	}
	session, _, failure := statusJSON(t, runLocal(t, "status -o json --starttls smtp", p.address, "--cafile", p.cafile).stdout)
	require.Nil(t, failure)
	require.Equal(t, "220 mail.example \x1b[31mready\r\n", string(session.GetGreeting()))
	reply := &pb.ProbeResponse{}
	require.NoError(t, protojson.Unmarshal([]byte(runLocal(t, "diagnose -o json --starttls smtp", p.address, "--cafile", p.cafile).stdout), reply))
	require.Equal(t, session.GetGreeting(), reply.GetGreeting())
}

// A peer that does not want TLS is quoted, and gets nothing of what is piped.
func TestStartTLSRefused(t *testing.T) {
	t.Parallel()
	p := mailServer(t, "mail.example", "454 TLS not available \x1b[31mtoday")
	for _, command := range []string{"connect", "status", "status -o json", "diagnose", "diagnose -o json"} {
		r := runLocal(t, command+" --starttls smtp", p.address, "--cafile", p.cafile)
		require.Equal(t, exitHandshake, r.code, r.stderr)
		require.Contains(t, r.stderr, "(START_TLS_REFUSED)")
		require.Contains(t, r.stderr, "454 TLS not available")
		require.NotContains(t, r.stdout+r.stderr, "\x1b")
		require.Len(t, strings.Split(strings.TrimSuffix(r.stderr, "\n"), "\n"), 3, r.stderr)
	}
}

func TestUnknownStartTLSProtocol(t *testing.T) {
	t.Parallel()
	for _, command := range []string{"connect", "status", "diagnose"} {
		r := runLocal(t, command+" --starttls gopher 127.0.0.1:1")
		require.Equal(t, exitUsage, r.code, r.stderr)
		require.Contains(t, r.stderr, "(INVALID_FIELD)")
		require.Contains(t, r.stderr, "postgres", "what there is")

		r = runLocal(t, command, "--starttls", "", "127.0.0.1:1")
		require.Equal(t, exitUsage, r.code, r.stderr)
		require.Contains(t, r.stderr, "--help")
	}
	require.Regexp(t, `(?m)^STARTTLS in +.*\bsmtp\b`, runLocal(t, "capabilities").stdout)
}
