package gallery

import (
	"io"
	"net/http"

	"golang.org/x/crypto/ocsp"
)

// maxOCSPRequest is more than a request about one certificate has.
const maxOCSPRequest = 16 << 10

// responders are what certificates point to, by path. They do not change once the gallery is open.
type responders struct {
	base  string // of their URLs, without a slash at the end
	paths map[string]http.HandlerFunc
}

func newResponders(base string) *responders {
	return &responders{base: base, paths: make(map[string]http.HandlerFunc)}
}

func (r *responders) url(path string) string { return r.base + path }

func (r *responders) file(path, contentType string, content []byte) {
	r.paths["GET "+path] = func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", contentType)
		_, _ = w.Write(content)
	}
}

// responder answers by POST (RFC 6960, appendix A.1).
func (r *responders) responder(path string, answer func(*ocsp.Request) ([]byte, error)) {
	r.paths["POST "+path] = func(w http.ResponseWriter, req *http.Request) {
		w.Header().Set("Content-Type", "application/ocsp-response")
		body, err := io.ReadAll(http.MaxBytesReader(w, req.Body, maxOCSPRequest))
		if err != nil {
			return // there is nobody left to answer
		}
		asked, err := ocsp.ParseRequest(body)
		if err != nil {
			_, _ = w.Write(ocsp.MalformedRequestErrorResponse)
			return
		}
		content, err := answer(asked)
		if err != nil {
			content = ocsp.InternalErrorErrorResponse
		}
		_, _ = w.Write(content)
	}
}

// down is a responder that is out of order.
func (r *responders) down(path string) {
	r.paths[path] = func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "out of order", http.StatusServiceUnavailable)
	}
}
