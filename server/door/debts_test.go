package door

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestWhoOwesNothingIsForgottenFirst, and there are never more than so many.
func TestWhoOwesNothingIsForgottenFirst(t *testing.T) {
	t.Parallel()
	var d debts[int]
	now := time.Now()
	d.add(0, time.Hour, time.Hour, now)
	for k := range maxDebtors - 1 {
		d.add(1+k, time.Second, time.Hour, now)
	}
	require.Len(t, d.paid, maxDebtors)
	now = now.Add(time.Minute)
	d.add(-1, time.Hour, time.Hour, now)
	require.Len(t, d.paid, 2)
	require.Equal(t, 59*time.Minute, d.of(0, now))
	for k := range 2 * maxDebtors {
		d.add(1+k, time.Hour, time.Hour, now)
		require.LessOrEqual(t, len(d.paid), maxDebtors)
	}
	require.Len(t, d.paid, maxDebtors, "nobody goes without need")
}
