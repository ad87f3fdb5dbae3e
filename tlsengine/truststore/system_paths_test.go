package truststore

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestMachineWithoutAnchors(t *testing.T) {
	t.Parallel()
	bundled, err := Bundled()
	require.NoError(t, err)
	for _, goos := range []string{"darwin", "windows", "ios"} {
		files, dirs := searchPaths(goos)
		s, err := loadSystem(SystemConfig{}, files, dirs)
		require.NoError(t, err)
		require.Equal(t, bundled.SHA256(), s.SHA256(), goos)
	}
	gone := []string{t.TempDir() + "/gone"}
	s, err := loadSystem(SystemConfig{}, gone, gone)
	require.NoError(t, err)
	require.Equal(t, bundled.SHA256(), s.SHA256())

	// A file that is there and cannot be read is somebody's choice too.
	_, err = loadSystem(SystemConfig{}, []string{t.TempDir()}, gone)
	var bad *SystemError
	require.ErrorAs(t, err, &bad)
}
