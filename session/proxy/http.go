package proxy

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"net/textproto"
	"strconv"
	"strings"
)

// maxHead bounds the answer's head, with those of the interim ones before it.
const maxHead = 16 << 10

// askHTTP asks by CONNECT, RFC 9110, section 9.3.6.
func askHTTP(conn io.ReadWriter, cfg Config, target netip.AddrPort) error {
	request := fmt.Appendf(nil, "CONNECT %s HTTP/1.1\r\nHost: %s\r\n", target, target)
	if cfg.Username != "" {
		basic := cfg.basic()
		request = fmt.Appendf(make([]byte, 0, len(request)+len(basic)+64), "%sProxy-Authorization: Basic %s\r\n", request, basic)
		clear(basic)
	}
	request = append(request, "\r\n"...)
	_, err := conn.Write(request)
	clear(request)
	if err != nil {
		return err
	}
	for left := maxHead; ; {
		head, err := readHead(conn, left)
		if err != nil {
			return err
		}
		left -= len(head)
		code, phrase, ok := parseHead(head)
		switch {
		case !ok:
			return &ReplyError{HTTPConnect, "the head of its answer is malformed"}
		case code == http.StatusSwitchingProtocols:
			return &ReplyError{HTTPConnect, "it switches protocols, which it was not asked to"}
		case code/100 == 1:
			continue
		case code/100 == 2:
			// The tunnel begins after the head, whatever Content-Length or
			// Transfer-Encoding say.
			return nil
		}
		if phrase == "" || cfg.echoed(phrase) {
			phrase = http.StatusText(code)
		}
		return &RefusedError{
			Kind:  HTTPConnect,
			Reply: escape(strings.TrimSpace(fmt.Sprintf("%03d %s", code, phrase))),
			// 401 is meant for a peer's own answer, which a tunnel has none of: some proxies
			// say it of credentials that are wrong.
			Auth: code == http.StatusProxyAuthRequired || code == http.StatusUnauthorized,
		}
	}
}

// readHead reads a head, its empty line included, byte by byte: the next byte may
// be the peer's. A line may end in a bare LF (RFC 9112, section 2.2).
func readHead(r io.Reader, limit int) ([]byte, error) {
	const begin = "HTTP/1."
	var head []byte
	var next [1]byte
	for len(head) < limit {
		if _, err := io.ReadFull(r, next[:]); err != nil {
			return nil, err
		}
		head = append(head, next[0])
		// At once: who speaks something else may wait for us to go on.
		if n := len(head); n <= len(begin) && head[n-1] != begin[n-1] {
			return nil, &ReplyError{HTTPConnect, "its answer does not begin as one of HTTP/1 does"}
		}
		if bytes.HasSuffix(head, []byte("\n\r\n")) || bytes.HasSuffix(head, []byte("\n\n")) {
			return head, nil
		}
	}
	return nil, &ReplyError{HTTPConnect, fmt.Sprintf("the head of its answer is longer than %d bytes", maxHead)}
}

// parseHead returns what the status line says, if that and the fields are well
// formed. The fields themselves are not needed.
func parseHead(head []byte) (code int, phrase string, ok bool) {
	r := textproto.NewReader(bufio.NewReader(bytes.NewReader(head)))
	line, err := r.ReadLine()
	if err != nil {
		return 0, "", false
	}
	if _, err = r.ReadMIMEHeader(); err != nil {
		return 0, "", false
	}
	version, rest, _ := strings.Cut(line, " ")
	if _, _, ok := http.ParseHTTPVersion(version); !ok {
		return 0, "", false
	}
	digits, phrase, _ := strings.Cut(rest, " ")
	n, err := strconv.ParseUint(digits, 10, 16)
	if err != nil || len(digits) != 3 {
		return 0, "", false
	}
	return int(n), strings.TrimSpace(phrase), true
}
