package main

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"securesocket/tlsengine/gallery"
)

// Every command line of the gallery's page ends as its row says.
func TestGalleryCommands(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	g, err := gallery.New(gallery.Config{Address: l.Addr().String()})
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- g.Serve(ctx, l) }()
	defer func() { cancel(); <-served }()
	root := filepath.Join(t.TempDir(), "root.pem")
	require.NoError(t, os.WriteFile(root, g.RootPEM(), 0o600))

	// Within the test, which ends the gallery.
	t.Run("hosts", func(t *testing.T) {
		for _, h := range g.Hosts() {
			if h.Silent {
				continue // it ends by the handshake's clock alone; server's test of the gallery has a short one
			}
			t.Run(h.Name, func(t *testing.T) {
				t.Parallel()
				stdin, args := shellWords(t, g.Command(h))
				for i, arg := range args {
					if arg == "root.pem" {
						args[i] = root
					}
				}
				r := runWith(t.Context(), strings.NewReader(stdin), args...)
				if h.Reason == "" {
					require.Equal(t, exitDone, r.code, r.stderr)
					require.Empty(t, r.stderr)
				} else {
					require.NotEqual(t, exitDone, r.code)
					require.Contains(t, r.stderr, "("+h.Reason+")")
				}
				require.Equal(t, h.Group == gallery.GroupEnding, args[3] == "connect")
				for _, p := range h.Problems {
					require.Contains(t, r.stdout, strings.SplitN(p.String(), "@", 2)[0])
				}
				if h.Name == "deep.gallery.test" || h.Name == "cross-signed.gallery.test" {
					require.Equal(t, strings.Count(r.stdout, "subject  ")-2, strings.Count(r.stdout, ": good by"),
						"leaf and root aside, each issuer's list is asked")
				}
			})
		}
	})
}

// shellWords are what a shell makes of the gallery's command lines.
func shellWords(t *testing.T, line string) (stdin string, args []string) {
	t.Helper()
	if before, after, piped := strings.Cut(line, " | "); piped {
		text, ok := strings.CutPrefix(before, "printf ")
		require.True(t, ok, line)
		stdin, line = strings.NewReplacer(`\r`, "\r", `\n`, "\n").Replace(strings.Trim(text, "'")), after
	}
	for _, word := range strings.Fields(line) {
		args = append(args, strings.Trim(word, "'"))
	}
	require.Equal(t, "securesocket", args[0])
	return stdin, args[1:]
}
