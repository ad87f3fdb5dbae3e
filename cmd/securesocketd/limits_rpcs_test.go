package main

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	pb "securesocket/gen/securesocket/v1"
)

// TestLimitOfRPCs: a caller has so many RPCs at once, over all of his connections; others
// have theirs, and he has them again when his have ended.
func TestLimitOfRPCs(t *testing.T) {
	t.Parallel()
	d := startFronted(t, "--limits-sessions-per-caller", "1") // and so 1,026 RPCs
	const most = 2*1 + 1024
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	c := d.client(t)
	_, err := c.GetCapabilities(ctx, &pb.GetCapabilitiesRequest{}) // it is known whose connection it is
	require.NoError(t, err)
	for range most {
		_, err := c.Attach(ctx)
		require.NoError(t, err)
	}
	soon(t, "there is no room for another", func() bool {
		_, err := c.GetCapabilities(t.Context(), &pb.GetCapabilitiesRequest{})
		return err != nil && reasonOf(t, err) == "LIMIT"
	})
	neighbour := pb.NewSecureSocketServiceClient(d.connectAs(t, "other.test"))
	_, err = neighbour.GetCapabilities(t.Context(), &pb.GetCapabilitiesRequest{})
	require.NoError(t, err)
	cancel()
	soon(t, "they have ended", func() bool {
		_, err := c.GetCapabilities(t.Context(), &pb.GetCapabilitiesRequest{})
		return err == nil
	})
}
