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
// [Step.Source]; data is not kept. Its error joins a [*FileError] for each thing that
// is wrong, in the order of their lines; of what is no YAML, or has anchors or tags, for
// that alone. The file is one YAML document of at most 1 MiB:
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
	d := &document{name: name}
	f := &File{digest: sha256.Sum256(data)}
	if root := d.root(data); root != nil {
		d.policy(root, f)
	}
	if err := d.err(); err != nil {
		return nil, err
	}
	return f, nil
}

// policy fills f in.
func (d *document) policy(root *yaml.Node, f *File) {
	top, _ := d.mapping(root, "the policy", "mode", "mixed_answers", "deny", "allow")
	f.mode = Mode(d.choice(top["mode"], "mode", string(ModeEnforce), string(ModeReport)))
	f.firstAllowed = d.choice(top["mixed_answers"], "mixed_answers", "deny", "first_allowed") == "first_allowed"
	f.deny = d.rules(top["deny"], "deny")
	f.allow = d.rules(top["allow"], "allow")
	f.hasAllowList = top["allow"] != nil
}

// choice returns one of two words, of which the first is the default.
func (d *document) choice(n *yaml.Node, what, first, second string) string {
	if n == nil {
		return first
	}
	s, ok := d.text(n, what)
	if ok && s != first && s != second {
		d.fail(n, fmt.Sprintf("%s is neither %s nor %s", what, first, second), nil)
	}
	return s
}

func (d *document) rules(n *yaml.Node, key string) (rules []*rule) {
	if n == nil {
		return nil
	}
	list, _ := d.sequence(n, key)
	for i, n := range list {
		r := &rule{id: fmt.Sprintf("%s[%d]", key, i), source: fmt.Sprintf("%s:%d", d.name, n.Line), allow: key == "allow"}
		d.rule(n, r)
		rules = append(rules, r)
	}
	return rules
}

// rule fills r in.
func (d *document) rule(n *yaml.Node, r *rule) {
	keys, well := d.mapping(n, r.id, "to", "ports", "callers", "when", "why")
	if keys["to"] == nil && well { // otherwise it may be what the other key was meant for
		d.fail(n, r.id+` has no "to"; "*" means everything`, nil)
	}
	if n := keys["ports"]; n != nil {
		for _, n := range d.oneOrMany(n, r.id+".ports") {
			if ports, ok := d.ports(n, r.id+".ports"); ok {
				r.ports = append(r.ports, ports)
			}
		}
	}
	if n := keys["to"]; n != nil {
		d.to(n, r, keys["ports"] != nil)
	}
	if n := keys["callers"]; n != nil {
		for _, n := range d.oneOrMany(n, r.id+".callers") {
			s, ok := d.text(n, r.id+".callers")
			if !ok {
				continue
			}
			c, err := parseCaller(s)
			if err != nil {
				d.fail(n, fmt.Sprintf("%s.callers: %s: %v", r.id, ruletext.Quote(s), err), err)
			}
			r.callers = append(r.callers, c)
		}
	}
	if n := keys["when"]; n != nil {
		if s, ok := d.text(n, r.id+".when"); ok {
			var err error
			if r.when, err = parseCondition(s); err != nil {
				d.fail(n, r.id+".when: "+ruletext.Quote(err.Error()), err)
			}
		}
	}
	if n := keys["why"]; n != nil {
		r.why, _ = d.text(n, r.id+".why")
	}
}

// to reads the patterns of r.
func (d *document) to(n *yaml.Node, r *rule, hasPorts bool) {
	var about []string
	for _, n := range d.oneOrMany(n, r.id+".to") {
		s, ok := d.text(n, r.id+".to")
		if !ok {
			continue
		}
		p, isAny, err := parseAny(s)
		if !isAny {
			p, err = parsePattern(s)
		}
		switch {
		case err != nil:
			d.fail(n, r.id+".to: "+err.Error(), err)
		case p.port != 0 && hasPorts:
			d.fail(n, fmt.Sprintf("%s.to: %s has a port, and so has the rule", r.id, ruletext.Quote(s)), nil)
		case p.any && r.allow && p.port == 0 && !hasPorts:
			d.fail(n, r.id+`.to: to allow "*" at every port is to have no allow list; leave "allow" out, or give ports`, nil)
		}
		r.to = append(r.to, p)
		about = append(about, s)
	}
	r.about = strings.Join(about, ", ")
}
