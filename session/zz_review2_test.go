package session

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestZZDrainBlocked(t *testing.T) {
	r := NewRegistry(Config{Egress: openEgress{}, System: sysNone})
	s, _, _, err := r.Create("hostile", Settings{}, false, Request{})
	require.NoError(t, err)
	in, release := make(chan struct{}), make(chan struct{})
	go func() {
		_, _, _ = s.Update(func(have Settings) (Settings, error) { close(in); <-release; return have, nil }) // waits for a Turn, derives keys
	}()
	<-in
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	drained := make(chan struct{})
	go func() { r.Drain(ctx, time.Now()); close(drained) }()
	select {
	case <-drained:
		fmt.Println("drained")
	case <-time.After(2 * time.Second):
		fmt.Println("Drain does not return, 1.9 s after its ctx")
	}
	got := make(chan struct{})
	go func() { _, _ = r.Get("hostile", s.ID()); close(got) }()
	select {
	case <-got:
		fmt.Println("got")
	case <-time.After(time.Second):
		fmt.Println("Registry.Get (every RPC of the session, Close and DeleteSession too) blocks, without a context")
	}
	close(release)
	<-drained
}
