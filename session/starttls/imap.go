package starttls

import "strings"

// imap lets the peer speak unasked, as it may (RFC 9051, section 7), and believes nothing of it but the capabilities that
// were asked for, and BYE.
func imap(d *dialogue) error {
	line, err := d.imapLine()
	if err != nil {
		return err
	}
	status, ok := strings.CutPrefix(line, "* ")
	switch {
	case !ok:
		return malformed("not a greeting", line)
	case startsWith(status, "OK"):
	case startsWith(status, "PREAUTH"), startsWith(status, "BYE"): // authenticated already, it may not begin TLS any more
		return refused(status)
	default:
		return malformed("not a greeting", line)
	}
	d.greeted = true
	if err := d.say("a1 CAPABILITY\r\n"); err != nil {
		return err
	}
	capabilities, err := d.tagged("a1")
	switch {
	case err != nil:
		return err
	case !offered(capabilities, "STARTTLS"):
		return refused("")
	}
	if err := d.say("a2 STARTTLS\r\n"); err != nil {
		return err
	}
	_, err = d.tagged("a2")
	return err
}

// tagged reads up to the response with the tag and returns the capabilities that came before it.
func (d *dialogue) tagged(tag string) (capabilities []string, err error) {
	for {
		line, err := d.imapLine()
		if err != nil {
			return nil, err
		}
		if data, ok := strings.CutPrefix(line, "* "); ok {
			switch {
			case startsWith(data, "BYE"):
				return nil, refused(data)
			case startsWith(data, "CAPABILITY"):
				capabilities = append(capabilities, strings.Fields(data)[1:]...)
			}
			continue
		}
		status, ok := strings.CutPrefix(line, tag+" ")
		switch {
		case !ok:
			return nil, malformed("not a response", line)
		case startsWith(status, "OK"):
			return capabilities, nil
		case startsWith(status, "NO"), startsWith(status, "BAD"):
			return nil, refused(status)
		}
		return nil, malformed("not a status", line)
	}
}

func (d *dialogue) imapLine() (string, error) {
	line, err := d.line()
	if err == nil && endsWithLiteral(line) {
		err = malformed("a literal where none belongs", line)
	}
	return line, err
}

// startsWith says whether the first word of text is word, in any case.
func startsWith(text, word string) bool {
	first, _, _ := strings.Cut(text, " ")
	return strings.EqualFold(first, word)
}
