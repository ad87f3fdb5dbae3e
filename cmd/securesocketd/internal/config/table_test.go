package config

import (
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"
	"github.com/stretchr/testify/require"
)

// known are the flags whose names do not follow from their paths.
var known = map[string]string{
	"timeouts.drain":         "drain-timeout",
	"bundles":                "bundle",
	"identities":             "identity",
	"callers.administrators": "administrator",
	"admin.listen":           "admin",
}

func TestTable(t *testing.T) {
	t.Parallel()
	path := regexp.MustCompile(`^[a-z0-9_]+(\.[a-z0-9_]+)*$`)
	seen := make(map[string]bool)
	fields := make(map[any]bool)
	var c Config
	for _, s := range settings {
		require.Regexp(t, path, s.path)
		require.True(t, strings.HasSuffix(s.help, "."), "%s: its help is a sentence", s.path)
		require.Equal(t, s.kind == boolean, s.arg == "", "%s: what its value is called in the help", s.path)
		flag := strings.NewReplacer(".", "-", "_", "-").Replace(s.path)
		if name := known[s.path]; name != "" {
			flag = name
		}
		require.Equal(t, flag, s.flagName())
		require.Equal(t, "SECURESOCKET_"+strings.ToUpper(strings.ReplaceAll(flag, "-", "_")), s.variable())
		for _, name := range []string{s.path, "--" + s.flagName(), s.variable()} {
			require.False(t, seen[name], "%s is there twice", name)
			seen[name] = true
		}
		require.False(t, fields[s.into(&c)], "%s: its field is another's too", s.path)
		fields[s.into(&c)] = true
		require.NotContains(t, foreign, strings.TrimPrefix(s.variable(), variablePrefix), "the command line reads it")
	}
}

// TestWhatIsSuggestedIsAccepted: who is told to write a unit may write what he is told, and otherwise is told the bounds.
func TestWhatIsSuggestedIsAccepted(t *testing.T) {
	t.Parallel()
	numbers := 0
	for _, s := range settings {
		if s.kind.print == nil {
			continue
		}
		numbers++
		for _, text := range []string{"0", "0s", "1", "-1", "-1s", "1.5", "999999999", "999999h", "x"} {
			_, m := s.kind.parse(s, text)
			if m == nil || strings.Contains(m.why, s.bounds()) {
				continue
			}
			_, advice, ok := strings.Cut(m.why, "write ")
			require.True(t, ok, "%s: %s", s.path, m.why)
			_, again := s.kind.parse(s, advice)
			require.Nil(t, again, "%s: %s", s.path, m.why)
		}
	}
	require.Greater(t, numbers, 20)
}

// The names that operators know already.
func TestFlagsStay(t *testing.T) {
	t.Parallel()
	var flags Flags
	fs := pflag.NewFlagSet("", pflag.ContinueOnError)
	flags.Register(fs)
	for _, name := range []string{
		"listen", "insecure", "egress-allow", "listen-allow", "legacy-tls", "drain-timeout", "data-dir", "bundle",
		"identity", "administrator", "forbid-override", "crl-max-age", "log-format", "config", "egress-policy", "admin",
	} {
		require.NotNil(t, fs.Lookup(name), name)
	}
}

// Every timeout and limit is finite and above 0, by default and whatever is asked for; the only 0 is that of
// limits.memory, which stands for what there is.
func TestEveryLimitIsFinite(t *testing.T) {
	t.Parallel()
	c := defaultConfig(t)
	walked := 0
	for _, s := range settings {
		if s.section() != "limits" && s.section() != "timeouts" {
			continue
		}
		walked++
		require.NotNil(t, s.kind.print, "%s is no number", s.path)
		require.Positive(t, s.min, s.path)
		require.Less(t, s.max, int64(1)<<60, s.path)
		if _, timeout := s.into(c).(*time.Duration); timeout {
			require.LessOrEqual(t, s.max, int64(24*time.Hour), s.path)
		}
		if s.path == "limits.memory" {
			require.Equal(t, "auto", s.print(c))
		} else {
			require.GreaterOrEqual(t, s.number(c), s.min, s.path)
			require.LessOrEqual(t, s.number(c), s.max, s.path)
			require.Empty(t, s.zero, s.path)
		}
		unit := strings.TrimPrefix(s.kind.print(1), "1")
		refused := []string{"0" + unit, "-1" + unit, "infinite", "unlimited", "none", "never", s.kind.print(s.max + 1), "99999999999999999999" + unit}
		for _, value := range refused {
			require.NotEmpty(t, problemOf(t, s, value), "%s: %s", s.path, value)
		}
		for _, value := range []string{"0" + unit, "infinite", s.kind.print(s.max + 1)} {
			require.Equal(t, OutOfRange, problemOf(t, s, value), "%s: %s", s.path, value)
		}
		for _, n := range []int64{s.min, s.max} {
			v, m := s.kind.parse(s, s.kind.print(n))
			require.Nil(t, m, "%s: %d", s.path, n)
			require.Equal(t, n, v, s.path)
		}
	}
	require.Equal(t, len(limits)+len(timeouts), walked)
}

func problemOf(tb testing.TB, s *setting, value string) Problem {
	tb.Helper()
	_, m := s.kind.parse(s, value)
	require.NotNil(tb, m, "%s: %s is accepted", s.path, value)
	require.NotEmpty(tb, m.why)
	return m.problem
}

func TestUnits(t *testing.T) {
	t.Parallel()
	wide := &setting{min: -1 << 62, max: 1 << 62}
	for _, c := range []struct {
		kind *kind
		text string
		n    int64
		as   string // how it is written, if not as it was read
	}{
		{integer, "1000", 1000, ""},
		{percent, "25%", 25, ""},
		{rate, "50/s", 50, ""},
		{duration, "90s", 90e9, "1m30s"},
		{duration, "60m", 3600e9, "1h"},
		{duration, "168h0m0s", 168 * 3600e9, "168h"},
		{duration, "20m", 1200e9, ""},
		{duration, "10h20m", 37200e9, ""},
		{duration, "1.5ms", 15e5, ""},
		{size, "1024KiB", 1 << 20, "1MiB"},
		{size, "1500B", 1500, ""},
		{byteRate, "3GiB/s", 3 << 30, ""},
	} {
		if c.as == "" {
			c.as = c.text
		}
		wide.kind = c.kind
		v, m := c.kind.parse(wide, c.text)
		require.Nil(t, m, c.text)
		require.Equal(t, c.n, v, c.text)
		require.Equal(t, c.as, c.kind.print(c.n))
	}
	for _, c := range []struct {
		kind *kind
		text string
	}{
		{integer, "010"}, {integer, "1_000"}, {integer, "0x10"}, {integer, "1e3"}, {integer, "+1"}, {integer, " 1"}, {integer, ""},
		{percent, "25"}, {percent, "0.25"}, {percent, "25 %"},
		{rate, "50"}, {rate, "50/m"}, {rate, "/s"},
		{duration, "10"}, {duration, "10 s"}, {duration, "1d"}, {duration, "5S"}, {duration, "ten seconds"}, {duration, "99999999999"},
		{size, "512"}, {size, "512MB"}, {size, "512M"}, {size, "1.5GiB"}, {size, "-1MiB"}, {size, "9999999999999TiB"},
		{byteRate, "1GiB"}, {byteRate, "1000/s"},
	} {
		wide.kind = c.kind
		require.Equal(t, WrongType, problemOf(t, wide, c.text), c.text)
	}
	wide.kind = duration
	for _, text := range []string{"99999999999h", "1h99999999999999999999.5ms"} {
		require.Equal(t, OutOfRange, problemOf(t, wide, text), text)
	}
}
