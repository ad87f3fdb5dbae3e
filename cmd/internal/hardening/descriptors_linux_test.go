package hardening

import (
	"errors"
	"os"
	"testing"

	"github.com/stretchr/testify/require"
)

// Not parallel: the descriptors are the process's.
func TestDescriptorsAreCounted(t *testing.T) {
	d, err := OpenDescriptors()
	require.NoError(t, err)
	before, err := d.Count()
	require.NoError(t, err)
	limit, err := d.Limit()
	require.NoError(t, err)
	require.Greater(t, limit, before)
	const more = 1500 // than are read at once
	if limit < before+more+64 {
		t.Skipf("the limit on descriptors is %d", limit)
	}
	var files []*os.File
	for range more {
		f, err := os.Open(os.DevNull)
		require.NoError(t, err)
		files = append(files, f)
	}
	after, err := d.Count()
	require.NoError(t, err)
	require.Equal(t, before+more, after)
	listed, err := d.entriesLocked()
	require.NoError(t, err)
	require.Equal(t, after, listed, "older kernels say the same")
	for _, f := range files {
		require.NoError(t, f.Close())
	}
	after, err = d.Count()
	require.NoError(t, err)
	require.Equal(t, before, after)
	require.NoError(t, d.Close())
	_, err = d.Count()
	require.True(t, errors.Is(err, os.ErrClosed), err)
}
