package main

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	pb "securesocket/gen/securesocket/v1"
)

var (
	// Other programs of the daemon's machine, by addresses of each kind.
	nearBehindTheWall = []string{"127.0.0.1:443", "127.9.9.9:443", "192.0.2.1:443", "192.0.2.10:443", "[::1]:443", "[2001:db8::1]:443"}
	farBehindTheWall  = []string{
		"10.9.0.9:443", "10.1.0.9:80", "100.64.0.9:443", "169.254.169.254:80", "172.16.0.9:443", "192.168.77.9:443",
		"[fd77::9]:443", "[fd00:ec2::254]:80",
	}
	resolver = "127.0.0.53:53"
	meant    = []string{"93.184.77.9:443", "[2600:77::9]:443", "10.1.0.9:443"} // the last by a rule of its own
)

// Threat 11. Whoever got past the egress policy, which allows everything here, meets the ruleset of the manual: by the
// service's user, by its source addresses, and by both. What is meant is reached, from the source addresses.
func TestThreat11SecondWall(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("needs root, to make a network namespace")
	}
	for _, program := range []string{"ip", "unshare", "nsenter", "nft"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skip("needs " + program)
		}
	}
	if out, err := exec.CommandContext(t.Context(), "unshare", "-n", "sh", "-c", farNetwork+"nft add table inet x").CombinedOutput(); err != nil {
		t.Skipf("this machine makes no network namespaces with interfaces and nftables: %v: %s", err, out)
	}
	sources := []string{"--egress-source-addresses", "192.0.2.10", "--egress-source-addresses", "2001:db8::10"}
	fromThem := []string{"192.0.2.10", "2001:db8::10"}
	for name, c := range map[string]struct {
		without  string // the rules of the manual that are left out
		args     []string
		stands   bool
		resolver bool     // is reached, since the process has to
		from     []string // nil: from anywhere
	}{
		"by user":               {"saddr", nil, true, true, nil},
		"by source":             {"skuid", sources, true, false, fromThem},
		"by both":               {"no rule has these words", sources, true, false, fromThem},
		"by a source not taken": {"skuid", nil, false, true, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var v visits
			far := v.farHost(t, append(slices.Clone(farBehindTheWall), meant...))
			path := filepath.Join(t.TempDir(), "s.sock") // which leads into the namespace
			args := append([]string{"--listen", "unix://" + path, "--egress-allow", "0.0.0.0/0", "--egress-allow", "::/0"}, c.args...)
			d := start(t, 1, func(cmd *exec.Cmd) {
				cmd.Path = "/bin/sh"
				cmd.Args = append([]string{"sh", "-c", `exec unshare -n sh -c "$0" sh "$@"`, nearNetwork, far, rulesetOfTheManual(t, c.without), binary}, args...)
			})
			v.listen(t, fmt.Sprintf("/proc/%d/ns/net", d.cmd.Process.Pid), append(slices.Clone(nearBehindTheWall), resolver))
			client := pb.NewSecureSocketServiceClient(connection(t, d))
			connect := func(addr string) error {
				host, port, err := net.SplitHostPort(addr)
				require.NoError(t, err)
				made, err := client.CreateSession(t.Context(), &pb.CreateSessionRequest{})
				require.NoError(t, err)
				_, err = client.Connect(t.Context(), &pb.ConnectRequest{SessionId: made.GetSession().GetSessionId(), Host: host, Port: atoi32(t, port), Plain: true})
				return err
			}
			var reached []string
			for _, addr := range slices.Concat(nearBehindTheWall, farBehindTheWall, meant, []string{resolver}) {
				err := connect(addr)
				if !c.stands || slices.Contains(meant, addr) || addr == resolver && c.resolver {
					require.NoError(t, err, addr)
					reached = append(reached, addr)
					continue
				}
				// Said by the kernel, of what the wall rejects: not by the policy, nor by a clock.
				require.Contains(t, []string{"HOST_UNREACHABLE", "NETWORK_UNREACHABLE"}, reasonOf(t, err), addr)
			}
			require.Eventually(t, func() bool { return len(v.seen()) == len(reached) }, patience, 5*time.Millisecond)
			for addr, from := range v.seen() {
				require.Contains(t, reached, addr)
				require.True(t, c.from == nil || slices.Contains(c.from, from), "%s from %s", addr, from)
			}
		})
	}
}

// rulesetOfTheManual is the file that docs/operations.md shows, for this user, without the rules that have a word.
func rulesetOfTheManual(tb testing.TB, without string) (file string) {
	tb.Helper()
	manual, err := os.ReadFile("../../docs/operations.md")
	require.NoError(tb, err)
	_, rules, found := strings.Cut(string(manual), "```nft\n")
	require.True(tb, found)
	rules, _, found = strings.Cut(rules, "```\n")
	require.True(tb, found)
	require.Contains(tb, rules, `skuid "securesocket"`)
	rules = strings.ReplaceAll(rules, `"securesocket"`, itoa(os.Geteuid()))
	lines := slices.DeleteFunc(strings.SplitAfter(rules, "\n"), func(line string) bool { return strings.Contains(line, without) })
	file = filepath.Join(tb.TempDir(), "wall.nft")
	require.NoError(tb, os.WriteFile(file, []byte(strings.Join(lines, "")), 0o600))
	return file
}
