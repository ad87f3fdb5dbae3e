package config

import (
	"strconv"
	"strings"
)

// Layer is one of the four places that a value comes from. A greater one counts more.
type Layer int

// The layers.
const (
	Default Layer = iota
	File
	Environment
	Flag
)

// Origin is where a value comes from. The zero value is the default.
type Origin struct {
	Layer Layer
	Name  string // of the file, variable or flag; of the variable that changes a default, or empty
	Line  int    // of the file, from 1; 0 if there is none
}

// String is how the origin is shown beside its value: "flag --listen", "$SECURESOCKET_LISTEN", "FILE:12" or "default".
func (o Origin) String() string {
	switch o.Layer {
	case Flag:
		return "flag --" + o.Name
	case Environment:
		return "$" + o.Name
	case File:
		return o.place()
	}
	if o.Name != "" {
		return "default, $" + o.Name
	}
	return "default"
}

// place is FILE:LINE. What is no printable text in the name of the file is escaped.
func (o Origin) place() string {
	name := o.Name
	if quoted := strconv.Quote(name); quoted != `"`+name+`"` {
		name = quoted
	}
	if o.Line == 0 {
		return name
	}
	return name + ":" + strconv.Itoa(o.Line)
}

// before is what an error about the setting at path begins with.
func (o Origin) before(path string) string {
	switch o.Layer {
	case Flag:
		return "--" + o.Name
	case Environment:
		return "$" + o.Name
	case File:
		return strings.TrimSuffix(o.place()+": "+path, ": ")
	}
	return path
}
