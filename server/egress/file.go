package egress

import (
	"crypto/sha256"
	"fmt"
	"strings"

	"go.yaml.in/yaml/v3"

	"securesocket/server/ruletext"
)

// Mode says what becomes of the explicit rules' denials.
type Mode string

// The modes of a policy.
const (
	// ModeEnforce denies.
	ModeEnforce Mode = "enforce"
	// ModeReport lets through what a deny rule or the allow list denies, and tells
	// [Config.Report]. What is built in is denied all the same: the service's own
	// addresses, special-purpose addresses and names, and port 25. Allow rules
	// free from it as ever.
	ModeReport Mode = "report"
)

// File is a policy file that was read. It is immutable.
type File struct {
	mode         Mode
	firstAllowed bool
	deny, allow  []*rule
	hasAllowList bool
	digest       [sha256.Size]byte
}

// ParseFile reads a policy file, which name is the name of in errors and in
// [Step.Source]; data is not kept. It returns a [*FileError] for the first thing
// that is wrong. The file is one YAML document of at most 1 MiB:
//
//	mode: enforce          # or report, see ModeReport
//	mixed_answers: deny    # or first_allowed, see Policy.FirstAllowed
//	deny:
//	  - to: [10.0.0.0/8, "*.corp.example"]
//	    ports: [22, 8000-8999]
//	    callers: ["uid:1000", "spiffe://prod/*"]
//	    when: 'host.endsWith(".example") && port == 443'
//	    why: "ask the network team"
//	allow:
//	  - to: db.example:5432
//
// Every key may be left out but a rule's "to". A rule applies where all of its keys
// do:
//
//   - to: one entry or a list of them, written as in [Config.Allow]. "*" is every
//     name and address; in an allow rule it needs a port, there or in ports, and
//     puts into the allow list without freeing from what is built in, as *.NAME
//     does. A deny rule about a prefix denies IPv6 addresses that carry an IPv4
//     address of the prefix too.
//   - ports: one or a list of PORT and FIRST-LAST. Not together with :PORT in to.
//   - callers: one or a list of principals, or beginnings of principals that end
//     in *. Without it, the rule is about everybody.
//   - when: a CEL expression that gives a bool, about the strings caller, host and
//     address and the int port. The host is the name that was asked for, or the
//     address. A rule that mentions the address is asked once the address is known,
//     and for each IPv4 address inside of it. Where the evaluation fails, or costs
//     too much, a deny rule denies and an allow rule does not apply.
//   - why: a text for people, callers included.
//
// With the key "allow", what no allow rule is about is denied, so that an empty
// list denies everything.
func ParseFile(name string, data []byte) (*File, error) {
	d := document{name}
	root, err := d.root(data)
	if err != nil {
		return nil, err
	}
	top, err := d.mapping(root, "the policy", "mode", "mixed_answers", "deny", "allow")
	if err != nil {
		return nil, err
	}
	f := &File{mode: ModeEnforce, digest: sha256.Sum256(data)}
	mode, err := d.choice(top["mode"], "mode", string(ModeEnforce), string(ModeReport))
	if err != nil {
		return nil, err
	}
	f.mode = Mode(mode)
	mixed, err := d.choice(top["mixed_answers"], "mixed_answers", "deny", "first_allowed")
	if err != nil {
		return nil, err
	}
	f.firstAllowed = mixed == "first_allowed"
	if f.deny, err = d.rules(top["deny"], "deny"); err != nil {
		return nil, err
	}
	if f.allow, err = d.rules(top["allow"], "allow"); err != nil {
		return nil, err
	}
	f.hasAllowList = top["allow"] != nil
	return f, nil
}

// choice returns one of two words, of which the first is the default.
func (d document) choice(n *yaml.Node, what, first, second string) (string, error) {
	if n == nil {
		return first, nil
	}
	s, err := d.text(n, what)
	if err == nil && s != first && s != second {
		err = d.fail(n, fmt.Sprintf("%s is neither %s nor %s", what, first, second), nil)
	}
	return s, err
}

func (d document) rules(n *yaml.Node, key string) ([]*rule, error) {
	if n == nil {
		return nil, nil
	}
	list, err := d.sequence(n, key)
	if err != nil {
		return nil, err
	}
	var rules []*rule
	for i, n := range list {
		r := &rule{id: fmt.Sprintf("%s[%d]", key, i), source: fmt.Sprintf("%s:%d", d.name, n.Line), allow: key == "allow"}
		if err := d.rule(n, r); err != nil {
			return nil, err
		}
		rules = append(rules, r)
	}
	return rules, nil
}

// rule fills r in.
func (d document) rule(n *yaml.Node, r *rule) error {
	keys, err := d.mapping(n, r.id, "to", "ports", "callers", "when", "why")
	if err != nil {
		return err
	}
	if keys["to"] == nil {
		return d.fail(n, r.id+` has no "to"; "*" means everything`, nil)
	}
	if n := keys["ports"]; n != nil {
		list, err := d.oneOrMany(n, r.id+".ports")
		if err != nil {
			return err
		}
		for _, n := range list {
			ports, err := d.ports(n, r.id+".ports")
			if err != nil {
				return err
			}
			r.ports = append(r.ports, ports)
		}
	}
	if err := d.to(keys["to"], r); err != nil {
		return err
	}
	if n := keys["callers"]; n != nil {
		list, err := d.oneOrMany(n, r.id+".callers")
		if err != nil {
			return err
		}
		for _, n := range list {
			s, err := d.text(n, r.id+".callers")
			if err != nil {
				return err
			}
			c, err := parseCaller(s)
			if err != nil {
				return d.fail(n, fmt.Sprintf("%s.callers: %s: %v", r.id, ruletext.Quote(s), err), err)
			}
			r.callers = append(r.callers, c)
		}
	}
	if n := keys["when"]; n != nil {
		s, err := d.text(n, r.id+".when")
		if err != nil {
			return err
		}
		if r.when, err = parseCondition(s); err != nil {
			return d.fail(n, r.id+".when: "+ruletext.Quote(err.Error()), err)
		}
	}
	if n := keys["why"]; n != nil {
		if r.why, err = d.text(n, r.id+".why"); err != nil {
			return err
		}
	}
	return nil
}

// to reads the patterns of r, whose ports are known.
func (d document) to(n *yaml.Node, r *rule) error {
	list, err := d.oneOrMany(n, r.id+".to")
	if err != nil {
		return err
	}
	var about []string
	for _, n := range list {
		s, err := d.text(n, r.id+".to")
		if err != nil {
			return err
		}
		p, isAny, err := parseAny(s)
		if !isAny {
			p, err = parsePattern(s)
		}
		switch {
		case err != nil:
			return d.fail(n, r.id+".to: "+err.Error(), err)
		case p.port != 0 && len(r.ports) > 0:
			return d.fail(n, fmt.Sprintf("%s.to: %s has a port, and so has the rule", r.id, ruletext.Quote(s)), nil)
		case p.any && r.allow && p.port == 0 && len(r.ports) == 0:
			return d.fail(n, r.id+`.to: to allow "*" at every port is to have no allow list; leave "allow" out, or give ports`, nil)
		}
		r.to = append(r.to, p)
		about = append(about, s)
	}
	r.about = strings.Join(about, ", ")
	return nil
}
