package main

import (
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"securesocket/cmd/securesocketd/internal/config"
	"securesocket/session"
)

// TestPolicyIsInForceSince its file was read: one that cannot be used makes it no younger.
func TestPolicyIsInForceSince(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "policy.yaml")
	write := func(policy string) { require.NoError(t, os.WriteFile(file, []byte(policy), 0o600)) }
	write(loopback)
	r := session.NewRegistry(session.Config{})
	t.Cleanup(r.Close)
	var c config.Config
	c.Egress.Policy = file
	b, err := newRulebook(settings{&c}, nil, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	began := time.Unix(1, 0)
	b.at.Store(began.UnixNano())

	write("mode: none\n")
	b.reload(r, "asked for")
	require.Equal(t, began, b.since())
	write(loopback)
	b.reload(r, "asked for")
	require.True(t, b.since().After(began))
}
