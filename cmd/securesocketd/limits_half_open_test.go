package main

import (
	"fmt"
	"net"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	pb "securesocket/gen/securesocket/v1"
	"securesocket/server/servertest/h2attack"
)

// TestThreat39HalfOpenConnections has thousands of connections, of many addresses and of
// one, on which no handshake ever begins, and then one of a caller: he is served.
func TestThreat39HalfOpenConnections(t *testing.T) {
	t.Parallel()
	var limit syscall.Rlimit
	require.NoError(t, syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit))
	sockets := int(min(5_000, (limit.Cur-500)/2)) //nolint:gosec // small
	if testing.Short() {
		sockets = min(sockets, 1_500)
	}
	for name, address := range map[string]func(i int) string{
		"many addresses":   func(i int) string { return fmt.Sprintf("127.1.%d.%d", i/16/250, i/16%250+1) },
		"the caller's own": func(int) string { return "127.0.0.1" },
	} {
		t.Run(name, func(t *testing.T) { //nolint:paralleltest // one after the other, for their descriptors
			d := startFronted(t)
			before := d.resident(t)
			var conns []net.Conn
			defer func() {
				for _, conn := range conns {
					_ = conn.Close()
				}
			}()
			for i := range sockets {
				conn, err := (&net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(address(i))}}).DialContext(t.Context(), "tcp", d.addr)
				if err == nil { // otherwise it was reset before it was whole
					conns = append(conns, conn)
				}
			}
			require.Greater(t, len(conns), sockets/2)
			began, attempts := time.Now(), 0
			require.Eventually(t, func() bool {
				attempts++
				_, err := d.client(t).CreateSession(t.Context(), &pb.CreateSessionRequest{})
				return err == nil
			}, patience, time.Millisecond)
			t.Logf("served after %v, at attempt %d, beside %d; memory +%d KiB", time.Since(began), attempts, len(conns), (d.resident(t)-before)>>10)
			require.Less(t, d.resident(t)-before, floodMemory)
		})
	}
}

// TestThreat39SlowStrangers are those who get as far as TLS, or to half a preface, and no
// further: the service closes them by itself.
func TestThreat39SlowStrangers(t *testing.T) {
	t.Parallel()
	d := startFronted(t, "--timeouts-setup", "1s")
	plain := func() (net.Conn, error) { return net.Dial("tcp", d.addr) }
	for name, attack := range map[string]func() (h2attack.Result, error){
		"without a handshake": func() (h2attack.Result, error) {
			return h2attack.HalfOpen(t.Context(), plain, h2attack.Options{Count: 10, Timeout: patience})
		},
		"without a preface": func() (h2attack.Result, error) {
			return h2attack.HalfOpen(t.Context(), d.another(), h2attack.Options{Count: 10, Timeout: patience})
		},
		"byte by byte": func() (h2attack.Result, error) {
			return h2attack.SlowPreface(t.Context(), d.another(), h2attack.Options{Timeout: patience})
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, err := attack()
			require.NoError(t, err)
			require.NotEqual(t, h2attack.EndOpen, r.End)
			require.Positive(t, r.Ended)
			_, err = d.client(t).CreateSession(t.Context(), &pb.CreateSessionRequest{})
			require.NoError(t, err)
		})
	}
}
