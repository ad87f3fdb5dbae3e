package main

import (
	"net"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"securesocket/tlsengine/tlstest"
)

// TestUnreachableSaysWhatMendsIt: each way not to be there has a remedy of its own.
func TestUnreachableSaysWhatMendsIt(t *testing.T) {
	t.Parallel()
	deaf, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	none := deaf.Addr().String()
	require.NoError(t, deaf.Close())
	seen := map[string]string{}
	for name, address := range map[string]string{
		"nothing at the port": "grpc://" + none,
		"another file":        "unix://" + writeFile(t, nil),
	} {
		r := runWith(t.Context(), strings.NewReader(""), "capabilities", "--server", address)
		require.Equal(t, exitNetwork, r.code, r.stderr)
		require.Contains(t, r.stderr, "cannot be reached", name)
		_, remedy, ok := strings.Cut(r.stderr, "remedy: ")
		require.True(t, ok, r.stderr)
		require.Empty(t, seen[remedy], name)
		require.Contains(t, remedy, "--server", name)
		seen[remedy] = name
	}
	f := serviceFlags{server: "grpc://host.example:1"}
	for _, message := range []string{"lookup host.example: no such host", "connect: no route to host", "read: connection reset by peer"} {
		remedy := f.reach(message)
		require.Empty(t, seen[remedy], message)
		seen[remedy] = message
	}
	path := filepath.Join(t.TempDir(), "none")
	r := runWith(t.Context(), strings.NewReader(""), "capabilities", "--server", "unix://"+path)
	require.Contains(t, r.stderr, "start it", r.stderr)
}

// TestNoRoomIsTold: it is no mistake of whoever asks, and passes.
func TestNoRoomIsTold(t *testing.T) {
	t.Parallel()
	address := tlstest.ServeRaw(t, func(conn net.Conn) { _ = conn.(*net.TCPConn).SetLinger(0) })
	path := filepath.Join(t.TempDir(), "s")
	listener, err := net.Listen("unix", path)
	require.NoError(t, err)
	defer listener.Close()
	go func() { // ends with the listener
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			_ = conn.Close()
		}
	}()
	for _, server := range []string{"grpc://" + address, "grpcs://" + address, "unix://" + path} {
		r := runWith(t.Context(), strings.NewReader(""), "capabilities", "--server", server)
		require.Equal(t, exitNetwork, r.code, r.stderr)
		require.Contains(t, r.stderr, "side: service", server)
		require.Contains(t, r.stderr, "remedy: try again in 10 s", server)
	}
}

// TestAMistakeNamesItsPlace: the flag, the variable or the argument.
func TestAMistakeNamesItsPlace(t *testing.T) { //nolint:paralleltest // it sets a variable
	for _, c := range []struct{ place, variable, line string }{
		{"--server", "", "capabilities --server nonsense"},
		{"--server", "alike", "capabilities --server nonsense"},
		{"$SECURESOCKET_ADDR", "nonsense", "capabilities"},
		{"HOST:PORT", "", "status https://example.org/"},
		{"HOST:PORT", "", "status https://example.org:8443"},
		{"argument", "", "capabilities more"},
	} {
		t.Setenv(addressVariable, c.variable)
		r := runWith(t.Context(), strings.NewReader(""), strings.Fields(c.line)...)
		require.Equal(t, exitUsage, r.code, r.stderr)
		require.Contains(t, r.stderr, c.place, c.line)
	}
}
