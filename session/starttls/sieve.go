package starttls

import (
	"strconv"
	"strings"
)

// sieve is ManageSieve: the peer's capabilities are its greeting (RFC 5804, section 1.7).
func sieve(d *dialogue) error {
	starttls := false
	for {
		line, err := d.line()
		if err != nil {
			return err
		}
		quoted, ok := strings.CutPrefix(line, `"`)
		if !ok {
			if err := d.sieveOK(line); err != nil {
				return err
			}
			break
		}
		name, _, ok := strings.Cut(quoted, `"`)
		if !ok || endsWithLiteral(line) {
			return malformed("not a capability", line)
		}
		starttls = starttls || strings.EqualFold(name, "STARTTLS")
	}
	d.greeted = true
	if !starttls {
		return refused("")
	}
	if err := d.ask("STARTTLS\r\n"); err != nil {
		return err
	}
	line, err := d.line()
	if err != nil {
		return err
	}
	return d.sieveOK(line)
}

// sieveOK judges a line that ends a response. The text of a refusal may come as a literal, which is read for its words;
// behind an OK it would be bytes that no reader of lines expects.
func (d *dialogue) sieveOK(line string) error {
	status := line
	if end := strings.IndexAny(line, " ("); end >= 0 {
		status = line[:end]
	}
	literal := endsWithLiteral(line)
	switch {
	case strings.EqualFold(status, "OK") && !literal:
		return nil
	case strings.EqualFold(status, "NO"), strings.EqualFold(status, "BYE"):
		if !literal {
			return refused(line)
		}
		open := strings.LastIndexByte(line, '{')
		size, err := strconv.Atoi(strings.Trim(line[open:], "{+}"))
		if err != nil {
			return malformed("a literal is too long", line)
		}
		text, err := d.exactly(size)
		if err != nil {
			return err
		}
		return refused(line[:open] + strings.Join(strings.Fields(string(text)), " "))
	}
	return malformed("not a response", line)
}
