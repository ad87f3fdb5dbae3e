package gallery

import (
	_ "embed"
	"fmt"
	"html/template"
	"net/http"
	"strings"
	texttemplate "text/template"

	"securesocket/tlsengine/revocation"
)

var (
	//go:embed page.html
	htmlPage string
	//go:embed page.txt
	textPage string
)

var (
	htmlTemplate = template.Must(template.New("html").Parse(htmlPage))
	textTemplate = texttemplate.Must(texttemplate.New("text").Parse(textPage))
)

// RootPath is where the page has the root certificate.
const RootPath = "/root.pem"

// Command is a command line that tries the host, from a folder that holds the root as root.pem, in a POSIX shell. It ends
// with the reason that the host stands for.
func (g *Gallery) Command(h Host) string {
	ip := g.address[:strings.LastIndexByte(g.address, ':')]
	before, command := "", "status "
	if h.Group == GroupEnding {
		// Only who sends a request and reads the answer sees how it ends. The host is to end before the client does.
		before, command = `printf 'GET / HTTP/1.1\r\nHost: `+h.Name+`\r\n\r\n' | `, "connect --no-half-close "
	}
	line := before + "securesocket --embedded --egress-allow " + strings.Trim(ip, "[]") + " " + command + g.address +
		" --no-system-roots --cafile root.pem --server-name " + h.Name
	if h.VerifyName != h.Name {
		line += " --verify-name '" + h.VerifyName + "'"
	}
	if h.Revocation == revocation.Hard {
		line += " --revocation hard"
	}
	for _, protocol := range h.ALPN {
		line += " --alpn " + protocol
	}
	if h.RequireALPN {
		line += " --require-alpn"
	}
	return line
}

// room is one group of the page.
type room struct {
	Group Group
	Hosts []shown
}

type shown struct {
	Host
	Command string
	Needs   string // what the client is asked for beyond the defaults, for people
	Good    bool
}

// pages is what is served without TLS.
func (g *Gallery) pages() (http.Handler, error) {
	var rooms []room
	for _, h := range g.Hosts() {
		if len(rooms) == 0 || rooms[len(rooms)-1].Group != h.Group {
			rooms = append(rooms, room{Group: h.Group})
		}
		last := &rooms[len(rooms)-1]
		last.Hosts = append(last.Hosts, shown{h, g.Command(h), needs(h), h.Reason == ""})
	}
	data := map[string]any{"Address": g.address, "URL": g.URL(), "Root": RootPath, "Rooms": rooms, "Count": len(g.exhibits),
		"Example": g.Command(g.byName["expired"+suffix].Host), "Good": g.exhibits[0].Name}
	var html, text strings.Builder
	if err := htmlTemplate.Execute(&html, data); err != nil {
		return nil, err
	}
	if err := textTemplate.Execute(&text, data); err != nil {
		return nil, err
	}

	mux := http.NewServeMux()
	for path, handle := range g.outside.paths {
		mux.HandleFunc(path, handle)
	}
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Vary", "Accept")
		if strings.Contains(r.Header.Get("Accept"), "text/html") {
			w.Header().Set("Content-Type", "text/html; charset=utf-8")
			_, _ = fmt.Fprint(w, html.String())
			return
		}
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		_, _ = fmt.Fprint(w, text.String())
	})
	mux.HandleFunc("GET "+RootPath, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/x-pem-file")
		_, _ = w.Write(g.RootPEM())
	})
	return mux, nil
}

func needs(h Host) string {
	var all []string
	if h.Revocation == revocation.Hard {
		all = append(all, "revocation HARD")
	}
	if h.RequireALPN {
		all = append(all, "an application protocol is required")
	}
	return strings.Join(all, ", ")
}
