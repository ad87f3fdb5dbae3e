package proxytest

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
)

// serveHTTP answers one CONNECT, RFC 9110, section 9.3.6.
func (p *Proxy) serveHTTP(conn net.Conn) {
	early := bufio.NewReader(conn)
	req, err := http.ReadRequest(early)
	switch {
	case err != nil:
		answerHTTP(conn, http.StatusBadRequest, "")
		return
	case req.Method != http.MethodConnect:
		answerHTTP(conn, http.StatusMethodNotAllowed, "Allow: CONNECT\r\n")
		return
	case !p.admits(req):
		answerHTTP(conn, http.StatusProxyAuthRequired, "Proxy-Authenticate: Basic realm=\"proxytest\"\r\n")
		return
	}
	p.asked(req.Host)
	if p.options.refuse != 0 {
		answerHTTP(conn, p.options.refuse, "")
		return
	}
	peer, err := p.dial(req.Host)
	if err != nil {
		answerHTTP(conn, http.StatusBadGateway, "")
		return
	}
	defer p.release(peer)
	if _, err := io.WriteString(conn, "HTTP/1.1 200 Connection established\r\n\r\n"); err != nil {
		return
	}
	splice(early, conn.(*net.TCPConn), peer)
}

// admits says whether the request has the credentials that the proxy wants.
func (p *Proxy) admits(req *http.Request) bool {
	if p.options.username == "" {
		return true
	}
	// The same syntax as of Authorization, for which there is a parser.
	as := http.Request{Header: http.Header{"Authorization": req.Header["Proxy-Authorization"]}}
	username, password, ok := as.BasicAuth()
	return ok && username == p.options.username && password == p.options.password
}

func answerHTTP(conn net.Conn, status int, fields string) {
	_, _ = fmt.Fprintf(conn, "HTTP/1.1 %03d %s\r\n%sContent-Length: 0\r\n\r\n", status, http.StatusText(status), fields)
}
