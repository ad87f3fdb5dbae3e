package client_test

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"

	"securesocket/client"
	pb "securesocket/gen/securesocket/v1"
)

func TestAddressRefused(t *testing.T) {
	t.Parallel()
	for _, address := range []string{
		"", "localhost:1", "unix://", "unix:///", "unix://host/path", "unix:relative", "grpc://", "grpc://host", "grpc://:1",
		"grpc://host:0", "grpc://host:65536", "grpc://host:port", "grpc://host:1/path", "grpc://user@host:1", "grpc://host:1?q",
		"grpc://host:1#f", "grpcs://", "grpcs://host", "grpcs://host:0", "grpcs://host:1/path", "grpcs://user@host:1", "https://host:1", "grpc://[::1:1", "%",
	} {
		c, err := client.Dial(address)
		require.Nil(t, c, address)
		var problem *client.AddressError
		require.ErrorAs(t, err, &problem, address)
		require.Equal(t, address, problem.Address)
	}
}

func TestAddressReachesTheDialer(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]string{
		"unix:///run/securesocket.sock": "/run/securesocket.sock",
		"grpc://localhost:7443":         "localhost:7443",
		"grpc://[::1]:7443/":            "[::1]:7443",
		"grpcs://localhost:7443":        "localhost:7443",
		"grpcs://[::1]:7443/":           "[::1]:7443",
	} {
		got := make(chan string, 1)
		c, err := client.Dial(address, client.WithContextDialer(func(_ context.Context, addr string) (net.Conn, error) {
			select {
			case got <- addr:
			default:
			}
			return nil, os.ErrNotExist
		}))
		require.NoError(t, err)
		_, err = c.Capabilities(t.Context())
		require.Error(t, err)
		require.NoError(t, c.Close())
		require.NoError(t, c.Close())
		require.Equal(t, want, <-got)
	}
}

// TestRealListeners goes the whole way without a hook.
func TestRealListeners(t *testing.T) {
	t.Parallel()
	unix := filepath.Join(t.TempDir(), "s")
	for network, name := range map[string]string{"unix": unix, "tcp": "127.0.0.1:0"} {
		listener, err := net.Listen(network, name)
		require.NoError(t, err)
		f := &fake{script: echoes, maxStreams: 1, server: grpc.NewServer()}
		pb.RegisterSecureSocketServiceServer(f.server, f)
		served := make(chan struct{})
		go func() {
			defer close(served)
			_ = f.server.Serve(listener)
		}()
		address := "unix://" + unix
		if network == "tcp" {
			address = "grpc://" + listener.Addr().String()
		}
		c, err := client.Dial(address)
		require.NoError(t, err)
		conn, err := c.DialContext(t.Context(), "tcp", "example.com:443")
		require.NoError(t, err)
		require.NoError(t, conn.Close())
		require.NoError(t, c.Close())
		f.server.Stop()
		<-served
	}
}
