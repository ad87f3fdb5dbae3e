package main

import (
	"encoding/json"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/status"

	pb "securesocket/gen/securesocket/v1"
	"securesocket/tlsengine/tlstest"
)

// ruled is a daemon with a policy file that the test changes. It is called by who
// runs it, and so administers it, and by anybody.
type ruled struct {
	*daemon

	tb               testing.TB
	file             string
	operator, anyone diagnosed
	ca               *tlstest.CA
}

// diagnosed is both services that one caller calls.
type diagnosed struct {
	pb.SecureSocketServiceClient
	pb.DiagnosticServiceClient
}

// startRuled runs a daemon with a policy.
func startRuled(tb testing.TB, policy string, args ...string) *ruled {
	tb.Helper()
	r := &ruled{tb: tb, file: filepath.Join(tb.TempDir(), "policy.yaml"), ca: tlstest.NewCA(tb)}
	r.write(policy)
	r.daemon = start(tb, 2, nil, append([]string{
		"--egress-policy", r.file, "--log-format", "json", "--insecure",
		"--listen", "unix://" + filepath.Join(tb.TempDir(), "s.sock"), "--listen", "grpc://127.0.0.1:0",
	}, args...)...)
	operator, anyone := connection(tb, r.daemon), dial(tb, r.ready[1])
	r.operator = diagnosed{pb.NewSecureSocketServiceClient(operator), pb.NewDiagnosticServiceClient(operator)}
	r.anyone = diagnosed{pb.NewSecureSocketServiceClient(anyone), pb.NewDiagnosticServiceClient(anyone)}
	return r
}

// write replaces the file in one step, as operators should.
func (r *ruled) write(policy string) {
	r.tb.Helper()
	next := r.file + ".next"
	require.NoError(r.tb, os.WriteFile(next, []byte(policy), 0o600))
	require.NoError(r.tb, os.Rename(next, r.file))
}

// lines are the lines of the log with a message.
func (r *ruled) lines(message string) (out []map[string]any) {
	r.tb.Helper()
	text := r.log()
	text = text[:strings.LastIndexByte(text, '\n')+1] // the last may be on its way
	for line := range strings.Lines(text) {
		var fields map[string]any
		require.NoError(r.tb, json.Unmarshal([]byte(line), &fields), "%q", line)
		if fields["msg"] == message {
			out = append(out, fields)
		}
	}
	return out
}

// line waits for the nth line with a message.
func (r *ruled) line(message string, nth int) map[string]any {
	r.tb.Helper()
	require.Eventually(r.tb, func() bool { return len(r.lines(message)) >= nth }, patience, 5*time.Millisecond, "%s\n%s", message, r.log())
	return r.lines(message)[nth-1]
}

// connect is why a caller does not reach an address, "" where he does, and of which
// policy that is.
func (r *ruled) connect(c pb.SecureSocketServiceClient, addr string) (reason, rule, revision string) {
	r.tb.Helper()
	host, port, err := net.SplitHostPort(addr)
	require.NoError(r.tb, err)
	made, err := c.CreateSession(r.tb.Context(), &pb.CreateSessionRequest{})
	require.NoError(r.tb, err)
	id := made.GetSession().GetSessionId()
	_, err = c.Connect(r.tb.Context(), &pb.ConnectRequest{SessionId: id, Host: host, Port: atoi32(r.tb, port), Plain: true})
	for _, d := range status.Convert(err).Details() {
		if info, ok := d.(*errdetails.ErrorInfo); ok {
			reason, rule, revision = info.GetReason(), info.GetMetadata()["rule"], info.GetMetadata()["policy_revision"]
		}
	}
	_, err = c.DeleteSession(r.tb.Context(), &pb.DeleteSessionRequest{SessionId: id})
	require.NoError(r.tb, err)
	return reason, rule, revision
}

// echo is a peer in clear that tells how its connections ended.
func echo(tb testing.TB) (addr string, ends <-chan error) {
	tb.Helper()
	ended := make(chan error, 64)
	return tlstest.ServeRaw(tb, func(conn net.Conn) {
		_, err := io.Copy(conn, conn)
		select {
		case ended <- err:
		default: // nobody looks
		}
	}), ended
}
