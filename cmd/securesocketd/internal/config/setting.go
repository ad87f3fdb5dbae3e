package config

import "strings"

// variablePrefix begins every variable of the environment that the service reads.
const variablePrefix = "SECURESOCKET_"

// setting is one row of the table.
type setting struct {
	path string // of its key in the file, with dots
	arg  string // what its value is called in the help
	help string // complete sentences
	kind *kind
	flag string // where the name does not follow from the path
	def  string // as a flag would say it; of a list and a map there is none

	// machine is the default where it depends on the machine, and the variable that it comes from, or "".
	machine func(env map[string]string) (value []string, variable string)

	min, max int64    // of a number; inclusive
	zero     []string // how 0 is written where it has a meaning, the first as it is shown
	sample   string   // for the example: what one would say where the default says nothing
	secret   bool     // it names a file with keys or tokens

	into func(*Config) any // the field: a pointer to it
}

// flagName is the name of its flag, without dashes: the path, with dashes for dots and underscores, unless operators know
// it by another one.
func (s *setting) flagName() string {
	if s.flag != "" {
		return s.flag
	}
	return strings.NewReplacer(".", "-", "_", "-").Replace(s.path)
}

// variable is the name of its variable in the environment. It follows from the flag.
func (s *setting) variable() string {
	return variablePrefix + strings.ToUpper(strings.ReplaceAll(s.flagName(), "-", "_"))
}

// key is the last part of the path, and section what is before it.
func (s *setting) key() string { return s.path[strings.LastIndexByte(s.path, '.')+1:] }

func (s *setting) section() string {
	if i := strings.LastIndexByte(s.path, '.'); i >= 0 {
		return s.path[:i]
	}
	return ""
}

// inRange judges a number.
func (s *setting) inRange(n int64) *mistake {
	if n >= s.min && n <= s.max {
		return nil
	}
	if n == 0 && s.min > 0 {
		return mistakef(OutOfRange, "0 does not stand for \"none\", since each limit is finite: write a value %s", s.bounds())
	}
	return mistakef(OutOfRange, "%s is out of range: write a value %s", s.kind.print(n), s.bounds())
}

// bounds is "from MIN to MAX".
func (s *setting) bounds() string {
	bounds := "from " + s.kind.print(s.min) + " to " + s.kind.print(s.max)
	if len(s.zero) > 0 {
		bounds += ", or " + s.zero[0]
	}
	return bounds
}

// settingAt finds a row.
func settingAt(path string) *setting {
	for _, s := range settings {
		if s.path == path {
			return s
		}
	}
	return nil
}
