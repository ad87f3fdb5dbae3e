package config

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Load makes the Config of a command line, of an environment as os.Environ gives it, and of the file that one of them
// names. What is wrong with them comes as [Errors], all at once.
func Load(flags *Flags, environ []string) (*Config, error) {
	env := variables(environ)
	var errs Errors
	var file []*given
	name, origin := fileOf(flags, env)
	if origin.Layer != Default {
		if name == "" {
			errs.add(origin, "", Unreadable, "it names no file: name one, or leave it out")
		} else if data, m := readFile(name); m != nil {
			errs.add(origin, "", m.problem, "%s", m.why)
		} else {
			file = readDocument(name, data, &errs)
		}
	}
	c, err := load(file, flags, env, errs)
	if err == nil && name != "" && everybodyMay(0o002, name) {
		c.warnings = append(c.warnings, fmt.Sprintf("%s: every user of the machine can write to %q: take the right away with chmod o-w", origin.before(""), name))
	}
	return c, err
}

// fileOf is the file that is named, and by whom. By default there is none.
func fileOf(flags *Flags, env map[string]string) (string, Origin) {
	if flags.file != nil && len(flags.file.args) > 0 {
		return flags.file.args[len(flags.file.args)-1], Origin{Layer: Flag, Name: fileFlag}
	}
	if name, ok := env[fileVariable]; ok {
		return name, Origin{Layer: Environment, Name: fileVariable}
	}
	return "", Origin{}
}

// load puts the layers above each other, judges each value that is given, though another one counts, and then all
// together.
func load(file []*given, flags *Flags, env map[string]string, errs Errors) (*Config, error) {
	c := &Config{origins: make(map[string]Origin, len(settings)), items: make(map[string][]item)}
	for _, s := range settings {
		if g := defaults(s, env); len(g.items) > 0 || s.kind.shape != list {
			g.set(c, &errs)
		}
	}
	for _, g := range file {
		g.set(c, &errs)
	}
	for _, s := range settings {
		if value, ok := env[s.variable()]; ok {
			g := &given{setting: s, origin: Origin{Layer: Environment, Name: s.variable()}}
			items, m := fromVariable(s, value)
			g.take(items, m, c, &errs)
		}
		if a := flags.given[s.path]; a != nil && len(a.args) > 0 {
			g := &given{setting: s, origin: Origin{Layer: Flag, Name: s.flagName()}}
			items, m := fromFlag(s, a.args)
			g.take(items, m, c, &errs)
		}
	}
	check(c, &errs)
	if err := errs.err(); err != nil {
		return nil, err
	}
	c.warnings = slices.Concat(strangers(env), flags.contradictions(), c.oversights())
	return c, nil
}

// take sets the items, unless there is a mistake already.
func (g *given) take(items []item, m *mistake, c *Config, errs *Errors) {
	if m != nil {
		errs.add(g.origin, g.setting.path, m.problem, "%s", m.why)
		return
	}
	g.items = items
	g.set(c, errs)
}

// defaults is what counts when nobody says anything. A list without a default stays nil.
func defaults(s *setting, env map[string]string) *given {
	g := &given{setting: s}
	switch {
	case s.machine != nil:
		values, variable := s.machine(env)
		g.origin.Name = variable
		for _, v := range values {
			g.items = append(g.items, item{text: v})
		}
	case s.kind.shape == scalar:
		g.items = []item{{text: s.def}}
	}
	return g
}

// variables makes a map of an environment. As for the system, the first of two counts.
func variables(environ []string) map[string]string {
	env := make(map[string]string, len(environ))
	for _, pair := range environ {
		name, value, _ := strings.Cut(pair, "=")
		if _, ok := env[name]; !ok {
			env[name] = value
		}
	}
	return env
}

// foreign are the variables that begin as the service's do and are others': those of the command line, those that it
// sets for the programs that it starts, and those of tests. What ends with _ is the beginning of several.
var foreign = []string{
	"ADDR", "CACERT", "CERT", "KEY", "TOKEN_FILE", "PROXY_PASSWORD",
	"ALPN", "CLIENT_CERTIFICATE_SHA256", "CLIENT_CERTIFICATE_STATUS", "LOCAL", "REMOTE", "SERVER_NAME", "TLS_VERSION",
	"VECTORS", "PKITS_CRLS", "BENCH", "BENCH_", "TEST_",
}

// strangers warns of variables that look like the service's and that it does not read: one with a mistake in its name
// would be passed over in silence.
func strangers(env map[string]string) (warnings []string) {
	known := []string{fileVariable}
	for _, s := range settings {
		known = append(known, s.variable())
	}
	for _, name := range slices.Sorted(maps.Keys(env)) {
		rest, ours := strings.CutPrefix(name, variablePrefix)
		if !ours || slices.Contains(known, name) || slices.ContainsFunc(foreign, func(f string) bool {
			return rest == f || strings.HasSuffix(f, "_") && strings.HasPrefix(rest, f)
		}) {
			continue
		}
		warning := "$" + name + " is not known and has no effect"
		if near := nearest(name, known); near != "" {
			warning += "; is it $" + near + "?"
		}
		warnings = append(warnings, warning)
	}
	return warnings
}
