package server_test

import (
	"context"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"securesocket/server"
	"securesocket/server/servertest"
	"securesocket/session"
	"securesocket/tlsengine/forge"
	"securesocket/tlsengine/tlstest"
)

func TestWhatThePolicyDeniesIsNotFetched(t *testing.T) {
	t.Parallel()
	p := publish(t)
	inside := netip.MustParseAddr("10.11.12.13")
	for name, url := range map[string]string{
		"an address inside":            "http://10.11.12.13/crl",
		"the metadata service":         "http://169.254.169.254/crl",
		"a name that leads inside":     "http://inside.test/crl",
		"a name that is not allowed":   "http://other.test/crl",
		"a name that leads astray":     "http://denied.test/crl",
		"an address in another form":   "http://0x0a0b0c0d/crl",
		"an IPv6 form of it":           "http://[::ffff:10.11.12.13]/crl",
		"port 25":                      "http://10.11.12.13:25/crl",
		"over TLS":                     strings.Replace(p.url, "http:", "https:", 1) + "/crl",
		"a file":                       "file:///etc/passwd",
		"with a password":              strings.Replace(p.url, "//", "//user:secret@", 1) + "/crl",
		"a name that there is not":     "http://missing.test/crl",
		"a port that is not one":       "http://127.0.0.1:99999/crl",
		"nobody":                       "http:///crl",
		"a name with a dot at the end": "http://inside.test./crl",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ca := tlstest.NewCA(t)
			addr := serveChain(t, ca.Leaf(forge.CRLDistributionPoint(url)))
			count, dials := countedDials()
			c := servertest.Start(t, count, servertest.AllowEgress(t, "127.0.0.0/8", "inside.test", "missing.test"),
				func(sc *session.Config, _ *server.Config) {
					sc.Resolver = namesInside{"inside.test.": inside, "denied.test.": inside}
				}).Client(t)
			s := newIdle(t.Context(), t, c, ca, checking(soft))
			_, err := tryConnect(t.Context(), t, c, s, addr)
			require.NoError(t, err)
			report := certificateStatus(t, c, s).GetReport()
			require.Equal(t, notChecked, report.GetRevocation()[0].GetOutcome())
			require.NotEmpty(t, report.GetRevocation()[0].GetDetail())
			want := map[string]int{addr: 1}
			if name == "a name that leads inside" || name == "a name with a dot at the end" {
				// The operator has allowed the name, and with it where it leads.
				got := dials()
				require.LessOrEqual(t, got["10.11.12.13:80"], 1)
				delete(got, "10.11.12.13:80")
				require.Equal(t, want, got)
				return
			}
			require.Equal(t, want, dials(), "the peer alone")
			if !strings.Contains(url, "10.11.12.13") {
				require.NotContains(t, report.GetRevocation()[0].GetDetail(), "10.11.12.13", "what a name leads to is the operator's")
				require.NotContains(t, report.GetRevocation()[0].GetDetail(), "10.53.53.53", "his name server too")
			}
			s = newIdle(t.Context(), t, c, ca, checking(hard))
			_, err = tryConnect(t.Context(), t, c, s, addr)
			require.Equal(t, "REVOCATION_UNAVAILABLE", reasonOf(t, err))
		})
	}
	require.Zero(t, p.times("/crl"))
}

// namesInside resolves some names and has a name server that is not to be told.
type namesInside map[string]netip.Addr

func (n namesInside) LookupNetIP(_ context.Context, _, host string) ([]netip.Addr, error) {
	if a, ok := n[host]; ok {
		return []netip.Addr{a}, nil
	}
	return nil, &net.DNSError{Err: "no such host", Name: host, Server: "10.53.53.53:53", IsNotFound: true}
}

func TestFetchesObeyThePolicyByName(t *testing.T) {
	t.Parallel()
	ca, p := tlstest.NewCA(t), publish(t)
	p.at("/crl", bytesAt(ca.CRL(forge.List{})))
	addr := serveChain(t, ca.Leaf(forge.CRLDistributionPoint("http://crl.test:"+p.port+"/crl")))
	count, dials := countedDials()
	c := servertest.Start(t, count, servertest.AllowEgress(t, "127.0.0.0/8", "crl.test"), func(sc *session.Config, _ *server.Config) {
		sc.Resolver = namesInside{"crl.test.": netip.MustParseAddr("127.0.0.1")}
	}).Client(t)
	s := newIdle(t.Context(), t, c, ca, checking(hard))
	connectTo(t.Context(), t, c, s, addr)
	require.Equal(t, fromCRL, certificateStatus(t, c, s).GetReport().GetRevocation()[0].GetSource())
	require.Equal(t, map[string]int{addr: 1, "127.0.0.1:" + p.port: 1}, dials())
	s = newIdle(servertest.As(t.Context(), "another"), t, c, ca, checking(hard))
	_, err := tryConnect(servertest.As(t.Context(), "another"), t, c, s, addr)
	require.NoError(t, err)
	require.Equal(t, 2, p.times("/crl"), "everybody asks for himself")
}

func TestBadPublishers(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]http.HandlerFunc{
		"redirects": func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/good", http.StatusFound) },
		"moved": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "/good", http.StatusPermanentRedirect)
		},
		"500":     func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) },
		"nothing": func(http.ResponseWriter, *http.Request) {},
		"hangs up": func(w http.ResponseWriter, _ *http.Request) {
			conn, _, err := http.NewResponseController(w).Hijack()
			if err == nil {
				_ = conn.Close()
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ca, p := tlstest.NewCA(t), publish(t)
			leaf := ca.Leaf(forge.CRLDistributionPoint(p.url + "/crl"))
			p.at("/crl", answer)
			p.at("/good", bytesAt(ca.CRL(forge.List{})))
			addr := serveChain(t, leaf)
			count, dials := countedDials()
			c := servertest.Start(t, count).Client(t)
			s := newIdle(t.Context(), t, c, ca, checking(soft))
			connectTo(t.Context(), t, c, s, addr)
			result := certificateStatus(t, c, s).GetReport().GetRevocation()[0]
			require.Equal(t, notChecked, result.GetOutcome())
			require.NotEmpty(t, result.GetDetail())
			require.Zero(t, p.times("/good"))
			require.Equal(t, 1, dials()[strings.TrimPrefix(p.url, "http://")])
		})
	}
}
