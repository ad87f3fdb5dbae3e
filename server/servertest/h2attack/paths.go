package h2attack

import (
	"context"
	"fmt"
	"strings"

	"golang.org/x/net/http2/hpack"
)

// Spellings returns ways to write a path, "/package.Service/Method", that are not
// it, by what is wrong with them.
func Spellings(path string) map[string]string {
	bare := strings.TrimPrefix(path, "/")
	service, method, _ := strings.Cut(bare, "/")
	return map[string]string{
		"no leading slash":        bare,
		"two leading slashes":     "/" + path,
		"two slashes within":      "/" + service + "//" + method,
		"escaped slash within":    "/" + service + "%2f" + method,
		"escaped slash, upper":    "/" + service + "%2F" + method,
		"escaped leading slash":   "%2f" + bare,
		"escaped letter":          fmt.Sprintf("/%%%02x%s", bare[0], bare[1:]),
		"trailing slash":          path + "/",
		"trailing space":          path + " ",
		"leading space":           " " + path,
		"trailing dot":            path + ".",
		"query":                   path + "?x=1",
		"empty query":             path + "?",
		"fragment":                path + "#x",
		"parameters":              path + ";x=1",
		"dot segment":             "/." + path,
		"parent segment":          "/x/.." + path,
		"parent at the end":       path + "/x/..",
		"backslash":               "\\" + service + "\\" + method,
		"upper case":              strings.ToUpper(path),
		"lower case":              strings.ToLower(path),
		"scheme and host":         "http://h2attack" + path,
		"NUL at the end":          path + "\x00",
		"tab within":              "/" + service + "/\t" + method,
		"full-width slash":        "/" + service + "\uff0f" + method,
		"service of another name": "/" + service + "x/" + method,
		"unknown service":         "/example.Unknown/" + method,
		"unknown method":          "/" + service + "/Unknown",
		"no method":               "/" + service,
		"empty method":            "/" + service + "/",
		"empty service":           "//" + method,
		"only a slash":            "/",
		"star":                    "*",
		"reflection of old":       "/grpc.reflection.v1alpha.ServerReflection/" + method,
	}
}

// PathTricks calls each spelling of Path, and what is not gRPC under the right
// one, and tells the answers in Result.Paths.
func PathTricks(ctx context.Context, dial Dialer, o Options) (Result, error) {
	w, err := open(ctx, dial, o)
	if err != nil {
		return Result{}, err
	}
	w.listen()
	streams := make(map[uint32]string)
	call := func(name string, fields ...hpack.HeaderField) {
		stream := w.call(false, fields...)
		streams[stream] = name
		w.sent(w.fr.WriteData(stream, true, make([]byte, 5))) // an empty message
	}
	for name, path := range Spellings(w.o.Path) {
		call(name, hpack.HeaderField{Name: ":path", Value: path})
	}
	call("no path", hpack.HeaderField{Name: ":path"})
	for name, contentType := range map[string]string{
		"gRPC-Web": "application/grpc-web+proto", "gRPC-Web, text": "application/grpc-web-text", "JSON": "application/json",
	} {
		call(name, hpack.HeaderField{Name: "content-type", Value: contentType})
	}
	call("GET", hpack.HeaderField{Name: ":method", Value: "GET"})
	call("OPTIONS", hpack.HeaderField{Name: ":method", Value: "OPTIONS"})
	w.waitFor = len(streams)
	r, err := w.finish()
	r.Paths = make(map[string]string)
	w.mu.Lock()
	defer w.mu.Unlock()
	for stream, name := range streams {
		r.Paths[name] = "none"
		if a := w.answers[stream]; a != "" {
			r.Paths[name] = a
		}
	}
	return r, err
}
