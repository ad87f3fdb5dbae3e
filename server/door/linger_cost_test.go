package door_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"securesocket/server/door"
)

// TestLingeringRPCsArePaidFor: a connection that was ended for them is misuse, once.
func TestLingeringRPCsArePaidFor(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := door.New(door.Config{RPCsPerCaller: 1})
		soon, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		comes := func() (*visitor, error) {
			v := visit(t, d, "192.0.2.1")
			require.NotNil(t, v, "others come from there")
			return v, v.ticket().Claim("eve")
		}
		stays, err := comes()
		require.NoError(t, err)
		require.NoError(t, stays.ticket().Begin(t.Context()))
		for range 16 << 10 {
			require.Error(t, stays.ticket().Begin(soon))
		}
		for range 100 {
			gone, err := comes()
			require.NoError(t, err)
			require.NoError(t, gone.Close())
			require.NoError(t, gone.ticket().Begin(soon), "whose connection is gone pays nothing")
		}
		ended := 0
		for ; err == nil && ended < 100; ended++ {
			var v *visitor
			if v, err = comes(); err != nil {
				break
			}
			for range 3 {
				require.NoError(t, v.ticket().Begin(soon), "it ends with the connection")
			}
			require.False(t, v.open())
			require.NoError(t, v.ticket().Begin(t.Context()), "whatever it is")
			require.NoError(t, v.Close())
		}
		require.Equal(t, 17, ended)
		require.Equal(t, 500*time.Millisecond, refusal(t, err))
	})
}
