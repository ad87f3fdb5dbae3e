package client_test

import (
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"securesocket/client"
)

// TestStreamsSpread: no HTTP/2 connection has more streams than the service takes, and all of them work at once.
func TestStreamsSpread(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		options      []client.Option
		limit        int32
		asked, conns int32
	}{
		"the service's limit":     {nil, 2, 1, 1 + 3}, // one is for unary calls
		"the caller's limit":      {[]client.Option{client.WithMaxStreamsPerConn(3)}, 2, 0, 2},
		"no limit named":          {nil, 0, 1, 1 + 1},
		"all share one":           {[]client.Option{client.WithSharedConnection()}, 10, 1, 1},
		"half of it is for calls": {[]client.Option{client.WithSharedConnection()}, 4, 1, 1 + 1},
		"no room beside calls":    {[]client.Option{client.WithSharedConnection()}, 1, 1, 1 + 5},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, f := startFake(t, echoes, tc.options...)
			f.maxStreams = tc.limit
			require.Zero(t, f.conns.Load(), "nothing is connected before it is used")
			conns := make([]*client.Conn, 5)
			var dials sync.WaitGroup
			for i := range conns {
				dials.Go(func() {
					conn, err := c.DialContext(t.Context(), "tcp", "example.com:443")
					if err != nil {
						t.Error(err)
						return
					}
					conns[i] = conn
				})
			}
			dials.Wait()
			require.Equal(t, tc.asked, f.asked.Load())
			require.Equal(t, tc.conns, f.conns.Load())
			for _, conn := range conns {
				require.NoError(t, conn.Close())
			}
			// What was given back is used again.
			for range 5 {
				conn, err := c.DialContext(t.Context(), "tcp", "example.com:443")
				require.NoError(t, err)
				require.NoError(t, conn.Close())
			}
			require.Equal(t, tc.conns, f.conns.Load())
		})
	}
}

func TestCapabilities(t *testing.T) {
	t.Parallel()
	c, f := startFake(t, echoes)
	answer, err := c.Capabilities(t.Context())
	require.NoError(t, err)
	require.True(t, answer.GetSecureSockets())
	f.server.Stop()
	_, err = c.Capabilities(t.Context())
	require.IsType(t, new(client.Error), err)
}
