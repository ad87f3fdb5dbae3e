package config

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/spf13/pflag"
	"github.com/stretchr/testify/require"
)

// write makes a file of configuration.
func write(tb testing.TB, text string) string {
	tb.Helper()
	name := filepath.Join(tb.TempDir(), "config.yaml")
	require.NoError(tb, os.WriteFile(name, []byte(text), 0o600))
	return name
}

// commandLine reads flags as the command does.
func commandLine(tb testing.TB, args ...string) *Flags {
	tb.Helper()
	var flags Flags
	fs := pflag.NewFlagSet("", pflag.ContinueOnError)
	flags.Register(fs)
	require.NoError(tb, fs.Parse(args))
	return &flags
}

// loaded is the Config of a file, if text is not empty, with variables and flags above it.
func loaded(tb testing.TB, text string, environ []string, args ...string) (*Config, error) {
	tb.Helper()
	if text != "" {
		args = append([]string{"--config", write(tb, text)}, args...)
	}
	return Load(commandLine(tb, args...), environ)
}

func defaultConfig(tb testing.TB) *Config {
	tb.Helper()
	c, err := Load(new(Flags), nil)
	require.NoError(tb, err)
	return c
}

// mistakes is what an error is about.
func mistakes(tb testing.TB, err error) Errors {
	tb.Helper()
	var errs Errors
	require.ErrorAs(tb, err, &errs)
	require.NotEmpty(tb, errs)
	for _, e := range errs {
		require.NotEmpty(tb, e.Why)
		require.NotZero(tb, e.Problem)
		var one *Error
		require.True(tb, errors.As(err, &one))
	}
	return errs
}

func TestDefaults(t *testing.T) {
	t.Parallel()
	c := defaultConfig(t)
	require.Len(t, c.Listen, 1)
	require.Equal(t, 20000, c.Limits.Sessions)
	require.Equal(t, int64(512<<20), c.Limits.BufferedPerCaller)
	require.Zero(t, c.Limits.Memory)
	require.Equal(t, 30*time.Second, c.Timeouts.Drain)
	require.Equal(t, 168*time.Hour, c.CRLMaxAge)
	require.True(t, c.Log.Access)
	require.False(t, c.Insecure)
	require.Nil(t, c.Egress.Allow)
	require.Nil(t, c.Callers.Allow)
	require.Nil(t, c.ListenAllow)
	require.Empty(t, c.Warnings())
	require.Equal(t, Origin{}, c.Origin("limits.sessions"))
}

func TestAboveIsFlagThenVariableThenFile(t *testing.T) {
	t.Parallel()
	const file = "limits:\n  sessions: 2000\n"
	variable := []string{"SECURESOCKET_LIMITS_SESSIONS=3000"}
	for _, c := range []struct {
		text    string
		environ []string
		args    []string
		want    int
		origin  Origin
	}{
		{want: 20000},
		{text: file, want: 2000, origin: Origin{Layer: File, Line: 2}},
		{text: file, environ: variable, want: 3000, origin: Origin{Layer: Environment, Name: "SECURESOCKET_LIMITS_SESSIONS"}},
		{text: file, environ: variable, args: []string{"--limits-sessions", "4000"}, want: 4000, origin: Origin{Layer: Flag, Name: "limits-sessions"}},
		{text: file, args: []string{"--limits-sessions=4000"}, want: 4000, origin: Origin{Layer: Flag, Name: "limits-sessions"}},
	} {
		got, err := loaded(t, c.text, c.environ, c.args...)
		require.NoError(t, err)
		require.Equal(t, c.want, got.Limits.Sessions)
		origin := got.Origin("limits.sessions")
		if c.origin.Layer == File {
			require.Equal(t, "config.yaml", filepath.Base(origin.Name))
			origin.Name = ""
		}
		require.Equal(t, c.origin, origin)
	}
}

func TestListsTakeEachOthersPlace(t *testing.T) {
	t.Parallel()
	const file = `
egress: {allow: [one.example, two.example]}
bundles: {a: /a.pem, b: /b.pem}
identities: {mine: {cert: /c.pem, key: /k.pem}}
`
	c, err := loaded(t, file, nil)
	require.NoError(t, err)
	require.Equal(t, []string{"one.example", "two.example"}, c.Egress.Allow)
	require.Equal(t, map[string]string{"a": "/a.pem", "b": "/b.pem"}, c.Bundles)
	require.Equal(t, map[string]KeyPair{"mine": {Cert: "/c.pem", Key: "/k.pem"}}, c.Identities)

	environ := []string{
		"SECURESOCKET_EGRESS_ALLOW=three.example,10.0.0.0/8",
		"SECURESOCKET_BUNDLE=c=/c.pem,d=/d.pem",
		"SECURESOCKET_IDENTITY=x=/x.pem,/x.key,y=/y.pem,/y.key",
	}
	c, err = loaded(t, file, environ)
	require.NoError(t, err)
	require.Equal(t, []string{"three.example", "10.0.0.0/8"}, c.Egress.Allow)
	require.Equal(t, map[string]string{"c": "/c.pem", "d": "/d.pem"}, c.Bundles)
	require.Equal(t, map[string]KeyPair{"x": {Cert: "/x.pem", Key: "/x.key"}, "y": {Cert: "/y.pem", Key: "/y.key"}}, c.Identities)

	c, err = loaded(t, file, environ, "--egress-allow", "five.example", "--egress-allow", "a,b", "--bundle", "e=/e=.pem", "--identity", "z=/z.pem,/z.key")
	require.NoError(t, err)
	require.Equal(t, []string{"five.example", "a,b"}, c.Egress.Allow)
	require.Equal(t, map[string]string{"e": "/e=.pem"}, c.Bundles)
	require.Equal(t, map[string]KeyPair{"z": {Cert: "/z.pem", Key: "/z.key"}}, c.Identities)
}

// Whoever writes an empty list means it.
func TestAbsentIsNotEmpty(t *testing.T) {
	t.Parallel()
	c, err := loaded(t, "egress:\nlog: {}\n", nil)
	require.NoError(t, err)
	require.Nil(t, c.Egress.Allow)
	for _, environ := range [][]string{nil, {"SECURESOCKET_EGRESS_ALLOW=", "SECURESOCKET_CALLERS_ALLOW=", "SECURESOCKET_LISTEN_ALLOW="}} {
		text := "egress: {allow: []}\ncallers: {allow: []}\nlisten_allow: []\n"
		if environ != nil {
			text = "egress: {allow: [example.com]}\n"
		}
		c, err = loaded(t, text, environ)
		require.NoError(t, err)
		for _, list := range [][]string{c.Egress.Allow, c.Callers.Allow, c.ListenAllow} {
			require.NotNil(t, list)
			require.Empty(t, list)
		}
	}
}

func TestFileIsNamedByFlagOrVariable(t *testing.T) {
	t.Parallel()
	one, two := write(t, "insecure: true\n"), write(t, "legacy_tls: true\n")
	c, err := Load(commandLine(t), []string{"SECURESOCKET_CONFIG=" + one})
	require.NoError(t, err)
	require.True(t, c.Insecure)
	c, err = Load(commandLine(t, "--config", two), []string{"SECURESOCKET_CONFIG=" + one})
	require.NoError(t, err)
	require.True(t, c.LegacyTLS)
	require.False(t, c.Insecure)

	pipe := filepath.Join(t.TempDir(), "pipe")
	require.NoError(t, syscall.Mkfifo(pipe, 0o600))
	for _, name := range []string{"", filepath.Join(t.TempDir(), "missing"), t.TempDir(), "/dev/zero", pipe} {
		_, err = Load(commandLine(t, "--config", name), nil)
		e := mistakes(t, err)[0]
		require.Equal(t, Unreadable, e.Problem, name)
		require.Equal(t, Origin{Layer: Flag, Name: "config"}, e.Origin)
		_, err = Load(new(Flags), []string{"SECURESOCKET_CONFIG=" + name})
		e = mistakes(t, err)[0]
		require.Equal(t, Unreadable, e.Problem, name)
		require.Equal(t, Origin{Layer: Environment, Name: "SECURESOCKET_CONFIG"}, e.Origin)
	}
}

func TestStateDirectoryIsADefault(t *testing.T) {
	t.Parallel()
	environ := []string{"STATE_DIRECTORY=/var/lib/x"}
	c, err := loaded(t, "", environ)
	require.NoError(t, err)
	require.Equal(t, "/var/lib/x", c.DataDir)
	require.Equal(t, Origin{Name: "STATE_DIRECTORY"}, c.Origin("data_dir"))
	c, err = loaded(t, `data_dir: ""`, environ)
	require.NoError(t, err)
	require.Empty(t, c.DataDir)
}

func TestMistakesOfFlagsAndVariables(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		flag, value string
		problem     Problem
	}{
		{"insecure", "yes", WrongType},
		{"drain-timeout", "30", WrongType},
		{"drain-timeout", "0", OutOfRange},
		{"drain-timeout", "-1s", OutOfRange},
		{"log-format", "xml", OutOfRange},
		{"limits-sessions", "many", WrongType},
		{"bundle", "x", WrongType},
		{"bundle", "=x", WrongType},
		{"identity", "x=c", WrongType},
		{"identity", "x=c,", OutOfRange},
		{"administrator", "root", OutOfRange},
		{"administrator", "uid:-1", OutOfRange},
		{"data-dir", "a\nb", OutOfRange},
		{"listen", "unix:///a\xff", OutOfRange},
		{"egress-allow", "\x1b[2J", OutOfRange},
	} {
		_, err := loaded(t, "", nil, "--"+c.flag+"="+c.value)
		errs := mistakes(t, err)
		if c.value == "0" {
			require.Equal(t, Flag, errs[0].Origin.Layer)
			continue
		}
		require.Len(t, errs, 1, c)
		require.Equal(t, c.problem, errs[0].Problem, "%v", c)
		require.Equal(t, Origin{Layer: Flag, Name: c.flag}, errs[0].Origin)
		require.NotContains(t, errs[0].Error(), "\x1b")

		variable := "SECURESOCKET_" + strings.ToUpper(strings.ReplaceAll(c.flag, "-", "_"))
		_, err = loaded(t, "", []string{variable + "=" + c.value})
		errs = mistakes(t, err)
		require.Len(t, errs, 1, c)
		require.Equal(t, c.problem, errs[0].Problem, "%v", c)
		require.Equal(t, Origin{Layer: Environment, Name: variable}, errs[0].Origin)
	}
	_, err := loaded(t, "", nil, "--bundle", "x=/a", "--bundle", "x=/b")
	require.Equal(t, Duplicate, mistakes(t, err)[0].Problem)
}

// A mistake is told even where another layer counts, and all are told at once.
func TestAllMistakesAreTold(t *testing.T) {
	t.Parallel()
	_, err := loaded(t, "insecure: no\nnonsense: 1\nlimits: {sessions: 0}\n", []string{"SECURESOCKET_LOG_LEVEL=loud"}, "--insecure", "--drain-timeout", "x")
	var at []string
	for _, e := range mistakes(t, err) {
		at = append(at, strings.TrimSpace(strings.Join([]string{e.Path, e.Origin.Name[strings.LastIndexByte(e.Origin.Name, '/')+1:]}, " ")))
	}
	require.Equal(t, []string{"insecure config.yaml", "config.yaml", "limits.sessions config.yaml", "log.level SECURESOCKET_LOG_LEVEL", "timeouts.drain drain-timeout"}, at)
}

func TestUnknownVariablesAreWarnedOf(t *testing.T) {
	t.Parallel()
	c, err := Load(new(Flags), []string{
		"PATH=/bin", "SECURESOCKET_ADDR=x", "SECURESOCKET_CACERT=x", "SECURESOCKET_TOKEN_FILE=x", "SECURESOCKET_VECTORS=x",
		"SECURESOCKET_PKITS_CRLS=x", "SECURESOCKET_BENCH_SECONDS=1", "SECURESOCKET_TEST_TALK=1", "SECURESOCKETD_OTHER=1",
	})
	require.NoError(t, err)
	require.Empty(t, c.Warnings())
	c, err = Load(new(Flags), []string{"SECURESOCKET_INSECUR=true", "SECURESOCKET_", "SECURESOCKET_LIMITS_SESION=3"})
	require.NoError(t, err)
	require.Len(t, c.Warnings(), 3)
	require.Contains(t, c.Warnings()[1], "$SECURESOCKET_INSECURE")
}
