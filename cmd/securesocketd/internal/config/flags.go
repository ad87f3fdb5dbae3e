package config

import (
	"fmt"
	"slices"

	"github.com/spf13/pflag"
)

// fileFlag and fileVariable name the file.
const (
	fileFlag     = "config"
	fileVariable = variablePrefix + "CONFIG"
)

// Flags keeps what the command line says until [Load] judges it. The zero value is a command line that says nothing.
type Flags struct {
	file  *argument
	given map[string]*argument // by path
}

// Register adds --config, and a flag for every setting.
func (f *Flags) Register(fs *pflag.FlagSet) {
	f.file = &argument{arg: "FILE"}
	f.given = make(map[string]*argument, len(settings))
	fs.Var(f.file, fileFlag, "Read the configuration (YAML) in FILE; flags and SECURESOCKET_ variables are above it. $"+fileVariable+" names it too.")
	for _, s := range settings {
		a := &argument{arg: s.arg, def: s.def}
		help := s.help
		if s.kind.shape != scalar {
			help += " Repeatable; takes the place of what the file says."
			if s.machine != nil {
				value, _ := s.machine(nil)
				a.def = value[0]
			}
		}
		fs.Var(a, s.flagName(), help)
		if s.kind == boolean {
			a.arg = "bool" // how pflag knows that it needs no value
			fs.Lookup(s.flagName()).NoOptDefVal = "true"
		}
		f.given[s.path] = a
	}
}

// contradictions warns of flags of one value that were given several.
func (f *Flags) contradictions() (warnings []string) {
	warn := func(name string, a *argument) {
		if a != nil && len(slices.Compact(slices.Clone(a.args))) > 1 {
			warnings = append(warnings, fmt.Sprintf("--%s is given %d times: %q counts, which is the last", name, len(a.args), a.args[len(a.args)-1]))
		}
	}
	warn(fileFlag, f.file)
	for _, s := range settings {
		if s.kind.shape == scalar {
			warn(s.flagName(), f.given[s.path])
		}
	}
	return warnings
}

// argument is a flag that remembers what it was given.
type argument struct {
	arg, def string
	args     []string
}

// Set implements pflag.Value.
func (a *argument) Set(text string) error {
	a.args = append(a.args, text)
	return nil
}

// String implements pflag.Value: the default, for the help.
func (a *argument) String() string { return a.def }

// Type implements pflag.Value: what the value is called in the help.
func (a *argument) Type() string { return a.arg }
