package starttls

import (
	"strconv"
	"strings"
)

// shape says how a reply with a code of three digits may have more lines than one.
type shape int

const (
	oneLine   shape = iota // NNTP (RFC 3977, section 3.1)
	codedRows              // SMTP (RFC 5321, section 4.2.1): every line has the code, all but the last a hyphen
	freeRows               // FTP (RFC 959, section 4.2): the first and the last have it, between them is anything
)

// reply is one reply. The rows are the texts of its lines, without the code where that belongs to the shape.
type reply struct {
	code int
	rows []string
}

// words are the reply as the peer's own words.
func (r reply) words() string { return strconv.Itoa(r.code) + " " + strings.Join(r.rows, " ") }

// reply reads one.
func (d *dialogue) reply(s shape) (reply, error) {
	var r reply
	for {
		line, err := d.line()
		if err != nil {
			return r, err
		}
		code, text, more, ok := splitReply(line)
		switch {
		case s == freeRows && len(r.rows) > 0 && (!ok || code != r.code):
			r.rows = append(r.rows, strings.TrimSpace(line))
			continue
		case !ok, more && s == oneLine:
			return r, malformed("not a reply", line)
		case len(r.rows) > 0 && code != r.code:
			return r, malformed("a reply of two codes", line)
		}
		r.code = code
		r.rows = append(r.rows, text)
		if !more {
			return r, nil
		}
	}
}

// splitReply takes a line apart. A code may stand alone: such servers exist.
func splitReply(line string) (code int, text string, more, ok bool) {
	if len(line) < 3 || line[0] < '1' || line[0] > '5' || strings.Trim(line[1:3], "0123456789") != "" {
		return 0, "", false, false
	}
	code, _ = strconv.Atoi(line[:3])
	switch {
	case len(line) == 3:
		return code, "", false, true
	case line[3] != ' ' && line[3] != '-':
		return 0, "", false, false
	}
	return code, line[4:], line[3] == '-', true
}

// expect reads a reply that has to have the code: with any other the peer refuses.
func (d *dialogue) expect(s shape, code int) (reply, error) {
	r, err := d.reply(s)
	if err == nil && r.code != code {
		err = refused(r.words())
	}
	return r, err
}
