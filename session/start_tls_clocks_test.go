package session

import (
	"io"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// A StartTLS that is over before it has begun leaves no timer behind.
func TestClockOfAStartTLSThatNeverBegan(t *testing.T) {
	t.Parallel()
	day := 24 * time.Hour
	s, _ := plainSession(t, Settings{HandshakeTimeout: &day})
	s.mu.Lock()
	_, err := s.startTLSLocked(StartTLSArgs{Role: RoleClient, ReceiveOffset: 10}, Request{}, true)
	c := s.conn
	st := c.start
	if err == nil {
		c.stopLocked(CauseLocal, nil, true) // before the reader looks
	}
	s.mu.Unlock()
	require.NoError(t, err)
	<-c.done
	require.False(t, st.clock.timer.Stop(), "the handshake's clock runs on, for a day")
}

// idle_timeout is about bytes; while TLS is entered handshake_timeout counts.
func TestIdleWhileEnteringTLS(t *testing.T) {
	t.Parallel()
	idle := 2 * time.Second
	s, peer := plainSession(t, Settings{IdleTimeout: &idle})
	go func() { _, _ = io.Copy(io.Discard, peer) }() // takes the hello, and thinks about it
	a, err := s.StartTLS(StartTLSArgs{Role: RoleClient}, Request{}, false)
	require.NoError(t, err)
	done := make(chan error, 1)
	go func() { done <- a.Wait(t.Context()) }()
	select {
	case <-done:
		t.Fatalf("ended within the handshake: %v", s.Snapshot().Cause)
	case <-time.After(2 * idle):
	}
	s.Delete()
	<-done
}

// A caller without a stream who waits for StartTLS is there.
func TestGraceWhileWaitingForStartTLS(t *testing.T) {
	t.Parallel()
	grace, resumable := 2*time.Second, true
	for name, set := range map[string]Settings{"not resumable": {DetachGrace: &grace}, "resumable": {DetachGrace: &grace, Resumable: &resumable}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, peer := plainSession(t, set)
			go func() { _, _ = io.Copy(io.Discard, peer) }()
			a, err := s.StartTLS(StartTLSArgs{Role: RoleClient}, Request{}, false)
			require.NoError(t, err)
			done := make(chan error, 1)
			go func() { done <- a.Wait(t.Context()) }()
			select {
			case err := <-done:
				t.Fatalf("ended within the handshake: %v, %v", s.Snapshot().Cause, err)
			case <-time.After(2 * grace):
			}
			s.Delete()
			<-done
		})
	}
}

// A connection that has ended keeps nothing for a StartTLS that cannot come.
func TestEndedPlainConnectionHoldsNothing(t *testing.T) {
	t.Parallel()
	s, peer := plainSession(t, Settings{})
	a, _, err := s.Attach(AttachArgs{Seq: 1, Trusted: true})
	require.NoError(t, err)
	got := 0
	closed := make(chan struct{})
	a.Start(func() bool {
		for {
			out, ok, err := a.Next()
			if err != nil {
				return false
			}
			if !ok {
				return true
			}
			got += len(out.Data.Bytes)
			if len(out.Data.Bytes) > 0 {
				out.Data.Release()
			}
			if out.Event != nil {
				if _, is := out.Event.Kind.(Closed); is {
					close(closed)
				}
			}
		}
	})
	_, err = peer.Write(make([]byte, 200<<10))
	require.NoError(t, err)
	require.Eventually(t, func() bool { return s.Snapshot().Received == 200<<10 }, time.Minute, 10*time.Millisecond)
	require.NoError(t, peer.Close())
	require.NoError(t, s.Close(t.Context(), CloseGraceful, nil, 0))
	<-closed
	require.Equal(t, 200<<10, got)
	s.mu.Lock()
	kept := s.core.KeptFrom()
	s.mu.Unlock()
	require.EqualValues(t, 200<<10, kept, "all of it was sent, and nobody can take it back; it is held until the session goes")
}
