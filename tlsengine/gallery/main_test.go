package gallery_test

import (
	"context"
	"net"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"securesocket/tlsengine/gallery"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// open shows a gallery until the end of the test.
func open(tb testing.TB) *gallery.Gallery {
	tb.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(tb, err)
	g, err := gallery.New(gallery.Config{Address: l.Addr().String()})
	if err != nil {
		_ = l.Close()
	}
	require.NoError(tb, err)
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- g.Serve(ctx, l) }()
	tb.Cleanup(func() {
		cancel()
		require.NoError(tb, <-served)
	})
	return g
}

func address(g *gallery.Gallery) string {
	url := g.URL()
	return url[len("http://") : len(url)-1]
}

func dial(tb testing.TB, g *gallery.Gallery) net.Conn {
	tb.Helper()
	conn, err := (&net.Dialer{}).DialContext(tb.Context(), "tcp", address(g))
	require.NoError(tb, err)
	tb.Cleanup(func() { _ = conn.Close() })
	return conn
}
