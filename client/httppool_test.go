package client

import (
	"context"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestDialThatEndsMeanwhile: a dial that ends between a request's look and its wait is as good as one that it waits for.
func TestDialThatEndsMeanwhile(t *testing.T) {
	t.Parallel()
	const address = "example.com:443"
	p := httpPool{idle: time.Hour}
	t.Cleanup(p.closeIdle)
	dials := 0
	dial := func(context.Context, string) (*http.ClientConn, net.Conn, error) {
		dials++
		near, far := net.Pipe()
		t.Cleanup(func() { _ = far.Close() })
		return nil, near, nil
	}
	_, http1, late := p.reserve(address)
	require.False(t, http1)
	conn, dialled, err := p.get(t.Context(), address, dial)
	require.NoError(t, err)
	require.Nil(t, conn)
	require.True(t, dialled)

	joined, err := p.join(t.Context(), address, late, dial)
	require.NoError(t, err)
	require.False(t, joined)
	require.Equal(t, 1, dials)
}
