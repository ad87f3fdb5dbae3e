package server_test

import (
	"fmt"
	"math"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	pb "securesocket/gen/securesocket/v1"
	"securesocket/server"
	"securesocket/server/servertest"
	"securesocket/tlsengine/tlstest"
)

// TestThreat01GuessedIDs: nobody finds a session or a listener by trying.
func TestThreat01GuessedIDs(t *testing.T) {
	t.Parallel()
	probes := 100_000
	if testing.Short() || raceEnabled {
		probes = 10_000
	}
	w := newAccessWorld(t)
	o := w.own()
	seen := map[string]bool{}
	for range 1000 {
		id := newIdle(w.as(theNeighbour), t, w.c, nil).id
		require.Len(t, id, 26, "128 random bits and more, in base32")
		require.False(t, seen[id])
		seen[id] = true
		_, err := w.c.DeleteSession(w.as(theNeighbour), &pb.DeleteSessionRequest{SessionId: id})
		require.NoError(t, err)
	}
	var told sync.Map // every status that there was
	var probing sync.WaitGroup
	const workers = 8
	for range workers {
		c, lc := w.svc.Client(t), pb.NewListenerServiceClient(w.svc.Dial(t))
		probing.Go(func() {
			for n := range probes / workers {
				id := unknownID()
				switch n % 4 {
				case 0: // near to one that there is
					id = o.session.id[:25] + id[:1]
				case 1:
					id = o.listener[:25] + id[:1]
				}
				if id == o.session.id || id == o.listener {
					continue
				}
				var err error
				if n/4%2 == 0 {
					_, err = c.GetSession(w.as(theNeighbour), &pb.GetSessionRequest{SessionId: id})
				} else {
					_, err = lc.GetListener(w.as(theNeighbour), &pb.GetListenerRequest{ListenerId: id})
				}
				told.Store(fmt.Sprint(status.Convert(err).Proto()), n)
			}
		})
	}
	probing.Wait()
	count := 0
	told.Range(func(any, any) bool { count++; return true })
	require.Equal(t, 2, count, "one answer for sessions, one for listeners")
}

// TestThreat01SamePath: what a handler does about an ID that another has costs exactly what it does about one that nobody
// has. Not parallel, since it counts the process's allocations.
func TestThreat01SamePath(t *testing.T) {
	w := newAccessWorld(t)
	o := w.own()
	newIdle(w.as(theNeighbour), t, w.c, nil) // he is known, too
	handlers := server.HandlersFor(w.svc.Registry, theNeighbour)
	unknown := idle{unknownID(), o.session.token}
	for name, row := range matrix {
		handle := handlers[name]
		if handle == nil || row.names == nothing {
			continue
		}
		found := false
		cost := func(id string) float64 {
			req := row.request(o, id)
			least := math.Inf(1)
			for range 5 { // what else the process does only adds to it
				least = min(least, testing.AllocsPerRun(100, func() { found = handle(req) == nil || found }))
			}
			return least
		}
		foreign, missing := cost(o.id(row.names)), cost(unknown.id)
		require.InDelta(t, missing, foreign, 0.5, "%s: allocations", name)
		require.False(t, found, name)
	}
}

// A session that has expired is remembered for its owner alone.
func TestThreat02ExpiredIDs(t *testing.T) {
	t.Parallel()
	w := newResumableWorld(t, tlstest.Echo)
	k := w.resumable(t, w.direct, grace(time.Second))
	k.secure()
	s := k.session()
	k.cancel()
	require.Eventually(t, func() bool {
		_, err := w.direct.GetSession(t.Context(), &pb.GetSessionRequest{SessionId: s.id})
		return err != nil
	}, patience, 10*time.Millisecond)
	neighbour := servertest.As(t.Context(), theNeighbour)
	trust := pb.NewTrustServiceClient(w.svc.Dial(t))
	unknown := naming(t, w.direct, trust, idle{unknownID(), s.token})
	for name, call := range naming(t, w.direct, trust, s) {
		require.Equal(t, "SESSION_EXPIRED", reasonOf(t, call(t.Context())), name)
		foreign := call(neighbour)
		require.Equal(t, "SESSION_NOT_FOUND", reasonOf(t, foreign), name)
		requireSame(t, status.Convert(unknown[name](neighbour)).Proto(), status.Convert(foreign).Proto(), name)
	}
}

// BenchmarkThreat01 tells how long both take: the two should not be told apart.
func BenchmarkThreat01(b *testing.B) {
	svc := servertest.Start(b)
	c := svc.Client(b)
	foreign := newIdle(servertest.As(b.Context(), theOwner), b, c, nil)
	handle := server.HandlersFor(svc.Registry, theNeighbour)[pb.SecureSocketService_GetSession_FullMethodName]
	for name, id := range map[string]string{"unknown": unknownID(), "foreign": foreign.id} {
		var req proto.Message = &pb.GetSessionRequest{SessionId: id}
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if handle(req) == nil {
					b.Fatal("found")
				}
			}
		})
	}
}
