package main

import (
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	pb "securesocket/gen/securesocket/v1"
)

// threeInterfaces makes the addresses of a network namespace, in which the daemon is
// the only program. The loopback is one more.
const threeInterfaces = `set -e
ip link set lo up
for i in one two three; do
	ip link add $i type veth peer name $i-far
	ip link set $i up
	ip link set $i-far up
done
ip addr add 10.77.1.1/24 dev one
ip addr add fd77:1::1/64 dev one nodad
ip addr add 192.168.77.1/24 dev two
ip addr add 192.168.77.2/24 dev two
ip addr add 93.184.77.1/24 dev three
ip addr add 2600:77::1/64 dev three nodad
exec "$@"
`

// localAddresses are those, and others that lead to this machine.
var localAddresses = []string{
	"127.0.0.1", "127.9.9.9", "::1", "0.0.0.0", "::", "10.77.1.1", "fd77:1::1", "192.168.77.1", "192.168.77.2", "93.184.77.1", "2600:77::1",
	"::ffff:10.77.1.1", "::ffff:93.184.77.1", "::ffff:127.0.0.1",
}

// Threat 11. In a network of its own, with three interfaces: the service is reached by
// none of their addresses, nor is what it shows to operators, whatever the operator
// allows. Where nobody listens, the same addresses are reached.
func TestThreat11OwnAddressesInANetwork(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("needs root, to make a network namespace")
	}
	for _, program := range []string{"ip", "unshare", "nsenter"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skip("needs " + program)
		}
	}
	if out, err := exec.CommandContext(t.Context(), "unshare", "-n", "sh", "-c", threeInterfaces, "sh", "true").CombinedOutput(); err != nil {
		t.Skipf("this machine makes no network namespaces with interfaces: %v: %s", err, out)
	}
	for name, listen := range map[string]string{"everywhere": "0.0.0.0:7443", "everywhere in IPv6": "[::]:7443", "the loopback": "127.0.0.1:7443"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "s.sock") // which leads into the namespace
			policy := filepath.Join(t.TempDir(), "policy.yaml")
			require.NoError(t, os.WriteFile(policy, []byte("mode: enforce\n"), 0o600))
			args := []string{
				"--egress-policy", policy, "--insecure", "--listen", "unix://" + path, "--listen", "grpc://" + listen, "--admin", "127.0.0.1:7444",
				"--egress-allow", "0.0.0.0/0", "--egress-allow", "::/0", "--egress-allow", "localhost",
			}
			d := start(t, 2, func(cmd *exec.Cmd) {
				cmd.Path = "/bin/sh"
				cmd.Args = append([]string{"sh", "-c", `exec unshare -n sh -c "$0" sh "$@"`, threeInterfaces, binary}, args...)
			})
			c := pb.NewSecureSocketServiceClient(connection(t, d))
			made, err := c.CreateSession(t.Context(), &pb.CreateSessionRequest{})
			require.NoError(t, err)
			reason := func(host string, port int32) string {
				_, err := c.Connect(t.Context(), &pb.ConnectRequest{SessionId: made.GetSession().GetSessionId(), Host: host, Port: port, Plain: true})
				return reasonOf(t, err)
			}
			for _, host := range append([]string{"localhost"}, localAddresses...) {
				for _, port := range []int32{7443, 7444} {
					require.Equal(t, "EGRESS_DENIED", reason(host, port), "%s %d", host, port)
				}
			}
			// An address that the machine is given later is the service's too, also while the file is wrong.
			if name != "everywhere" {
				require.NoError(t, os.WriteFile(policy, []byte("mode: none\n"), 0o600))
				require.Eventually(t, func() bool { return strings.Contains(d.log(), "cannot be loaded") }, patience, 50*time.Millisecond)
			}
			add := exec.CommandContext(t.Context(), "nsenter", "-t", itoa(d.cmd.Process.Pid), "-n", "ip", "addr", "add", "93.184.77.99/32", "dev", "two")
			out, err := add.CombinedOutput()
			require.NoError(t, err, "%s", out)
			require.Eventually(t, func() bool {
				_, err := c.Connect(t.Context(), &pb.ConnectRequest{SessionId: made.GetSession().GetSessionId(), Host: "93.184.77.99", Port: 7443, Plain: true})
				return err != nil && reasonOf(t, err) == "EGRESS_DENIED"
			}, patience, 50*time.Millisecond)
			for _, host := range localAddresses {
				if !netip.MustParseAddr(host).IsUnspecified() {
					// The kernel may not have the new address yet; the policy lets it by.
					require.Contains(t, []string{"CONNECTION_REFUSED", "HOST_UNREACHABLE", "NETWORK_UNREACHABLE"}, reason(host, 7445), host)
				}
			}
		})
	}
}

// The daemon's own sockets by TCP, one of each kind that there is, on this machine.
func TestThreat11OwnSockets(t *testing.T) {
	t.Parallel()
	d := start(t, 3, nil, "--insecure", "--listen", "unix://"+filepath.Join(t.TempDir(), "s.sock"), "--listen", "grpc://127.0.0.1:0", "--listen", "grpc://0.0.0.0:0",
		"--egress-allow", "0.0.0.0/0", "--egress-allow", "::/0")
	c := pb.NewSecureSocketServiceClient(connection(t, d))
	made, err := c.CreateSession(t.Context(), &pb.CreateSessionRequest{})
	require.NoError(t, err)
	for _, ready := range d.ready[1:] {
		_, port, err := net.SplitHostPort(strings.TrimPrefix(ready, "grpc://"))
		require.NoError(t, err)
		hosts := []string{"127.0.0.1", "127.0.0.2", "0.0.0.0", "::", "::1", "::ffff:127.0.0.1"}
		interfaces, err := net.InterfaceAddrs()
		require.NoError(t, err)
		for _, i := range interfaces {
			hosts = append(hosts, i.(*net.IPNet).IP.String())
		}
		for _, host := range hosts {
			_, err := c.Connect(t.Context(), &pb.ConnectRequest{SessionId: made.GetSession().GetSessionId(), Host: host, Port: atoi32(t, port)})
			require.Equal(t, "EGRESS_DENIED", reasonOf(t, err), "%s %s", host, port)
		}
	}
}
