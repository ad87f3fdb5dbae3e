package starttls_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"testing"
	"time"

	"securesocket/session/starttls"

	"github.com/stretchr/testify/require"
)

// pair is a TCP connection over loopback: the client's end for Open, the other for a scripted peer.
type pair struct{ client, peer *net.TCPConn }

func newPair(t *testing.T) *pair {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer listener.Close()
	client, err := net.Dial("tcp", listener.Addr().String())
	require.NoError(t, err)
	peer, err := listener.Accept()
	require.NoError(t, err)
	p := &pair{client.(*net.TCPConn), peer.(*net.TCPConn)}
	t.Cleanup(p.close)
	return p
}

func (p *pair) close() {
	_ = p.client.Close()
	_ = p.peer.Close()
}

// sayer sends a reply of the peer; false ends the script.
type sayer func(peer *net.TCPConn, words string) bool

func atOnce(peer *net.TCPConn, words string) bool {
	_, err := io.WriteString(peer, words)
	return err == nil
}

func byteByByte(peer *net.TCPConn, words string) bool {
	for i := range len(words) {
		if !atOnce(peer, words[i:i+1]) {
			return false
		}
	}
	return true
}

// play is the peer: it fails when the client says something else than the script has.
func (p *pair) play(turns []turn, say sayer) error {
	for i, turn := range turns {
		words := make([]byte, len(turn.client))
		if n, err := io.ReadFull(p.peer, words); err != nil {
			return fmt.Errorf("turn %d: after %q: %w", i, words[:n], err)
		}
		if string(words) != turn.client {
			return fmt.Errorf("turn %d: the client says %q, not %q", i, words, turn.client)
		}
		if !say(p.peer, turn.peer) {
			return nil
		}
	}
	return nil
}

// open runs Open against the script. Where Open succeeds the script must have been played; where it fails the client's end is
// closed for writing, so that the script ends.
func (p *pair) open(ctx context.Context, protocol, host string, turns []turn, say sayer) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute) // a hang fails
	defer cancel()
	played := make(chan error, 1)
	go func() { played <- p.play(turns, say) }()
	greeting, err := starttls.Open(ctx, p.client, protocol, host)
	if err != nil {
		_ = p.client.CloseWrite()
		<-played
		return greeting, err
	}
	return greeting, <-played
}

// requireClean: what either side says next is the very next thing that the other one reads.
func (p *pair) requireClean(t *testing.T) {
	t.Helper()
	for _, way := range []struct{ from, to net.Conn }{{p.client, p.peer}, {p.peer, p.client}} {
		const marker = "\x16marker"
		_, err := io.WriteString(way.from, marker)
		require.NoError(t, err)
		got := make([]byte, len(marker))
		_, err = io.ReadFull(way.to, got)
		require.NoError(t, err)
		require.Equal(t, marker, string(got))
	}
}
