package starttls

import (
	"net"
	"slices"
	"strings"
)

// dialogue is one opening of a protocol. What a protocol's function reads before it sets greeted is the greeting.
type dialogue struct {
	reader
	conn net.Conn
	host string
}

// say sends the client's next words.
func (d *dialogue) say(words string) error {
	_, err := d.conn.Write([]byte(words))
	return err
}

// ask says the last words, after which the peer's answer ends the dialogue. It is for protocols whose peer speaks only when
// it is asked: an answer that is there already is not one, and the true answer would come into the handshake.
func (d *dialogue) ask(words string) error {
	if err := d.nothingPending(); err != nil {
		return err
	}
	return d.say(words)
}

func (d *dialogue) nothingPending() error {
	waiting, err := Pending(d.conn)
	if err == nil && waiting {
		err = &InjectionError{}
	}
	return err
}

// dotted reads lines up to that of a single dot: the lists of POP3 and NNTP.
func (d *dialogue) dotted() ([]string, error) {
	var lines []string
	for {
		line, err := d.line()
		if err != nil || line == "." {
			return lines, err
		}
		lines = append(lines, line)
	}
}

// offered says whether a line begins with the keyword.
func offered(lines []string, keyword string) bool {
	return slices.ContainsFunc(lines, func(line string) bool {
		first, _, _ := strings.Cut(line, " ")
		return strings.EqualFold(first, keyword)
	})
}

// endsWithLiteral says whether a line of IMAP or ManageSieve announces that bytes follow which are no lines.
func endsWithLiteral(line string) bool {
	open := strings.LastIndexByte(line, '{')
	if open < 0 || !strings.HasSuffix(line, "}") {
		return false
	}
	size := strings.TrimSuffix(line[open+1:len(line)-1], "+")
	return size != "" && strings.Trim(size, "0123456789") == ""
}
