package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestSettingsHaveToFitTogether(t *testing.T) {
	t.Parallel()
	const tls = "tls: {cert: /c, key: /k}\n"
	for name, c := range map[string]struct {
		text    string
		path    string
		problem Problem // 0: they do
	}{
		"nowhere to listen":            {"listen: []", "listen", OutOfRange},
		"unknown scheme":               {"listen: [http://x]", "listen", OutOfRange},
		"relative socket":              {"listen: [unix://run/s]", "listen", OutOfRange},
		"long socket":                  {"listen: [unix:///" + strings.Repeat("x", 200) + "]", "listen", OutOfRange},
		"addresses with a comma":       {"listen: [\"unix:///x,unix:///y\"]", "listen", OutOfRange},
		"home of a shell":              {"data_dir: ~/x", "data_dir", OutOfRange},
		"address twice":                {"listen: [unix:///x, unix:///x]", "listen", Duplicate},
		"any port twice":               {"insecure: true\nlisten: [\"grpc://127.0.0.1:0\", \"grpc://127.0.0.1:0\"]", "", 0},
		"plain without insecure":       {"listen: [\"grpc://127.0.0.1:1\"]", "listen", Conflict},
		"plain":                        {"insecure: true\nlisten: [\"grpc://127.0.0.1:1\"]", "", 0},
		"no port":                      {"insecure: true\nlisten: [grpc://x]", "listen", OutOfRange},
		"port out of range":            {"insecure: true\nlisten: [\"grpc://x:70000\"]", "listen", OutOfRange},
		"TLS without certificate":      {"listen: [\"grpcs://x:1\"]", "listen", Conflict},
		"TLS without key":              {"tls: {cert: /c}", "tls.cert", Conflict},
		"key alone":                    {"tls: {key: /k}", "tls.key", Conflict},
		"TLS":                          {tls + "listen: [\"grpcs://x:1\"]", "", 0},
		"TLS without port":             {tls + "listen: [grpcs://x]", "listen", OutOfRange},
		"client CA without TLS":        {"tls: {client_ca: /ca}", "tls.client_ca", Conflict},
		"certificates without CA":      {"tls: {cert: /c, key: /k, require_client_cert: true}", "tls.require_client_cert", Conflict},
		"certificates":                 {"tls: {cert: /c, key: /k, client_ca: /ca, require_client_cert: true}", "", 0},
		"CRL without CA":               {"tls: {cert: /c, key: /k, client_crl: /x}", "tls.client_crl", Conflict},
		"keys without issuer":          {"callers: {jwt: {jwks: /x}}", "callers.jwt.jwks", Conflict},
		"audience alone":               {"callers: {jwt: {audience: a}}", "callers.jwt.audience", Conflict},
		"authorities alone":            {"callers: {jwt: {ca: /x}}", "callers.jwt.ca", Conflict},
		"issuer without audience":      {"callers: {jwt: {issuer: \"https://x\"}}", "callers.jwt.issuer", Conflict},
		"issuer that is not asked":     {"callers: {jwt: {issuer: x, audience: a, jwks: /x, ca: /y}}", "callers.jwt.ca", Conflict},
		"no claim":                     {"callers: {jwt: {issuer: x, audience: a, claim: \"\"}}", "callers.jwt.claim", OutOfRange},
		"issuer":                       {"callers: {jwt: {issuer: \"https://x\", audience: a, claim: email}}", "", 0},
		"issuer's keys":                {"callers: {jwt: {issuer: x, audience: a, jwks: /x}}", "", 0},
		"principal without kind":       {"callers: {allow: [alice]}", "callers.allow", OutOfRange},
		"principal of unknown kind":    {"callers: {allow: [\"user:alice\"]}", "callers.allow", OutOfRange},
		"user by name":                 {"callers: {administrators: [\"uid:root\"]}", "callers.administrators", OutOfRange},
		"principals":                   {"callers: {allow: [\"*\", \"uid:*\", \"spiffe://prod/*\", anonymous], administrators: []}", "", 0},
		"admin on the network":         {"admin: {listen: \"0.0.0.0:9090\"}", "admin.listen", OutOfRange},
		"admin by name":                {"admin: {listen: \"localhost:9090\"}", "admin.listen", OutOfRange},
		"admin with scheme":            {"admin: {listen: \"http://127.0.0.1:9090\"}", "admin.listen", OutOfRange},
		"admin without host":           {"admin: {listen: \":9090\"}", "admin.listen", OutOfRange},
		"admin relative":               {"admin: {listen: unix://x}", "admin.listen", OutOfRange},
		"admin among callers":          {"listen: [unix:///x]\nadmin: {listen: unix:///x}", "admin.listen", Conflict},
		"admin at ::1":                 {"admin: {listen: \"[::1]:9090\"}", "", 0},
		"admin at 127/8":               {"admin: {listen: \"127.0.0.2:9090\"}", "", 0},
		"admin at a socket":            {"admin: {listen: unix:///run/a}", "", 0},
		"a caller's sessions":          {"limits: {sessions_per_caller: 30000}", "limits.sessions_per_caller", Conflict},
		"all sessions":                 {"limits: {sessions: 10, sessions_per_caller: 11}", "limits.sessions_per_caller", Conflict},
		"refusing later than shedding": {"limits: {memory_refuse: 96%}", "limits.memory_refuse", Conflict},
		"a caller's buffers":           {"limits: {buffered: 256MiB, buffered_per_caller: 257MiB}", "limits.buffered_per_caller", Conflict},
		"both lowered":                 {"limits: {buffered: 256MiB, buffered_per_caller: 128MiB}", "", 0},
		"memory of the machine":        {"limits: {memory: auto}", "", 0},
		"CRLs as old as they say":      {"crl_max_age: 0s", "", 0},
		"sources of both families":     {"egress: {source_addresses: [192.0.2.10, \"2001:db8::10\"]}", "", 0},
		"no source":                    {"egress: {source_addresses: []}", "", 0},
		"two sources of a family":      {"egress: {source_addresses: [192.0.2.10, 192.0.2.11]}", "egress.source_addresses", Conflict},
		"a source twice":               {"egress: {source_addresses: [\"::1\", \"0::1\"]}", "egress.source_addresses", Conflict},
		"a name for a source":          {"egress: {source_addresses: [localhost]}", "egress.source_addresses", OutOfRange},
		"a prefix for a source":        {"egress: {source_addresses: [192.0.2.0/24]}", "egress.source_addresses", OutOfRange},
		"any source":                   {"egress: {source_addresses: [\"::\"]}", "egress.source_addresses", OutOfRange},
		"many sources":                 {"egress: {source_addresses: [224.0.0.1]}", "egress.source_addresses", OutOfRange},
		"a mapped source":              {"egress: {source_addresses: [\"::ffff:192.0.2.10\"]}", "egress.source_addresses", OutOfRange},
		"a source of one link":         {"egress: {source_addresses: [\"fe80::1%eth0\"]}", "egress.source_addresses", OutOfRange},
		"mistake counts once":          {"listen: [\"\"]", "listen", OutOfRange},
		"two mistakes at one address":  {"listen: [x]\nadmin: {listen: x}", "listen", OutOfRange},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := loaded(t, c.text, nil)
			if c.problem == 0 {
				require.NoError(t, err)
				return
			}
			e := mistakes(t, err)[0]
			require.Equal(t, c.path, e.Path, e)
			require.Equal(t, c.problem, e.Problem, e)
			require.Equal(t, File, e.Origin.Layer, e)
			require.Positive(t, e.Origin.Line)
		})
	}
}

// The one who said it is told, not the default that it does not fit.
func TestConflictIsOfWhoMadeIt(t *testing.T) {
	t.Parallel()
	_, err := loaded(t, "limits: {sessions: 2000}\n", nil, "--limits-sessions-per-caller", "3000")
	require.Equal(t, Flag, mistakes(t, err)[0].Origin.Layer)
	_, err = loaded(t, "limits: {sessions_per_caller: 3000}\n", nil, "--limits-sessions", "2000")
	require.Equal(t, Flag, mistakes(t, err)[0].Origin.Layer)
}

// A caller's share that nobody has set follows what all may have.
func TestSharesOfCallersFollow(t *testing.T) {
	t.Parallel()
	c, err := loaded(t, "limits: {sessions: 10, buffered: 256MiB}\n", nil)
	require.NoError(t, err)
	require.Equal(t, 10, c.Limits.SessionsPerCaller)
	require.Equal(t, int64(256<<20), c.Limits.BufferedPerCaller)
	require.Equal(t, 64, c.Limits.ListenersPerCaller)
}

func TestOversights(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	open, closed := filepath.Join(dir, "open"), filepath.Join(dir, "closed")
	require.NoError(t, os.WriteFile(open, nil, 0o644)) //nolint:gosec // the flaw that is tested
	require.NoError(t, os.WriteFile(closed, nil, 0o640))
	file := write(t, "log: {}\n")
	require.NoError(t, os.Chmod(file, 0o666)) //nolint:gosec // the flaw that is tested
	for args, n := range map[string]int{
		"--config=" + file:                 1,
		"":                                 0,
		"--tls-cert=/c --tls-key=/missing": 1, // never shown
		"--tls-cert=/c --tls-key=/missing --listen=grpcs://127.0.0.1:1": 0,
		"--callers-tokens=" + open:                                      1,
		"--callers-tokens=" + closed:                                    0,
		"--identity=x=" + open + "," + open:                             1,
		"--identity=x=" + open + "," + closed:                           0,
		"--bundle=x=" + open:                                            0,
		"--data-dir=relative":                                           1,
		"--egress-flash-origin=x.test":                                  1,
		"--egress-flash-origin=x.test --egress-flash-policy=enforce":    0,
		"--insecure --insecure=false":                                   1,
		"--insecure --insecure":                                         0,
		"--bundle=x=/a --bundle=y=/b":                                   0,
	} {
		c, err := loaded(t, "", nil, strings.Fields(args)...)
		require.NoError(t, err, args)
		require.Len(t, c.Warnings(), n, args)
	}
}

// An entry of a list is at fault where it stands, and not where the list begins.
func TestMistakesOfEntriesNameTheirOwnLines(t *testing.T) {
	t.Parallel()
	_, err := loaded(t, "callers:\n  allow:\n    - \"uid:1\"\n    - alice\n    - \"uid:*\"\n    - bob\nlisten:\n  - unix:///a\n  - http://b\n  - unix:///a\n", nil)
	var lines []int
	for _, e := range mistakes(t, err) {
		lines = append(lines, e.Origin.Line)
	}
	require.Equal(t, []int{4, 6, 9, 10}, lines)

	c, err := loaded(t, "listen_allow:\n  - 127.0.0.1\n  - 127.0.0.2\nbundles:\n  a: /a\n  b: /b\n", nil)
	require.NoError(t, err)
	for _, w := range []struct {
		path, entry string
		line        string
	}{
		{"listen_allow", "127.0.0.1", ":2: listen_allow"},
		{"listen_allow", "127.0.0.2", ":3: listen_allow"},
		{"listen_allow", "unknown", ":1: listen_allow"},
		{"bundles", "b", ":6: bundles"},
		{"crl_max_age", "168h", "crl_max_age"},
	} {
		require.True(t, strings.HasSuffix(c.WhereItem(w.path, w.entry), w.line), c.WhereItem(w.path, w.entry))
	}
	c, err = loaded(t, "bundles:\n  b: /b\n", nil, "--bundle", "b=/c")
	require.NoError(t, err)
	require.Equal(t, "--bundle", c.WhereItem("bundles", "b"))
}

// TestEachBadSourceIsTold, at its own line.
func TestEachBadSourceIsTold(t *testing.T) {
	t.Parallel()
	_, err := loaded(t, "egress:\n  source_addresses:\n  - 192.0.2.10\n  - foo\n  - 192.0.2.11\n", nil)
	var lines []int
	for _, e := range mistakes(t, err) {
		require.Equal(t, "egress.source_addresses", e.Path)
		lines = append(lines, e.Origin.Line)
	}
	require.Equal(t, []int{4, 5}, lines)
}

// Every pattern is judged, and each is told.
func TestEveryPatternIsJudged(t *testing.T) {
	t.Parallel()
	_, err := loaded(t, "callers:\n  allow:\n    - bob*\n    - uid:1\n    - dns:*.x\n  administrators: [\"spiffe://prod*\"]\n", nil)
	var all Errors
	require.ErrorAs(t, err, &all)
	lines := map[int]string{}
	for _, e := range all {
		require.Equal(t, OutOfRange, e.Problem)
		lines[e.Origin.Line] = e.Path
	}
	require.Equal(t, map[int]string{3: "callers.allow", 5: "callers.allow", 6: "callers.administrators"}, lines)
}

// What a file says, even if that is nothing, is not shown as what nobody has said.
func TestAnEmptyTextThatIsSaidIsShown(t *testing.T) {
	t.Parallel()
	c, err := loaded(t, "data_dir: \"\"\n", []string{"STATE_DIRECTORY=/s"})
	require.NoError(t, err)
	require.Empty(t, c.DataDir)
	require.Contains(t, shown(t, c, false), "\ndata_dir: \"\"\n")
}
