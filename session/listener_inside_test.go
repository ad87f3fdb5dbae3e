package session

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"securesocket/tlsengine/tlstest"
	"securesocket/tlsengine/truststore"
)

// An Accept that ends before it has given again all that waits, and the one after it.
func TestGivenAgainTwice(t *testing.T) {
	t.Parallel()
	_, l := listening(t, Settings{})
	for range 3 {
		dialListener(t, l)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var all []*Session
	require.ErrorIs(t, l.Accept(ctx, 3, func(s *Session) error {
		if all = append(all, s); len(all) == 3 {
			cancel()
		}
		return nil
	}), ErrCancelled)
	broken := errors.New("the stream is broken")
	require.ErrorIs(t, l.Accept(t.Context(), 3, func(*Session) error { return broken }), broken)

	ctx, cancel = context.WithCancel(t.Context())
	defer cancel()
	var again []*Session
	time.AfterFunc(300*time.Millisecond, cancel)
	require.NotPanics(t, func() {
		_ = l.Accept(ctx, 3, func(s *Session) error {
			again = append(again, s)
			if len(again) == 1 {
				all[2].Delete() // as its owner may at any time
			}
			return nil
		})
	})
	require.Len(t, again, 2, "each session once")
}

// A session that is deleted between its creation and its connection.
func TestDeletedAsItArrives(t *testing.T) {
	t.Parallel()
	r, l := listening(t, Settings{})
	s, err := r.createAccepted(l)
	require.NoError(t, err)
	s.Delete()
	here, there := net.Pipe()
	defer there.Close()
	err = s.serve(here, l)
	r.mu.Lock()
	live := r.live
	r.mu.Unlock()
	require.Error(t, err)
	require.Zero(t, live, "a connection that nobody can reach")
}

// A listener's grace is that which holds for its sessions.
func TestGraceOfAListenerIsTheDefaults(t *testing.T) {
	t.Parallel()
	r := NewRegistry(Config{Egress: everywhere{}, Listening: everywhere{}})
	t.Cleanup(r.Close)
	want := 5 * time.Minute
	_, _, err := r.UpdateDefaults("owner", func(s Settings) (Settings, error) { s.DetachGrace = &want; return s, nil })
	require.NoError(t, err)
	l, _, err := r.Listen(t.Context(), "owner", ListenArgs{Addr: netip.MustParseAddrPort("127.0.0.1:0")}, Request{})
	require.NoError(t, err)
	require.Equal(t, want, l.grace())
}

// The certificates of a listener are bounded as those of a session, which they become.
func TestBytesOfAListenersCertificates(t *testing.T) {
	t.Parallel()
	ca := tlstest.NewCA(t)
	var entries []truststore.Entry
	for i := range 60 {
		names := make([]string, 0, 1100)
		for k := range 450 {
			names = append(names, fmt.Sprintf("h%d-%d.a-rather-long-name-for-a-host.test", i, k))
		}
		leaf := ca.Leaf(tlstest.Names(names...)).Certificate()
		cert, err := ParseCertificate(leaf.Certificate[0])
		require.NoError(t, err)
		entries = append(entries, truststore.Entry{Cert: cert})
	}
	r := NewRegistry(Config{Egress: everywhere{}, Listening: everywhere{}})
	t.Cleanup(r.Close)
	s, _, _, err := r.Create("owner", Settings{}, false, Request{})
	require.NoError(t, err)
	for _, e := range entries {
		if err = s.AddCertificate(e.Cert, false); err != nil {
			break
		}
	}
	require.Error(t, err, "a session takes no more than 1 MiB")
	_, _, err = r.Listen(t.Context(), "owner", ListenArgs{Addr: netip.MustParseAddrPort("127.0.0.1:0"), Certificates: entries}, Request{})
	require.Error(t, err, "its sessions would have more")
}
