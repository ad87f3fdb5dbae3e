package main

import (
	"encoding/json"
	"net"
	"net/http"
	"net/http/pprof" // it registers at http.DefaultServeMux too, which nothing serves
	"net/netip"
	"strconv"
	"strings"
	"time"

	"securesocket/server/metrics"
)

// maxProfile is how long a profile may be taken, in seconds.
const maxProfile = 300

// adminHandler has everything that operators look at. Own is the TCP address that it
// is served on, invalid for a Unix socket.
func adminHandler(cfg adminConfig, reason func() string, own netip.AddrPort) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { say(w, http.StatusOK, "ok") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		why := reason()
		if why == "" && cfg.Ready != nil {
			if err := cfg.Ready(); err != nil {
				why = err.Error()
			}
		}
		if why != "" {
			say(w, http.StatusServiceUnavailable, why)
			return
		}
		say(w, http.StatusOK, "ready")
	})
	if cfg.Metrics != nil {
		mux.Handle("GET /metrics", cfg.Metrics)
	}
	if cfg.Policy != nil {
		mux.HandleFunc("GET /policy", func(w http.ResponseWriter, _ *http.Request) { showPolicy(w, cfg.Policy()) })
	}
	mux.HandleFunc("GET /debug/pprof/{$}", pprof.Index)
	mux.HandleFunc("GET /debug/pprof/{name}", bounded(pprof.Index))
	mux.HandleFunc("GET /debug/pprof/profile", bounded(pprof.Profile))
	mux.HandleFunc("GET /debug/pprof/trace", bounded(pprof.Trace))
	mux.HandleFunc("GET /debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
	return guarded(mux, own)
}

// say answers with one line.
func say(w http.ResponseWriter, code int, line string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(code)
	_, _ = w.Write([]byte(line + "\n"))
}

func showPolicy(w http.ResponseWriter, p metrics.Policy) {
	shown := struct {
		Revision string     `json:"revision"`
		Loaded   *time.Time `json:"loaded,omitempty"`
	}{Revision: p.Revision}
	if !p.Loaded.IsZero() {
		utc := p.Loaded.UTC()
		shown.Loaded = &utc
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(shown)
}

// bounded refuses to take a profile for too long: it costs all callers.
func bounded(profile http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		seconds, err := strconv.ParseFloat(r.URL.Query().Get("seconds"), 64)
		if err == nil && !(seconds <= maxProfile) { // not a number is refused too
			say(w, http.StatusBadRequest, "seconds is at most "+strconv.Itoa(maxProfile))
			return
		}
		profile(w, r)
	}
}

// guarded keeps browsers' pages out, which reach loopback addresses for whoever wrote
// them: by a name of his that leads here (DNS rebinding), or across sites.
func guarded(next http.Handler, own netip.AddrPort) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Cache-Control", "no-store")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'")
		if own.IsValid() && !isOwnHost(r.Host, own) {
			say(w, http.StatusForbidden, "the Host header has to be localhost, 127.0.0.1 or [::1], with the port")
			return
		}
		if crossSite(r.Header) {
			say(w, http.StatusForbidden, "requests of other sites' pages are refused")
			return
		}
		next.ServeHTTP(w, r)
	})
}

// crossSite says whether a page sent the request, other than by a link that was
// clicked here.
func crossSite(h http.Header) bool {
	if _, ok := h["Origin"]; ok {
		return true
	}
	for _, site := range h["Sec-Fetch-Site"] {
		if site != "none" && site != "same-origin" {
			return true
		}
	}
	return false
}

// isOwnHost says whether a Host header names the address that is served.
func isOwnHost(host string, own netip.AddrPort) bool {
	name, port, err := net.SplitHostPort(host)
	if err != nil || port != strconv.Itoa(int(own.Port())) {
		return false
	}
	switch {
	case strings.ToLower(name) == "localhost", name == "127.0.0.1", name == "::1": // EqualFold would take a long s for an s
		return true
	}
	return name == own.Addr().String()
}
