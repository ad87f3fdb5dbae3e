package gallery

import (
	"bytes"
	"fmt"
)

// maxRequest is more than a request needs for which every answer is the same.
const maxRequest = 16 << 10

// answer waits for a request, or for the end of whatever else the visitor says, and says who is here. False: there was
// nobody to talk to.
func (e *exhibit) answer(s *tlsServer) bool {
	var request []byte
	for buf := make([]byte, 4<<10); len(request) < maxRequest && !bytes.Contains(request, []byte("\r\n\r\n")); {
		n, err := s.Read(buf)
		request = append(request, buf[:n]...)
		if err != nil && len(request) == 0 {
			// Hung up without a word, or the alert by which the chain was refused: the far end is to see an orderly end.
			_ = s.CloseWrite()
			s.wire.finish()
			return false
		}
		if err != nil {
			break
		}
	}
	body := e.Name + "\n" + e.About + "\n"
	_, err := fmt.Fprintf(s, "HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s",
		len(body), body)
	return err == nil
}
