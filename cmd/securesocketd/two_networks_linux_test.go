package main

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"runtime"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// Beyond the wall: the network that the daemon's machine is a host of. Its one other host has an address of every kind.
const farNetwork = `set -e
ip link set lo up
ip link add far type veth peer name near
ip addr add 192.0.2.2/24 dev far
ip addr add 2001:db8::2/64 dev far nodad
for a in 93.184.77.9 10.1.0.9 10.9.0.9 100.64.0.9 169.254.169.254 172.16.0.9 192.168.77.9; do ip addr add $a dev lo; done
for a in 2600:77::9 fd77::9 fd00:ec2::254; do ip addr add $a dev lo nodad; done
ip link set far up
`

// The daemon's machine, which has the source addresses of the manual and others. Then the wall is loaded, if there is one.
const nearNetwork = `set -e
ip link set lo up
nsenter --net="$1" ip link set near netns $$
for a in 192.0.2.1/24 192.0.2.10/24; do ip addr add $a dev near; done
ip addr add 2001:db8::1/64 dev near nodad
ip addr add 2001:db8::10/64 dev near nodad preferred_lft 0
ip link set near up
ip route add default via 192.0.2.2
ip -6 route add default via 2001:db8::2
nft -f "$2"
nft -f "$2" # as a reload does
shift 2
exec "$@"
`

// visits are the connections that came to listeners: where to, and from which address.
type visits struct {
	mu   sync.Mutex
	from map[string]string
}

func (v *visits) seen() map[string]string {
	v.mu.Lock()
	defer v.mu.Unlock()
	out := make(map[string]string)
	for to, from := range v.from {
		out[to] = from
	}
	return out
}

// farHost makes the network beyond the wall, with listeners. Its path is good until the test ends.
func (v *visits) farHost(tb testing.TB, addrs []string) (path string) {
	tb.Helper()
	var namespace *os.File
	require.NoError(tb, inThread(func() (err error) {
		if err = unix.Unshare(unix.CLONE_NEWNET); err != nil {
			return err
		}
		if out, err := exec.CommandContext(tb.Context(), "sh", "-c", farNetwork).CombinedOutput(); err != nil {
			return fmt.Errorf("%w: %s", err, out)
		}
		namespace, err = os.Open("/proc/thread-self/ns/net")
		return err
	}))
	tb.Cleanup(func() { _ = namespace.Close() })
	path = fmt.Sprintf("/proc/%d/fd/%d", os.Getpid(), namespace.Fd())
	v.listen(tb, path, addrs)
	return path
}

// listen has listeners in the network namespace at a path, until the test ends.
func (v *visits) listen(tb testing.TB, path string, addrs []string) {
	tb.Helper()
	require.NoError(tb, inThread(func() error {
		namespace, err := os.Open(path) //nolint:gosec // the test's own
		if err != nil {
			return err
		}
		defer namespace.Close()
		if err := unix.Setns(int(namespace.Fd()), unix.CLONE_NEWNET); err != nil { //nolint:gosec // a descriptor
			return err
		}
		for _, addr := range addrs {
			l, err := net.Listen("tcp", addr)
			if err != nil {
				return err
			}
			tb.Cleanup(func() { _ = l.Close() })
			go v.serve(l, addr)
		}
		return nil
	}))
}

func (v *visits) serve(l net.Listener, addr string) {
	for {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		from, _, _ := net.SplitHostPort(conn.RemoteAddr().String())
		v.mu.Lock()
		if v.from == nil {
			v.from = make(map[string]string)
		}
		v.from[addr] = from
		v.mu.Unlock()
		_ = conn.Close()
	}
}

// inThread runs f in a thread of its own, whose namespaces it may change: the thread ends with it.
func inThread(f func() error) error {
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // and never given back
		done <- f()
	}()
	return <-done
}
