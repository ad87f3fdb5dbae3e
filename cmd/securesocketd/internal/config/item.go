package config

import (
	"slices"
	"strings"
	"time"
)

// item is one part of a value: all of a scalar, one entry of a list or of a mapping.
type item struct {
	name string // of an entry of a mapping
	text string // the scalar, or the file
	key  string // the file of a key
	line int    // of the file; 0 elsewhere
}

// given is what one layer says about a setting.
type given struct {
	setting *setting
	items   []item
	origin  Origin
}

// set judges what is given and puts it into c. What is wrong goes to errs, and c keeps what it has.
func (g *given) set(c *Config, errs *Errors) {
	s, failed := g.setting, len(*errs)
	fail := func(it item, m *mistake) {
		if m == nil {
			return
		}
		o := g.origin
		if it.line > 0 {
			o.Line = it.line
		}
		errs.add(o, s.path, m.problem, "%s", m.why)
	}
	names := make(map[string]bool)
	var value any
	if s.kind.shape == scalar {
		v, m := s.kind.parse(s, g.items[0].text)
		fail(g.items[0], m)
		value = v
	}
	for _, it := range g.items {
		if s.kind.shape == scalar {
			break
		}
		for _, t := range []string{it.name, it.text, it.key} {
			if _, m := parseText(s, t); m != nil {
				fail(it, m)
			}
		}
		switch empty := it.text == "" || s.kind.shape == pairs && it.key == ""; {
		case s.kind.shape == list && empty:
			fail(it, mistakef(OutOfRange, "there is an empty entry: write something, or remove it"))
		case s.kind.shape >= files && (empty || it.name == ""):
			fail(it, mistakef(OutOfRange, "%q lacks its name or a file: write %s", it.name, s.kind.noun))
		case s.kind.shape >= files && names[it.name]:
			fail(it, mistakef(Duplicate, "%q is given twice: remove one", it.name))
		}
		names[it.name] = true
	}
	if len(*errs) > failed {
		return
	}
	g.store(s.into(c), value)
	c.origins[s.path] = g.origin
	if s.kind.shape != scalar {
		c.items[s.path] = g.items
	}
}

// store puts a value that was judged into its field: value if it is a scalar, and otherwise the items.
func (g *given) store(field, value any) {
	switch field := field.(type) {
	case *string:
		*field, _ = value.(string)
	case *bool:
		*field, _ = value.(bool)
	case *int:
		n, _ := value.(int64)
		*field = int(n)
	case *int64:
		*field, _ = value.(int64)
	case *time.Duration:
		n, _ := value.(int64)
		*field = time.Duration(n)
	case *[]string:
		*field = make([]string, 0, len(g.items)) // not nil: an empty list is one
		for _, it := range g.items {
			*field = append(*field, it.text)
		}
	case *map[string]string:
		*field = make(map[string]string, len(g.items))
		for _, it := range g.items {
			(*field)[it.name] = it.text
		}
	case *map[string]KeyPair:
		*field = make(map[string]KeyPair, len(g.items))
		for _, it := range g.items {
			(*field)[it.name] = KeyPair{Cert: it.text, Key: it.key}
		}
	}
}

// fromFlag reads what a flag was given, once for each time.
func fromFlag(s *setting, args []string) ([]item, *mistake) {
	switch s.kind.shape {
	case scalar:
		return []item{{text: args[len(args)-1]}}, nil // the last one counts, as it does everywhere
	case list:
		items := make([]item, len(args))
		for i, arg := range args {
			items[i].text = arg
		}
		return items, nil
	}
	var items []item
	for _, arg := range args {
		name, text, ok := strings.Cut(arg, "=")
		it := item{name: name, text: text}
		if ok && s.kind.shape == pairs {
			it.text, it.key, ok = strings.Cut(text, ",")
		}
		if !ok || it.name == "" || it.text == "" {
			return nil, mistakef(WrongType, "%q is not %s", arg, s.arg)
		}
		items = append(items, it)
	}
	return items, nil
}

// fromVariable reads a variable of the environment: what a flag would be given, with commas between. An empty variable
// is an empty list.
func fromVariable(s *setting, value string) ([]item, *mistake) {
	if s.kind.shape == scalar {
		return fromFlag(s, []string{value})
	}
	if value == "" {
		return nil, nil
	}
	args := strings.Split(value, ",")
	if s.kind.shape == pairs { // each has a comma within
		if len(args)%2 != 0 {
			return nil, mistakef(WrongType, "%q is not %s, nor several with commas between", value, s.arg)
		}
		var joined []string
		for pair := range slices.Chunk(args, 2) {
			joined = append(joined, pair[0]+","+pair[1])
		}
		args = joined
	}
	return fromFlag(s, args)
}
