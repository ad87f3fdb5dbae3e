package client

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"
)

// FuzzRing: whatever is written, freed and asked for, a ring has the bytes that a plain slice would have.
func FuzzRing(f *testing.F) {
	f.Add([]byte{10, 200, 3, 255, 255, 0, 9, 90})
	f.Add([]byte{1, 2, 3, 4, 5, 6, 7, 8, 9, 250, 251, 252})
	f.Fuzz(func(t *testing.T, ops []byte) {
		if len(ops) > 30 {
			return
		}
		const start = 1000
		var r ring
		r.begin(start)
		var all []byte
		for i, op := range ops {
			switch {
			case op%3 != 2:
				p := bytes.Repeat([]byte{byte(i)}, int(op)*int(op))
				r.write(p)
				all = append(all, p...)
			default:
				r.free(r.base + (r.end-r.base)*int64(op)/200)
			}
			require.EqualValues(t, start+len(all), r.end)
			require.LessOrEqual(t, r.base, r.end)
			memory := 0
			for _, s := range r.segments[r.first:] {
				memory += cap(s.filled)
			}
			require.LessOrEqual(t, memory, 3*r.held()+2*bufferTiers[3], "it does not hold much more than it has")
			for at, limit, n := r.base, 1+int(op)*100, 0; at < r.end && n < 20; n++ {
				chunk, p := r.at(at, limit)
				require.NotEmpty(t, p)
				require.LessOrEqual(t, len(p), limit)
				require.Greater(t, cap(p), 1<<10, "gRPC counts its references")
				require.NotNil(t, chunk)
				require.True(t, bytes.Equal(all[at-start:at-start+int64(len(p))], p))
				at += int64(len(p))
			}
		}
		r.drop()
		require.Zero(t, r.held())
		require.Empty(t, r.segments)
	})
}

// TestSmallWritesShareChunks: a slow writer of little holds little, and a fast one fills frames.
func TestSmallWritesShareChunks(t *testing.T) {
	t.Parallel()
	var r ring
	for range 10_000 {
		r.write(make([]byte, 64))
	}
	require.Less(t, len(r.segments), 25)
	_, p := r.at(r.base+200_000, maxPayload)
	require.Greater(t, len(p), 1000)
	r.free(r.end)
	require.Empty(t, r.segments, "nothing is held for what may come")
}
