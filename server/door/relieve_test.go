package door_test

import (
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"securesocket/server/door"
)

// brings has somebody send so much of a message that does not end.
func brings(t *testing.T, v *visitor, size int) error {
	t.Helper()
	v.greets(t)
	require.NoError(t, v.sends(t, begins(1)))
	return v.sends(t, data(1, false, message(4 << 20)[:size]))
}

// TestStrangersMakeRoomForStrangersAlone, and only where it is they who have too much.
func TestStrangersMakeRoomForStrangersAlone(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		unfinished int64
		callers    int // bytes
		strangers  []int
		caller     bool // who brings more
		more       int
	}{
		"a caller brings more, and strangers have too much":     {1 << 20, 800_000, []int{60_000, 60_000, 60_000}, true, 200_000},
		"a stranger brings more, and callers have too much":     {2 << 20, 1_900_000, []int{60_000, 60_000}, false, 70_000},
		"a stranger brings more, and it is he who has too much": {1 << 20, 0, []int{10_000}, false, 200_000},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				d := door.New(door.Config{Unfinished: tc.unfinished, UnfinishedPerCaller: 1 << 20}) // an eighth of strangers
				var others []*visitor
				for _, caller := range []string{"eve", "mallory"} {
					v := claims(t, d, caller)
					require.NoError(t, brings(t, v, tc.callers/2))
					others = append(others, v)
				}
				for _, size := range tc.strangers {
					v := visit(t, d, "192.0.2.1")
					require.NoError(t, brings(t, v, size))
					others = append(others, v)
				}
				last := visit(t, d, "198.51.100.1")
				if tc.caller {
					require.NoError(t, last.ticket().Claim("anna"))
				}
				var backlog *door.BacklogError
				require.ErrorAs(t, brings(t, last, tc.more), &backlog)
				require.False(t, backlog.Own)
				for _, v := range others {
					require.True(t, v.open())
				}
			})
		})
	}
}

// TestWhoMadeRoomPaysALittle: twice, as for every connection of a stranger that is ended for
// what came over it.
func TestWhoMadeRoomPaysALittle(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := door.New(door.Config{Unfinished: 1 << 20, PerAddress: 16})
		hoards := visit(t, d, "192.0.2.1")
		require.NoError(t, brings(t, hoards, 100_000))
		go func() { _, _ = hoards.Read(make([]byte, 100)) }()
		synctest.Wait()
		require.NoError(t, brings(t, visit(t, d, "198.51.100.1"), 70_000))
		require.False(t, hoards.open())
		in := 0
		for v := visit(t, d, "192.0.2.1"); v != nil; v = visit(t, d, "192.0.2.1") {
			require.NoError(t, v.Close())
			in++
		}
		require.Equal(t, 2*16+1-2, in)
	})
}
