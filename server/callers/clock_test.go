package callers

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"securesocket/tlsengine/tlstest/wallclock"
)

// Time that passes sets no clock, however much of it; nor does what NTP corrects.
func TestClockThatWasSet(t *testing.T) {
	t.Parallel()
	then := time.Now()
	for name, tc := range map[string]struct {
		passed, by time.Duration
		want       bool
	}{
		"nothing":                      {0, 0, false},
		"time passes":                  {decade, 0, false},
		"as much as clocks may differ": {0, clockSkew, false},
		"back as much":                 {time.Hour, -clockSkew, false},
		"ahead":                        {0, clockSkew + time.Second, true},
		"back":                         {0, -clockSkew - time.Second, true},
		"back by what has passed":      {time.Hour, -time.Hour, true},
	} {
		require.Equal(t, tc.want, wasSet(then, wallclock.Moved(then.Add(tc.passed), tc.by)), name)
	}
	require.False(t, wasSet(then.Round(0), then.Round(0).Add(decade)), "nobody can tell")
}
