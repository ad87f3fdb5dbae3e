package door_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"securesocket/server/door"
)

// TestRefusedRPCsWithDeadlinesAreCounted: what HTTP/2 has made for them stays until then.
func TestRefusedRPCsWithDeadlinesAreCounted(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		claim bool
		most  int
	}{"a caller's": {true, 16 << 10}, "strangers'": {false, 64 << 10}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				d := door.New(door.Config{RPCs: 8, RPCsPerCaller: 4})
				full := func() *visitor {
					v := visit(t, d, "192.0.2.1")
					if tc.claim {
						require.NoError(t, v.ticket().Claim("eve"))
					}
					return v
				}
				v := full()
				begins := func(v *visitor, ctx context.Context) error { return v.ticket().Begin(ctx) }
				running, end := context.WithCancel(t.Context())
				for range 4 {
					require.NoError(t, begins(v, running))
				}
				for range 2 * tc.most {
					require.Error(t, begins(v, running), "those without cost nothing")
				}
				soon, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				later, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				for n := range tc.most {
					require.Error(t, begins(v, []context.Context{soon, later}[n%2]))
				}
				require.True(t, v.open())
				time.Sleep(2 * time.Second)
				for range tc.most / 2 {
					require.Error(t, begins(v, later))
				}
				require.NoError(t, begins(v, later), "it ends with the connection")
				require.NoError(t, begins(v, later))
				require.False(t, v.open())
				require.NoError(t, v.Close())
				require.Zero(t, d.Stats().Flooded)

				again := full() // another connection makes no difference
				end()
				synctest.Wait()
				for range 4 {
					require.NoError(t, begins(again, t.Context()))
				}
				require.NoError(t, begins(again, later))
				require.False(t, again.open())
				time.Sleep(time.Minute)
				again = full()
				var err error
				for range 9 { // some of strangers' are free
					err = begins(again, t.Context())
				}
				require.Error(t, err)
				fresh, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				require.Error(t, begins(again, fresh))
				require.True(t, again.open(), "the deadlines are over")
			})
		})
	}
}
