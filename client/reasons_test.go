package client_test

import (
	"os"
	"strings"
	"testing"
	"time"

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

// TestLimitsAreDocumented: the manual gives every limit that is told the side and the remedy that the package gives it, and
// none has those of all limits.
func TestLimitsAreDocumented(t *testing.T) {
	t.Parallel()
	manual, err := os.ReadFile("../docs/errors.md")
	require.NoError(t, err)
	_, section, _ := strings.Cut(string(manual), "\n### Limits\n")
	section, _, _ = strings.Cut(section, "\n### ")
	general := (&client.Error{Reason: pb.ErrorReason_ERROR_REASON_LIMIT}).Remedy()
	seen := 0
	for line := range strings.Lines(section) {
		cells := strings.Split(strings.TrimSuffix(strings.TrimSpace(line), " |"), " | ")
		what, ok := strings.CutPrefix(cells[0], "| `")
		if !ok || len(cells) != 5 || what == "what`" {
			continue
		}
		seen++
		e := &client.Error{Reason: pb.ErrorReason_ERROR_REASON_LIMIT, Metadata: map[string]string{"what": strings.TrimSuffix(what, "`")}}
		require.Equal(t, cells[3:], []string{e.Side(), e.Remedy()}, what)
		require.NotEqual(t, general, e.Remedy(), what)
		if cells[2] == "yes" {
			require.True(t, e.Temporary(), what)
			e.RetryAfter = 1234 * time.Millisecond
			require.Contains(t, e.Remedy(), "1.3s", what)
		}
	}
	require.Equal(t, 24, seen)
}
