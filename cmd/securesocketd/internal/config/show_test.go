package config

import (
	"bytes"
	"flag"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "write testdata/example.yaml anew")

// bare is c without its origins.
func bare(c *Config) *Config {
	b := *c
	b.origins, b.items, b.warnings = nil, nil, nil
	return &b
}

func shown(tb testing.TB, c *Config, effective bool) string {
	tb.Helper()
	var b bytes.Buffer
	require.NoError(tb, c.Show(&b, effective))
	return b.String()
}

const everything = `
listen: ["unix:///run/a # b", 'grpcs://[::]:1', "grpc://x:0"]
insecure: true
tls: {cert: "/ü ", key: '"', client_ca: "C:\\x", client_crl: ~x, require_client_cert: true}
callers:
  allow: ["*", "jwt:a: b"]
  administrators: []
  tokens: "- x"
  jwt: {issuer: "https://x", audience: "\u2028\ufeff", claim: "yes"}
egress: {allow: [], policy: "null", flash_policy: enforce}
listen_allow: ["10.0.0.0/8", "*"]
legacy_tls: true
forbid_override: true
crl_max_age: 0
data_dir: "{}"
bundles: {"true": /a, "b: c": "#"}
identities: {"1": {key: "k,", cert: "c="}}
limits: {sessions: 1000, bytes: 100MiB/s, bytes_per_caller: 65537B/s, memory: 1TiB, memory_refuse: 50%, attaches_per_caller: 7/s}
timeouts: {dns: 1.5s, connection_idle: 1h30m}
log: {format: json, level: error, access: false}
admin: {listen: "127.0.0.1:1"}
`

func TestWhatIsShownMeansTheSame(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"{}", everything} {
		c, err := loaded(t, text, nil)
		require.NoError(t, err)
		for _, effective := range []bool{false, true} {
			again, err := loaded(t, shown(t, c, effective), nil)
			require.NoError(t, err)
			require.Equal(t, bare(c), bare(again))
			require.Equal(t, shown(t, c, false), shown(t, again, false))
		}
	}
}

func TestEffectiveTellsOrigins(t *testing.T) {
	t.Parallel()
	name := write(t, "insecure: true\nbundles:\n  a: /x\n")
	c, err := Load(commandLine(t, "--config", name, "--listen", "unix:///x"), []string{"SECURESOCKET_LOG_LEVEL=warn", "STATE_DIRECTORY=/s"})
	require.NoError(t, err)
	lines := strings.Split(shown(t, c, true), "\n")
	for _, want := range []string{
		"listen: # flag --listen",
		"insecure: true # " + name + ":1",
		"bundles: # " + name + ":2",
		"  level: warn # $SECURESOCKET_LOG_LEVEL",
		"  format: text # default",
		`data_dir: "/s" # default, $STATE_DIRECTORY`,
		"  #allow: not set # default",
		"  #policy: not set # default",
	} {
		require.Contains(t, lines, want)
	}
	require.NotContains(t, shown(t, c, false), "default")
	require.Equal(t, `"a\nb":3`, Origin{Layer: File, Name: "a\nb", Line: 3}.String(), "a name cannot end the comment")
}

func TestExample(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	require.NoError(t, Example(&b))
	const golden = "testdata/example.yaml"
	if *update {
		require.NoError(t, os.WriteFile(golden, b.Bytes(), 0o600))
	}
	want, err := os.ReadFile(golden)
	require.NoError(t, err)
	require.Equal(t, string(want), b.String(), "go test -update writes it anew")

	c, err := loaded(t, b.String(), nil)
	require.NoError(t, err)
	require.Equal(t, bare(defaultConfig(t)), bare(c), "it says what is so without it")

	// With its examples taken for settings every key is there, with its help before it.
	whole := regexp.MustCompile(`(?m)^( *)#([^ \n]|  )`).ReplaceAllString(b.String(), "$1$2")
	var errs Errors
	there := make(map[string]int)
	for _, g := range readDocument("example", []byte(whole), &errs) {
		there[g.setting.path] = g.origin.Line
	}
	require.NoError(t, errs.err())
	lines := strings.Split(whole, "\n")
	for _, s := range settings {
		require.Positive(t, there[s.path], s.path)
		require.Equal(t, "# --"+s.flagName()+", $"+s.variable(), strings.TrimSpace(lines[there[s.path]-2]), s.path)
		require.True(t, strings.HasPrefix(strings.TrimSpace(lines[there[s.path]-3]), "# "), "%s: its help is before it", s.path)
	}
	require.Len(t, there, len(settings))
}
