package starttls

import (
	"encoding/binary"
	"strings"
)

// sslRequest is a length, 8, and the number that no protocol version has.
const sslRequest = "\x00\x00\x00\x08\x04\xd2\x16\x2f"

// postgres reads one byte, so that nothing of what follows an S is taken for the peer's under TLS (CVE-2021-23222).
func postgres(d *dialogue) error {
	d.greeted = true
	if err := d.say(sslRequest); err != nil {
		return err
	}
	answer, err := d.ReadByte()
	switch {
	case err != nil:
		return err
	case answer == 'S':
		return nil
	case answer == 'N':
		return refused("")
	case answer == 'E': // too early a failure for an answer, or a server that knows no TLS at all
		words, err := d.postgresError()
		if err != nil {
			return err
		}
		return refused(words)
	}
	return malformed("neither yes nor no", string([]byte{answer}))
}

// postgresError reads what follows the E: fields, or of the oldest protocol, which a server without a session speaks too, a
// text. No length in bounds looks like the beginning of a text.
func (d *dialogue) postgresError() (string, error) {
	head, err := d.exactly(4)
	if err != nil {
		return "", err
	}
	length := binary.BigEndian.Uint32(head)
	if length >= 1<<24 {
		text := head
		for len(text) < maxLine {
			b, err := d.ReadByte()
			if err != nil {
				return "", err
			}
			if b == 0 {
				return strings.Join(strings.Fields(string(text)), " "), nil
			}
			text = append(text, b)
		}
		return "", malformed("a message is too long", string(text))
	}
	if length < 4 {
		return "", malformed("not an error message", "")
	}
	fields, err := d.exactly(int(length) - 4)
	if err != nil {
		return "", err
	}
	var severity, message string
	for rest := string(fields); ; {
		if rest == "\x00" {
			return severity + " " + message, nil
		}
		field, after, ok := strings.Cut(rest, "\x00")
		if !ok || field == "" {
			return "", malformed("not an error message", string(fields))
		}
		switch field[0] {
		case 'S':
			severity = field[1:]
		case 'M':
			message = field[1:]
		}
		rest = after
	}
}
