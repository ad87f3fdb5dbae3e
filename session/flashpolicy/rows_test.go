package flashpolicy_test

import (
	"crypto/tls"
	"net"
	"strconv"
	"testing"

	"securesocket/session/flashpolicy"
	"securesocket/tlsengine/tlstest"

	"github.com/stretchr/testify/require"
)

// TestA130: any port of any host needs a file.
func TestA130(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"example.com", "localhost", "127.0.0.1", "::1"} {
		for _, port := range []int{1, 80, 443, 1023, 1024, 8080, 65535} {
			h := newHost(t, nil)
			err := checker(t, flashpolicy.Config{Origin: name}).Check(t.Context(), name, port, h.dial, nil)
			at := func(port int) string { return net.JoinHostPort(name, strconv.Itoa(port)) }
			requireDenied(t, err, flashpolicy.RuleNone, at(843)+", "+at(port))
			require.Equal(t, []string{"843", strconv.Itoa(port)}, h.asked)
		}
	}
}

// TestA131: as in AIR's application sandbox, nobody is asked unless this is turned on.
func TestA131(t *testing.T) {
	t.Parallel()
	var off *flashpolicy.Checker
	h := newHost(t, nil)
	require.NoError(t, off.Check(t.Context(), "example.com", 443, h.dial, h.secureDial))
	require.Empty(t, h.asked)
}

// TestA132: the master file first, then the port itself, then those that the operator names.
func TestA132(t *testing.T) {
	t.Parallel()
	elsewhere := policy(`<allow-access-from domain="*" to-ports="1"/>`)
	for name, tc := range map[string]struct {
		port         int
		more         []int
		ports        map[int]func(net.Conn)
		asked        []string
		rule, source string
	}{
		"the master file grants": {5000, nil, map[int]func(net.Conn){843: says(policy(everybody))}, []string{"843"}, "", ""},
		"no master file":         {5000, nil, map[int]func(net.Conn){5000: says(policy(everybody))}, []string{"843", "5000"}, "", ""},
		"the master file does not grant": {5000, nil, map[int]func(net.Conn){843: says(elsewhere), 5000: says(policy(everybody))},
			[]string{"843", "5000"}, "", ""},
		"no file grants": {5000, nil, map[int]func(net.Conn){843: says(elsewhere), 5000: says(elsewhere)},
			[]string{"843", "5000"}, flashpolicy.RuleNotAllowed, "h:5000"},
		"only a master file, which does not grant": {5000, nil, map[int]func(net.Conn){843: says(elsewhere)},
			[]string{"843", "5000"}, flashpolicy.RuleNotAllowed, "h:843"},
		"another port": {5000, []int{6000, 7000}, map[int]func(net.Conn){7000: says(policy(everybody))},
			[]string{"843", "5000", "6000", "7000"}, "", ""},
		"each once": {5000, []int{843, 5000, 6000, 6000}, nil,
			[]string{"843", "5000", "6000"}, flashpolicy.RuleNone, "h:843, h:5000, h:6000"},
		"to the master's port": {843, nil, map[int]func(net.Conn){843: says(elsewhere)},
			[]string{"843"}, flashpolicy.RuleNotAllowed, "h:843"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHost(t, tc.ports)
			err := checker(t, flashpolicy.Config{Ports: tc.more}).Check(t.Context(), "h", tc.port, h.dial, nil)
			require.Equal(t, tc.asked, h.asked)
			if tc.rule == "" {
				require.NoError(t, err)
				return
			}
			requireDenied(t, err, tc.rule, tc.source)
		})
	}
}

// TestA133: what is asked, and what the elements of the answer mean.
func TestA133(t *testing.T) {
	t.Parallel()
	meta := func(value string) string {
		return `<site-control permitted-cross-domain-policies="` + value + `"/>`
	}
	nobody := policy(`<allow-access-from domain="other.example" to-ports="*"/>`)
	for name, tc := range map[string]struct {
		master, own  string
		rule, source string
	}{
		"with a prologue": {master: `<?xml version="1.0" encoding="UTF-8"?>` + "\n" +
			`<!DOCTYPE cross-domain-policy SYSTEM "http://www.adobe.com/xml/dtds/cross-domain-policy.dtd">` + "\n" + policy(everybody)},
		"to the origin": {master: policy(`<allow-access-from domain="*.example.com" to-ports="80, 4000-5000"/>`)},
		"to another origin": {master: nobody, own: nobody,
			rule: flashpolicy.RuleNotAllowed, source: "h:5000"},
		"all": {master: policy(meta("all")), own: policy(everybody)},
		"none, though it grants": {master: policy(meta("none") + everybody), own: policy(everybody),
			rule: flashpolicy.RuleMetaPolicy, source: "h:843"},
		"master-only": {master: policy(meta("master-only")), own: policy(everybody),
			rule: flashpolicy.RuleNotAllowed, source: "h:843"},
		"master-only, which grants": {master: policy(meta("master-only") + everybody)},
		"of HTTP":                   {master: policy(meta("by-content-type")), own: policy(everybody)},
		"of FTP":                    {master: policy(meta("by-ftp-filename")), own: policy(everybody)},
		"misspelt": {master: policy(meta("masteronly") + everybody), own: policy(everybody),
			rule: flashpolicy.RuleMalformed, source: "h:843"},
		"none, from another port": {master: policy(""), own: policy(meta("none") + everybody)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHost(t, map[int]func(net.Conn){843: says(tc.master), 5000: says(tc.own)})
			err := checker(t, flashpolicy.Config{Origin: "www.Example.com."}).Check(t.Context(), "h", 5000, h.dial, nil)
			if tc.rule == "" {
				require.NoError(t, err)
				return
			}
			requireDenied(t, err, tc.rule, tc.source)
		})
	}
}

// TestA134: a file from a port below 1024 may grant any port, another none below 1024.
func TestA134(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		from, port int
		allowed    bool
	}{
		{843, 25, true}, {843, 5000, true}, {25, 25, true}, {1023, 25, true}, {1023, 5000, true},
		{5000, 5000, true}, {1024, 1024, true}, {1024, 5000, true}, {5000, 1024, true},
		{1024, 1023, false}, {5000, 25, false}, {65535, 443, false},
	} {
		for _, to := range []string{"*", "1-65535", strconv.Itoa(tc.port)} {
			h := newHost(t, map[int]func(net.Conn){tc.from: says(policy(`<allow-access-from domain="*" to-ports="` + to + `"/>`))})
			err := checker(t, flashpolicy.Config{Ports: []int{tc.from}}).Check(t.Context(), "h", tc.port, h.dial, nil)
			if tc.allowed {
				require.NoError(t, err, "%d from %d", tc.port, tc.from)
				continue
			}
			requireDenied(t, err, flashpolicy.RuleNotAllowed, "h:"+strconv.Itoa(tc.from))
		}
	}
}

// TestA135: a port that speaks TLS is asked again over TLS, where the connect is to be secure.
func TestA135(t *testing.T) {
	t.Parallel()
	ca := tlstest.NewCA(t)
	leaf := ca.Leaf()
	over := func(handle func(net.Conn)) func(net.Conn) {
		return func(raw net.Conn) {
			conn := tls.Server(raw, &tls.Config{Certificates: []tls.Certificate{leaf.Certificate()}})
			handle(conn)
			_ = conn.Close()
		}
	}
	garbage := func(conn net.Conn) { _, _ = conn.Write([]byte("\x15\x03\x01\x00\x02\x02\x28")) }
	nobody := policy("")
	for name, tc := range map[string]struct {
		ports        map[int]func(net.Conn)
		plain        bool // the connect, not the file
		asked        []string
		rule, source string
	}{
		"over TLS": {ports: map[int]func(net.Conn){443: over(says(policy(everybody)))}, asked: []string{"843", "443", "443s"}},
		"over TLS, not granted": {ports: map[int]func(net.Conn){443: over(says(nobody))}, asked: []string{"843", "443", "443s"},
			rule: flashpolicy.RuleNotAllowed, source: "h:443 over TLS"},
		"over TLS, malformed": {ports: map[int]func(net.Conn){443: over(says("<cross-domain-policy>"))}, asked: []string{"843", "443", "443s"},
			rule: flashpolicy.RuleMalformed, source: "h:443 over TLS"},
		"over TLS, no file": {ports: map[int]func(net.Conn){443: over(says("HTTP/1.1 400 Bad Request\r\n\r\n"))}, asked: []string{"843", "443", "443s"},
			rule: flashpolicy.RuleNone, source: "h:843, h:443"},
		"the handshake fails": {ports: map[int]func(net.Conn){443: garbage}, asked: []string{"843", "443", "443s"},
			rule: flashpolicy.RuleNone, source: "h:843, h:443"},
		"in clear is enough": {ports: map[int]func(net.Conn){443: says(policy(everybody))}, asked: []string{"843", "443"}},
		"a master file over TLS": {ports: map[int]func(net.Conn){843: over(says(policy(`<site-control permitted-cross-domain-policies="none"/>`)))},
			asked: []string{"843", "843s"}, rule: flashpolicy.RuleMetaPolicy, source: "h:843 over TLS"},
		"a plain connect": {plain: true, ports: map[int]func(net.Conn){443: over(says(policy(everybody)))}, asked: []string{"843", "443"},
			rule: flashpolicy.RuleNone, source: "h:843, h:443"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHost(t, tc.ports)
			h.pool = &tls.Config{RootCAs: ca.Pool(), ServerName: "localhost"}
			var secureDial flashpolicy.Dial = h.secureDial
			if tc.plain {
				secureDial = nil
			}
			err := checker(t, flashpolicy.Config{}).Check(t.Context(), "h", 443, h.dial, secureDial)
			require.Equal(t, tc.asked, h.asked)
			if tc.rule == "" {
				require.NoError(t, err)
				return
			}
			requireDenied(t, err, tc.rule, tc.source)
		})
	}
}
