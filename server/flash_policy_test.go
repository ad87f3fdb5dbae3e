package server_test

import (
	"bufio"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	pb "securesocket/gen/securesocket/v1"
	"securesocket/server"
	"securesocket/server/servertest"
	"securesocket/session"
	"securesocket/session/flashpolicy"
	"securesocket/tlsengine/tlstest"
)

func flashy(t *testing.T) servertest.Option {
	t.Helper()
	check, err := flashpolicy.New(flashpolicy.Config{Timeout: 2 * time.Second})
	require.NoError(t, err)
	return func(sc *session.Config, _ *server.Config) { sc.Flash = check }
}

// policyPeer answers the request for a policy file with a file, and everybody else with hello.
func policyPeer(t *testing.T, file string) string {
	t.Helper()
	return tlstest.ServeRaw(t, func(conn net.Conn) {
		_ = conn.SetReadDeadline(time.Now().Add(300 * time.Millisecond))
		if line, err := bufio.NewReader(conn).ReadString(0); err == nil && line == "<policy-file-request/>\x00" {
			_, _ = conn.Write(append([]byte(file), 0))
			return
		}
		_, _ = conn.Write([]byte("hello"))
	})
}

// The check is the operator's to turn on: then a plain connect goes where a policy file lets it, and says otherwise why
// not, before it dials for the caller.
func TestFlashPolicyDecides(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ file, rule string }{
		"granted":     {`<cross-domain-policy><allow-access-from domain="*" to-ports="*"/></cross-domain-policy>`, ""},
		"not granted": {`<cross-domain-policy><allow-access-from domain="other.example" to-ports="*"/></cross-domain-policy>`, flashpolicy.RuleNotAllowed},
		"malformed":   {`<cross-domain-policy><allow-access-from`, flashpolicy.RuleMalformed},
		"none":        {"", flashpolicy.RuleNone},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			host, port := hostPort(t, policyPeer(t, c.file))
			for _, on := range []bool{false, true} {
				var opts []servertest.Option
				if on {
					opts = append(opts, flashy(t))
				}
				client := servertest.Start(t, opts...).Client(t)
				s := newIdle(t.Context(), t, client, nil)
				_, err := client.Connect(t.Context(), &pb.ConnectRequest{SessionId: s.id, Host: host, Port: port, Plain: true})
				if !on || c.rule == "" {
					require.NoError(t, err)
					continue
				}
				reason, metadata := infoOf(t, err)
				require.Equal(t, "EGRESS_DENIED", reason)
				require.Equal(t, c.rule, metadata["rule"])
			}
		})
	}
}

// The port of the file is judged as the target's is, also where a proxy dials it.
func TestFlashPolicyPortIsJudged(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var asked []string
	proxy := tlstest.ServeRaw(t, func(conn net.Conn) {
		line, _ := bufio.NewReader(conn).ReadString('\n')
		mu.Lock()
		asked = append(asked, line)
		mu.Unlock()
		_, _ = conn.Write([]byte("HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n"))
	})
	host, port := hostPort(t, proxy)
	_, policy := underPolicy(policyOf(t, "allow:\n- {to: [\"127.0.0.1\"]}\n- {to: [\"93.184.216.34\"], ports: 443}\ndeny:\n- {to: [\"93.184.216.34\"], ports: 843}\n"))
	c := servertest.Start(t, policy, flashy(t)).Client(t)
	s := newIdle(t.Context(), t, c, nil, &pb.SessionSettings{Proxy: &pb.ProxySettings{Kind: pb.ProxySettings_KIND_HTTP_CONNECT, Host: host, Port: port}})
	_, err := c.Connect(t.Context(), &pb.ConnectRequest{SessionId: s.id, Host: "93.184.216.34", Port: 443})
	require.Error(t, err)
	mu.Lock()
	defer mu.Unlock()
	require.NotEmpty(t, asked)
	for _, line := range asked {
		require.NotContains(t, line, ":843", "denied by the policy, and asked of the proxy")
	}
}
