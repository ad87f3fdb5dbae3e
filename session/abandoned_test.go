package session

import (
	"errors"
	"net/netip"
	"runtime"
	"testing"
	"time"
	"weak"

	"github.com/stretchr/testify/require"
)

type nowhere struct{}

var errNowhere = errors.New("nowhere")

func (nowhere) CheckName(string, Target) error                 { return errNowhere }
func (nowhere) FirstAllowed() bool                             { return false }
func (nowhere) Revision() string                               { return "" }
func (nowhere) CheckAddr(string, Target, netip.AddrPort) error { return errNowhere }

// What is kept of a session that has expired is what its owner is told.
func TestExpiredSessionIsFreed(t *testing.T) {
	t.Parallel()
	r := NewRegistry(Config{Egress: nowhere{}})
	t.Cleanup(r.Close)
	resumable := true
	id, left := func() (string, weak.Pointer[Session]) {
		s, _, _, err := r.Create("owner", Settings{Resumable: &resumable}, true, Request{})
		require.NoError(t, err)
		_, err = s.Begin(ConnectArgs{Target: Target{Name: "x", Port: 1}}, Request{}, true)
		require.NoError(t, err)
		s.waitConnection()
		s.mu.Lock()
		defer s.mu.Unlock()
		s.expiredLocked(&ExpiredError{Generation: 1})
		return s.id, weak.Make(s)
	}()
	require.Eventually(t, func() bool { runtime.GC(); return left.Value() == nil }, 10*time.Second, 10*time.Millisecond)
	_, err := r.Get("owner", id)
	require.ErrorAs(t, err, new(*ExpiredError))
	_, err = r.Get("stranger", id)
	require.ErrorIs(t, err, ErrNotFound)
}

func TestNoMoreExpiredSessionsAreRememberedThanThereMayBe(t *testing.T) {
	t.Parallel()
	r := NewRegistry(Config{Egress: nowhere{}, MaxSessionsPerOwner: 3})
	t.Cleanup(r.Close)
	var ids []string
	for range 5 {
		s, _, _, err := r.Create("owner", Settings{}, true, Request{})
		require.NoError(t, err)
		s.mu.Lock()
		s.expiredLocked(&ExpiredError{})
		s.mu.Unlock()
		ids = append(ids, s.id)
	}
	for i, id := range ids {
		_, err := r.Get("owner", id)
		if i < 2 {
			require.ErrorIs(t, err, ErrNotFound)
		} else {
			require.ErrorAs(t, err, new(*ExpiredError))
		}
	}
	require.Len(t, r.owners["owner"].expired.byID, 3)
}

// The stream of a retry that holds a session which cannot be set up ends with the
// reason: nobody begins a connect for it.
func TestAbandonedSessionEndsItsStream(t *testing.T) {
	t.Parallel()
	r := NewRegistry(Config{Egress: nowhere{}})
	t.Cleanup(r.Close)
	req := Request{ID: "a"}
	first, created, _, err := r.Create("owner", Settings{}, true, req)
	require.NoError(t, err)
	require.True(t, created)
	again, created, _, err := r.Create("owner", Settings{}, true, req)
	require.NoError(t, err)
	require.False(t, created)
	a := attach(t, again, 2)
	ended := make(chan error, 1)
	a.Start(func() bool {
		_, ok, err := a.Next()
		for ok && err == nil {
			_, ok, err = a.Next()
		}
		if err != nil {
			ended <- err
		}
		return err == nil
	})
	why := &FieldError{Field: "settings"}
	first.Abandon(req, why)
	require.Equal(t, why, <-ended)
	_, created, _, err = r.Create("owner", Settings{}, true, req)
	require.NoError(t, err)
	require.True(t, created, "the same request creates anew")
}

// Who has found the session meanwhile, and connected it, loses that with it.
func TestAbandonedSessionEndsItsConnection(t *testing.T) {
	t.Parallel()
	s, peer := plainSession(t, Settings{})
	why := &FieldError{Field: "settings"}
	s.Abandon(Request{}, why)
	_, err := peer.Read(make([]byte, 1))
	require.Error(t, err)
	s.waitConnection()
	_, _, err = s.Update(func(set Settings) (Settings, error) { return set, nil })
	require.Equal(t, why, err)
}
