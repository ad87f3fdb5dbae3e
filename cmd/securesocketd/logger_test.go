package main

import (
	"bytes"
	"encoding/json"
	"regexp"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"securesocket/cmd/securesocketd/internal/config"
)

func TestDurationsAreInSeconds(t *testing.T) {
	t.Parallel()
	for d, want := range map[time.Duration]string{
		0: "0", 1500 * time.Millisecond: "1.5", 53 * time.Microsecond: "0.000053", time.Microsecond: "0.000001", 26 * time.Hour: "93600", -time.Second: "-1",
	} {
		for _, format := range []string{"text", "json"} {
			var out bytes.Buffer
			s := settings{&config.Config{Log: config.Log{Format: format, Level: "info"}}}
			s.logger(&out).With("above", d).WithGroup("g").Info("x", "took", d, "n", 7)
			if format == "text" {
				require.Contains(t, out.String(), " above_seconds="+want+" g.took_seconds="+want+" g.n=7\n")
			} else {
				require.Contains(t, out.String(), `"above_seconds":`+want+`,"g":{"took_seconds":`+want+`,"n":7}}`)
			}
		}
	}
}

// The lines of the daemon itself have the same names in both formats.
func TestDaemonLogsSeconds(t *testing.T) {
	t.Parallel()
	for format, line := range map[string]*regexp.Regexp{
		"text": regexp.MustCompile(`msg="connection closed" .* duration_seconds=\d+(\.\d+)? `),
		"json": regexp.MustCompile(`"msg":"connection closed",.*"duration_seconds":\d+(\.\d+)?,`),
	} {
		d := start(t, 1, nil, "--log-format", format, "--drain-timeout", "1500ms")
		connects(t, d, 1)
		require.NoError(t, d.cmd.Process.Signal(syscall.SIGTERM))
		require.Zero(t, d.exit(t))
		require.Regexp(t, line, d.log())
		if format == "text" {
			require.Contains(t, d.log(), " timeout_seconds=1.5\n")
			continue
		}
		for _, text := range bytes.Split(bytes.TrimSpace([]byte(d.log())), []byte("\n")) {
			var fields map[string]any
			require.NoError(t, json.Unmarshal(text, &fields))
			if fields["msg"] == "draining" {
				require.InDelta(t, 1.5, fields["timeout_seconds"], 0)
			}
			require.NotContains(t, fields, "duration")
		}
	}
}
