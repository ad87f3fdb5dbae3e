package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	pb "securesocket/gen/securesocket/v1"
)

// TestThreat39StrangersWhoComeBack are of 90 addresses, each with as many connections as an
// address may have, which say nothing and come again as soon as they are closed: together
// they want more places than strangers have. Who comes from elsewhere, and who comes over a
// Unix socket, is served at his first attempt.
func TestThreat39StrangersWhoComeBack(t *testing.T) {
	t.Parallel()
	const addresses, each = 90, 16
	dir := t.TempDir()
	socket, admin := "unix://"+filepath.Join(dir, "s.sock"), filepath.Join(dir, "admin.sock")
	config := filepath.Join(dir, "config.yaml")
	require.NoError(t, os.WriteFile(config, []byte("admin: {listen: \"unix://"+admin+"\"}\n"), 0o600))
	d := startFronted(t, "--config", config, "--listen", socket, "--administrator", "uid:"+itoa(os.Getuid()), "--callers-allow", "uid:*")
	operator := operator{addr: &net.UnixAddr{Name: admin, Net: "unix"}, host: "whatever"}
	value := func(metric string) string {
		m := regexp.MustCompile(`(?m)^securesocket_` + metric + ` (\S+)$`).FindStringSubmatch(operator.ask(t, "GET", "/metrics").body)
		require.NotNil(t, m, metric)
		return m[1]
	}

	ctx, stop := context.WithCancel(t.Context())
	var flood sync.WaitGroup
	defer flood.Wait()
	defer stop()
	var closed atomic.Int64
	for i := range addresses * each {
		dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 1, byte(i/each+1))}}
		flood.Go(func() {
			for ctx.Err() == nil {
				if conn, err := dialer.DialContext(ctx, "tcp", d.addr); err == nil {
					release := context.AfterFunc(ctx, func() { _ = conn.Close() })
					_, _ = conn.Read(make([]byte, 1))
					release()
					_ = conn.Close()
				}
				closed.Add(1)
				select { // as fast as that: it is what is tested
				case <-ctx.Done():
				case <-time.After(10 * time.Millisecond):
				}
			}
		})
	}
	soon(t, "no place is free", func() bool { return closed.Load() > 2*addresses*each })
	served := func(from string, c pb.SecureSocketServiceClient) {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		_, err := c.GetCapabilities(ctx, &pb.GetCapabilitiesRequest{})
		require.NoError(t, err, "%s, beside %d that were closed", from, closed.Load())
	}
	for i := range 10 {
		served(fmt.Sprintf("attempt %d from a clean address", i), d.client(t))
		cc, err := grpc.NewClient(socket, grpc.WithTransportCredentials(insecure.NewCredentials()))
		require.NoError(t, err)
		t.Cleanup(func() { _ = cc.Close() })
		served(fmt.Sprintf("attempt %d over the Unix socket", i), pb.NewSecureSocketServiceClient(cc))
	}
	stop()
	flood.Wait()
	soon(t, "all strangers are gone", func() bool { return value("api_connections_unclaimed") == "0" })
	require.Equal(t, "20", value("api_connections"))
}
