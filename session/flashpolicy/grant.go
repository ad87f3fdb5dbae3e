package flashpolicy

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// origin is who wants to connect.
type origin struct {
	name   string     // lower case; empty: nobody in particular
	ip     netip.Addr // what name is, if it is an address
	secure bool
}

// grant is an allow-access-from.
type grant struct {
	domain string // lower case
	ports  []portRange
	secure bool // for secure origins alone
}

type portRange struct{ first, last int }

// firstUnprivileged is the first port that a file from a port like it may grant.
const firstUnprivileged = 1024

// allows says whether the file, which came from one port, grants another.
func (f *file) allows(o origin, from, port int) bool {
	if from >= firstUnprivileged && port < firstUnprivileged {
		return false
	}
	return slices.ContainsFunc(f.grants, func(g grant) bool { return g.covers(o) && g.grants(port) })
}

func (g grant) grants(port int) bool {
	return slices.ContainsFunc(g.ports, func(r portRange) bool { return r.first <= port && port <= r.last })
}

// covers compares domains as Flash Player does: * is everybody, *.example.com is example.com and all below it, anything
// else is itself. An address is covered by itself and by *, never by a suffix.
func (g grant) covers(o origin) bool {
	if g.secure && !o.secure {
		return false
	}
	if g.domain == "*" {
		return true
	}
	if o.name == "" {
		return false
	}
	if o.ip.IsValid() {
		ip, err := netip.ParseAddr(g.domain)
		return err == nil && ip.Unmap() == o.ip
	}
	domain := strings.TrimSuffix(g.domain, ".")
	suffix, wild := strings.CutPrefix(domain, "*.")
	if !wild {
		return domain == o.name
	}
	return suffix != "" && (suffix == o.name || strings.HasSuffix(o.name, "."+suffix))
}

// parsePorts reads ports and ranges of them with commas between, or * for all.
func parsePorts(list string) ([]portRange, error) {
	if strings.TrimSpace(list) == "*" {
		return []portRange{{1, 65535}}, nil
	}
	var out []portRange
	for item := range strings.SplitSeq(list, ",") {
		first, last, ranged := strings.Cut(item, "-")
		if !ranged {
			last = first
		}
		r := portRange{parsePort(first), parsePort(last)}
		if r.first == 0 || r.last < r.first {
			return nil, errPorts
		}
		out = append(out, r)
	}
	return out, nil
}

// parsePort returns 0 for what is no port: a sign is none of one.
func parsePort(s string) int {
	s = strings.TrimSpace(s)
	if strings.HasPrefix(s, "+") {
		return 0
	}
	port, err := strconv.ParseUint(s, 10, 16)
	if err != nil {
		return 0
	}
	return int(port)
}
