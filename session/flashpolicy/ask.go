package flashpolicy

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"time"
)

const request = "<policy-file-request/>\x00"

// answer is what a port said to the request: the beginning of it at least.
type answer struct {
	text []byte // up to the NUL, or all that came
	cut  error  // why there is no NUL; nil: there is
}

var (
	errTooLarge = errors.New("the policy file is too large")
	errNoNUL    = errors.New("the policy file does not end with a NUL in time")
)

// ask returns what a port answers, and whether it could be dialled. It takes no longer than the Checker's timeout.
func (c *Checker) ask(ctx context.Context, port int, dial Dial) (a answer, answered bool) {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	conn, err := dial(ctx, port)
	if err != nil {
		return answer{}, false
	}
	defer conn.Close()
	moved := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(moved)
		_ = conn.SetDeadline(time.Unix(1, 0))
	})
	defer func() {
		if !stop() {
			<-moved
		}
	}()
	// The write may fail and there still be a file: a server of nothing else may send it unasked and close.
	_, _ = io.WriteString(conn, request)
	return c.read(ctx, conn), true
}

// read takes no more of conn than can be a policy file.
func (c *Checker) read(ctx context.Context, conn net.Conn) answer {
	var text []byte
	part := make([]byte, min(4<<10, c.maxBytes+1))
	for {
		n, err := conn.Read(part[:min(len(part), c.maxBytes+1-len(text))])
		if i := bytes.IndexByte(part[:n], 0); i >= 0 {
			return answer{text: append(text, part[:i]...)}
		}
		text = append(text, part[:n]...)
		switch {
		case len(text) > c.maxBytes:
			return answer{text, errTooLarge}
		case foreign(text): // TLS, say, or a protocol with a greeting, which goes on waiting
			return answer{text: nil, cut: errNoNUL}
		case err != nil || ctx.Err() != nil:
			return answer{text, errNoNUL}
		}
	}
}

const bom = "\xef\xbb\xbf"

// foreign says that no XML begins like this, however it goes on. UTF-16 does: such a file cannot be read here, and yet is
// one.
func foreign(text []byte) bool {
	for _, mark := range []string{bom, "\xff\xfe", "\xfe\xff"} {
		if n := min(len(text), len(mark)); string(text[:n]) == mark[:n] && (n < len(mark) || mark != bom) {
			return false
		}
	}
	text = trimFront(text)
	return len(text) > 0 && text[0] != '<'
}

func trimFront(text []byte) []byte {
	return bytes.TrimLeft(bytes.TrimPrefix(text, []byte(bom)), " \t\r\n")
}

// nothing says that the answer has no policy file, not even a bad one.
func (a answer) nothing() bool {
	f, err := a.file()
	return f == nil && err == nil
}

// file returns the policy file, an error if it is malformed, or neither if there is none.
func (a answer) file() (*file, error) {
	if foreign(a.text) || len(trimFront(a.text)) == 0 {
		return nil, nil //nolint:nilnil // no file is an answer, and the usual one
	}
	f, err := parse(a.text)
	switch {
	case errors.Is(err, errOther):
		return nil, nil //nolint:nilnil // as above
	case a.cut != nil:
		return nil, a.cut
	}
	return f, err
}
