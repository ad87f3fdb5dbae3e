package config

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestFileIsStrict(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		text    string
		line    int
		path    string
		problem Problem
	}{
		"unknown key":             {"insecure: true\nlisten_addr: x\n", 2, "", Unknown},
		"unknown key below":       {"limits:\n  sessions: 5000\n  session: 3\n", 3, "limits", Unknown},
		"unknown section":         {"\n\nlimit:\n  sessions: 3\n", 3, "", Unknown},
		"key of another section":  {"tls:\n  jwks: /x\n", 2, "tls", Unknown},
		"key with dots":           {"limits.sessions: 3\n", 1, "", Unknown},
		"merge key":               {"tls:\n  <<: {cert: x}\n", 2, "tls", Unknown},
		"duplicate key":           {"insecure: false\n\ninsecure: true\n", 3, "", Duplicate},
		"duplicate section":       {"tls: {}\nlog: {}\ntls: {}\n", 3, "", Duplicate},
		"duplicate below":         {"log:\n  level: info\n  level: warn\n", 3, "log", Duplicate},
		"duplicate name":          {"bundles:\n  a: /x\n  a: /y\n", 3, "bundles", Duplicate},
		"duplicate part":          {"identities:\n  a:\n    cert: /x\n    cert: /y\n    key: /k\n", 4, "identities", Duplicate},
		"key that is a list":      {"[a]: 1\n", 1, "", WrongType},
		"section that is a text":  {"tls: yes\n", 1, "tls", WrongType},
		"section that is a list":  {"log:\n  - level\n", 2, "log", WrongType},
		"list as the file":        {"- listen\n", 1, "", WrongType},
		"text as the file":        {"listen\n", 1, "", WrongType},
		"NO for a bool":           {"insecure: NO\n", 1, "insecure", WrongType},
		"yes for a bool":          {"insecure: yes\n", 1, "insecure", WrongType},
		"True for a bool":         {"insecure: True\n", 1, "insecure", WrongType},
		"bool in quotes":          {"insecure: \"true\"\n", 1, "insecure", WrongType},
		"number for a bool":       {"insecure: 1\n", 1, "insecure", WrongType},
		"number for a text":       {"data_dir: 12\n", 1, "data_dir", WrongType},
		"date for a text":         {"data_dir: 2026-01-01\n", 1, "data_dir", WrongType},
		"bool for a text":         {"callers: {jwt: {claim: true}}\n", 1, "callers.jwt.claim", WrongType},
		"list for a text":         {"data_dir: [x]\n", 1, "data_dir", WrongType},
		"number in quotes":        {"limits:\n  sessions: \"5000\"\n", 2, "limits.sessions", WrongType},
		"number with underscores": {"limits:\n  sessions: 5_000\n", 2, "limits.sessions", WrongType},
		"octal number":            {"limits:\n  sessions: 05000\n", 2, "limits.sessions", WrongType},
		"fraction":                {"limits:\n  sessions: 5000.5\n", 2, "limits.sessions", WrongType},
		"huge number":             {"limits:\n  sessions: 99999999999999999999999\n", 2, "limits.sessions", WrongType},
		"duration without unit":   {"timeouts:\n\n  dns: 5\n", 3, "timeouts.dns", WrongType},
		"size without unit":       {"limits: {buffered: 1073741824}\n", 1, "limits.buffered", WrongType},
		"share without unit":      {"limits: {detached_share: 25}\n", 1, "limits.detached_share", WrongType},
		"rate without unit":       {"limits: {bytes: 1GiB}\n", 1, "limits.bytes", WrongType},
		"zero":                    {"limits: {sessions: 0}\n", 1, "limits.sessions", OutOfRange},
		"zero duration":           {"timeouts: {dns: 0s}\n", 1, "timeouts.dns", OutOfRange},
		"zero memory":             {"limits: {memory: 0B}\n", 1, "limits.memory", OutOfRange},
		"infinite":                {"timeouts: {dns: .inf}\n", 1, "timeouts.dns", OutOfRange},
		"unlimited":               {"limits: {sessions: unlimited}\n", 1, "limits.sessions", OutOfRange},
		"negative":                {"limits: {sessions: -1}\n", 1, "limits.sessions", OutOfRange},
		"too many":                {"limits: {sessions: 1000001}\n", 1, "limits.sessions", OutOfRange},
		"unknown word":            {"log: {level: loud}\n", 1, "log.level", OutOfRange},
		"text for a list":         {"listen: unix:///x\n", 1, "listen", WrongType},
		"list in a list":          {"listen:\n  - unix:///x\n  - [y]\n", 3, "listen", WrongType},
		"number in a list":        {"listen:\n  - 80\n", 2, "listen", WrongType},
		"empty entry":             {"listen:\n  - unix:///x\n  - \"\"\n", 3, "listen", OutOfRange},
		"no entry":                {"listen:\n  -\n", 2, "listen", WrongType},
		"null for a list":         {"insecure: true\negress:\n  allow:\n", 3, "egress.allow", WrongType},
		"null for a number":       {"limits: {sessions: ~}\n", 1, "limits.sessions", WrongType},
		"list for a mapping":      {"bundles: [a]\n", 1, "bundles", WrongType},
		"mapping without file":    {"bundles:\n  a: \"\"\n", 2, "bundles", OutOfRange},
		"mapping without name":    {"bundles:\n  \"\": /x\n", 2, "bundles", OutOfRange},
		"identity without key":    {"identities:\n  a: {cert: /x}\n", 2, "identities", OutOfRange},
		"identity as a text":      {"identities:\n  a: /x\n", 2, "identities", WrongType},
		"identity with more":      {"identities:\n  a: {cert: /x, key: /y, password: z}\n", 2, "identities", Unknown},
		"anchor":                  {"data_dir: &a /x\n", 1, "data_dir", Unsupported},
		"anchor of a section":     {"tls: &t\n  cert: /x\n", 1, "tls", Unsupported},
		"anchor of an entry":      {"listen:\n  - &a unix:///x\n", 2, "listen", Unsupported},
		"anchor of the file":      {"&a\ninsecure: true\n", 1, "", Unsupported},
		"anchor of a key":         {"log: {}\n&a insecure: true\n", 2, "", Unsupported},
		"alias":                   {"bundles:\n  a: &x /x\n  b: *x\n", 2, "bundles", Unsupported},
		"alias without anchor":    {"log: {}\negress:\n  allow:\n    - *.example.com\n", 4, "", Syntax},
		"tag":                     {"data_dir: !!str 12\n", 1, "data_dir", Unsupported},
		"tag of its own":          {"data_dir: !env HOME\n", 1, "data_dir", Unsupported},
		"two documents":           {"insecure: true\n---\ninsecure: false\n", 2, "", Unsupported},
		"two empty documents":     {"---\n---\n", 2, "", Unsupported},
		"broken second document":  {"insecure: true\n---\n[\n", 3, "", Syntax},
		"no YAML":                 {"insecure: true\nlisten: [\n", 2, "", Syntax},
		"tab":                     {"tls:\n\tcert: x\n", 2, "", Syntax},
		"control character":       {"data_dir: \"a\\nb\"\n", 1, "data_dir", OutOfRange},
		"escape character":        {"log: {}\ndata_dir: \"\\e[2J\"\n", 2, "data_dir", OutOfRange},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := loaded(t, c.text, nil)
			e := mistakes(t, err)[0]
			require.Equal(t, File, e.Origin.Layer, e)
			require.Equal(t, c.problem, e.Problem, e)
			require.Equal(t, c.line, e.Origin.Line, e)
			require.Equal(t, c.path, e.Path, e)
		})
	}
}

func TestFileMayHaveNothing(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"\n", "---\n", "# a comment\n", "{}\n", "tls:\nlog:\n  # level: info\n", "--- {}\n...\n"} {
		c, err := loaded(t, text, nil)
		require.NoError(t, err, "%q", text)
		require.Equal(t, bare(defaultConfig(t)), bare(c), "%q", text)
	}
}

// What is wrong comes with what may be meant.
func TestMistakenKeysAreGuessed(t *testing.T) {
	t.Parallel()
	for path, want := range map[string]string{
		"limits.session":     "limits.sessions",
		"lissten":            "listen",
		"timeouts.dnss":      "timeouts.dns",
		"sessions_per_caler": "",
		"jwks":               "callers.jwt.jwks",
		"zzz":                "",
	} {
		got := mend(path)
		if want == "" {
			require.NotContains(t, got, "is it", path)
		} else {
			require.Contains(t, got, "is it "+want+"?", path)
		}
	}
}
