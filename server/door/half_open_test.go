package door_test

import (
	"fmt"
	"net"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/credentials"

	"securesocket/server/door"
)

// descriptors raises the limit to what it may be and returns it.
func descriptors(tb testing.TB) int {
	tb.Helper()
	var limit syscall.Rlimit
	require.NoError(tb, syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit))
	limit.Cur = limit.Max
	require.NoError(tb, syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit))
	return int(min(limit.Cur, 1<<20)) //nolint:gosec // small
}

// TestThreat39HalfOpenConnections has 5,000 sockets on which the TLS handshake
// never begins, of many addresses and of the caller's own, while a caller
// connects.
func TestThreat39HalfOpenConnections(t *testing.T) {
	t.Parallel()
	sockets := min(5000, (descriptors(t)-1000)/2) // each has two ends here
	if testing.Short() {
		sockets = min(sockets, 1500)
	}
	serverTLS, clientTLS := tlsPair(t)
	for name, address := range map[string]func(i int) string{
		"many addresses":     func(i int) string { return fmt.Sprintf("127.1.%d.%d", i/16/250, i/16%250+1) },
		"the caller's own":   func(int) string { return "127.0.0.1" },
		"an address for all": func(int) string { return "127.2.0.1" },
	} {
		t.Run(name, func(t *testing.T) { //nolint:paralleltest // one after the other, for their descriptors
			d := door.New(door.Config{Max: 4096})
			addr := serve(t, d, listen(t, "tcp"), credentials.NewTLS(serverTLS))
			conns := make([]net.Conn, 0, sockets)
			defer func() {
				for _, c := range conns {
					_ = c.Close()
				}
			}()
			for i := range sockets {
				dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(address(i))}}
				c, err := dialer.DialContext(t.Context(), "tcp", addr.String())
				if err != nil { // reset before it was whole
					continue
				}
				conns = append(conns, c)
			}
			require.Greater(t, len(conns), sockets/2)
			s := d.Stats()
			require.LessOrEqual(t, s.Unclaimed, 1024)
			begin := time.Now()
			ctx := as(t.Context(), "anna")
			var attempts int
			eventually(t, func() bool {
				attempts++
				return check(ctx, client(t, addr, "127.0.0.1", credentials.NewTLS(clientTLS))) == nil
			})
			t.Logf("the caller was served after %v, at attempt %d, beside %d: %+v", time.Since(begin), attempts, len(conns), d.Stats())
		})
	}
}
