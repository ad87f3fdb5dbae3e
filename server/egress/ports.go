package egress

import (
	"fmt"
	"strconv"
	"strings"
)

// portRange is the ports from first to last, both included.
type portRange struct{ first, last uint16 }

func (r portRange) contains(port int) bool { return int(r.first) <= port && port <= int(r.last) }

// parsePorts reads PORT or FIRST-LAST.
func parsePorts(s string) (r portRange, err error) {
	first, last, isRange := strings.Cut(s, "-")
	if r.first, err = parsePort(first); err != nil || !isRange {
		return portRange{r.first, r.first}, err
	}
	if r.last, err = parsePort(last); err == nil && r.last < r.first {
		err = fmt.Errorf("%d comes before %d", r.last, r.first)
	}
	return r, err
}

// parsePort reads a port from 1 to 65535 as people write it: no sign, no leading
// zero.
func parsePort(s string) (uint16, error) {
	n, err := strconv.ParseUint(s, 10, 16)
	if err == nil && (n == 0 || s[0] == '0') {
		err = strconv.ErrRange
	}
	return uint16(n), err
}
