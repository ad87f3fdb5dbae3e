package client_test

import (
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"securesocket/client"
	pb "securesocket/gen/securesocket/v1"
)

// TestReasonsAreDocumented: the manual gives every reason the side and the remedy that the package gives it.
func TestReasonsAreDocumented(t *testing.T) {
	t.Parallel()
	manual, err := os.ReadFile("../docs/errors.md")
	require.NoError(t, err)
	rows := map[string][]string{}
	for line := range strings.Lines(string(manual)) {
		cells := strings.Split(strings.TrimSpace(line), " | ")
		if name, ok := strings.CutPrefix(cells[0], "| `"); ok && len(cells) == 6 {
			rows[strings.TrimSuffix(name, "`")] = cells
		}
	}
	for number, name := range pb.ErrorReason_name {
		if number == 0 {
			continue
		}
		e := &client.Error{Reason: pb.ErrorReason(number)}
		row := rows[strings.TrimPrefix(name, "ERROR_REASON_")]
		require.NotNil(t, row, name)
		require.Equal(t, e.Side(), row[4], name)
		require.Equal(t, e.Remedy()+" |", row[5], name)
	}
}
