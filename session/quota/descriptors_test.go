package quota

import (
	"math"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestDescriptorsPressure(t *testing.T) {
	t.Parallel()
	d := NewDescriptors(DescriptorsConfig{Soft: 184, InUse: 20}) // 64 in reserve leave 100
	require.Equal(t, int64(100), d.Limit())
	require.NoError(t, d.Acquire("a", 89))
	require.False(t, d.Pressure())
	require.NoError(t, d.Acquire("b", 1))
	require.True(t, d.Pressure())
	require.Equal(t, Error{What: "descriptors", Limit: 90, Used: 90}, *refused(t, d.Acquire("c", 1)))
	require.Equal(t, int64(100), NewDescriptors(DescriptorsConfig{Soft: 184, InUse: 20, Pressure: 100}).pressure)
	require.Equal(t, int64(90), NewDescriptors(DescriptorsConfig{Soft: 184, InUse: 20, Pressure: 101}).pressure)
	// Those that live have the rest.
	require.NoError(t, d.AcquireLive("a", 10))
	require.Equal(t, Error{What: "descriptors", Limit: 100, Used: 100}, *refused(t, d.AcquireLive("b", 1)))

	d.Release("a", 11)
	require.False(t, d.Pressure())
	require.NoError(t, d.Acquire("c", 1))
	require.Equal(t, int64(88), d.Used("a"))
	for _, owner := range []string{"a", "b", "c"} {
		d.Release(owner, d.Used(owner))
	}
	require.Zero(t, d.Total())
}

func TestDescriptorsOfOneOwner(t *testing.T) {
	t.Parallel()
	d := NewDescriptors(DescriptorsConfig{Soft: 184, InUse: 20, PerOwner: 5})
	require.NoError(t, d.Acquire("a", 5))
	require.True(t, refused(t, d.Acquire("a", 1)).Caller)
	require.True(t, refused(t, d.AcquireLive("a", 1)).Caller)
}

func TestDescriptorsTooFew(t *testing.T) {
	t.Parallel()
	d := NewDescriptors(DescriptorsConfig{Soft: 60, InUse: 20})
	require.Zero(t, d.Limit())
	require.True(t, d.Pressure())
	require.Error(t, d.Acquire("a", 1))
	require.Error(t, d.AcquireLive("a", 1))
	require.Equal(t, int64(math.MaxInt64-74)/100*90+int64(math.MaxInt64-74)%100*90/100,
		NewDescriptors(DescriptorsConfig{Soft: math.MaxInt64, InUse: 10}).pressure, "nothing overflows")
}

func TestDescriptorsOfThisProcess(t *testing.T) {
	t.Parallel()
	limit := descriptorLimit()
	require.Positive(t, limit)
	require.LessOrEqual(t, limit, int64(mostDescriptors))
	if runtime.GOOS == "linux" {
		require.Greater(t, openDescriptors(), int64(2))
	}
	require.Less(t, NewDescriptors(DescriptorsConfig{}).Limit(), limit)
}
