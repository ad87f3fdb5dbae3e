package starttls

import "strings"

func pop3(d *dialogue) error {
	if err := d.positive(); err != nil {
		return err
	}
	d.greeted = true
	if err := d.say("CAPA\r\n"); err != nil {
		return err
	}
	_, ok, err := d.indicator()
	if err != nil {
		return err
	}
	if ok { // otherwise it knows no CAPA, which is an extension, and may know STLS
		lines, err := d.dotted()
		if err != nil {
			return err
		}
		if !offered(lines, "STLS") {
			return refused("")
		}
	}
	if err := d.ask("STLS\r\n"); err != nil {
		return err
	}
	return d.positive()
}

// indicator reads the first line of a response and says whether it is positive (RFC 1939, section 3).
func (d *dialogue) indicator() (line string, ok bool, err error) {
	line, err = d.line()
	if err != nil {
		return line, false, err
	}
	switch first, _, _ := strings.Cut(line, " "); first {
	case "+OK":
		return line, true, nil
	case "-ERR":
		return line, false, nil
	}
	return line, false, malformed("not a response", line)
}

func (d *dialogue) positive() error {
	line, ok, err := d.indicator()
	if err == nil && !ok {
		err = refused(line)
	}
	return err
}
