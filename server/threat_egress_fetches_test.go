package server_test

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"securesocket/server"
	"securesocket/server/servertest"
	"securesocket/session"
	"securesocket/tlsengine/forge"
	"securesocket/tlsengine/tlstest"
)

// misbehaviours are what a server of CRLs or OCSP can do to the service, which has
// one thing inside to be led to.
func misbehaviours(inside string) map[string]http.HandlerFunc {
	redirect := func(code int, to string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Location", to); w.WriteHeader(code) }
	}
	insideURL := "http://" + inside + "/answer"
	all := map[string]http.HandlerFunc{
		"redirect to a metadata service": redirect(http.StatusFound, "http://169.254.169.254/latest/meta-data/"),
		"redirect by a path alone":       redirect(http.StatusTemporaryRedirect, "//"+inside+"/answer"),
		"redirect to a file":             redirect(http.StatusFound, "file:///etc/passwd"),
		"redirect to a directory":        redirect(http.StatusFound, "ldap://"+inside+"/cn=crl"),
		"a list of choices":              redirect(http.StatusMultipleChoices, insideURL),
		"use a proxy":                    redirect(http.StatusUseProxy, insideURL),
		"another place for a new one":    redirect(http.StatusCreated, insideURL),
		"Refresh": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Refresh", "0; url="+insideURL)
		},
		"another service": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Alt-Svc", fmt.Sprintf("h2=%q; ma=3600", inside))
			w.Header().Set("Content-Location", insideURL)
		},
		"upgrade": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Connection", "Upgrade")
			w.Header().Set("Upgrade", "h2c")
			w.WriteHeader(http.StatusSwitchingProtocols)
		},
		"gzip bomb": func(w http.ResponseWriter, _ *http.Request) {
			var packed bytes.Buffer
			zip := gzip.NewWriter(&packed)
			_, _ = zip.Write(make([]byte, 64<<20))
			_ = zip.Close()
			w.Header().Set("Content-Encoding", "gzip")
			_, _ = w.Write(packed.Bytes())
		},
		"more than is read": func(w http.ResponseWriter, _ *http.Request) {
			zeros := make([]byte, 1<<20)
			for range 33 {
				if _, err := w.Write(zeros); err != nil {
					return
				}
			}
		},
		"a length that is a lie": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "9223372036854775807")
			_, _ = io.WriteString(w, "0")
		},
		"a drip": func(w http.ResponseWriter, r *http.Request) {
			for r.Context().Err() == nil {
				_, _ = w.Write([]byte{0x30})
				_ = http.NewResponseController(w).Flush()
				time.Sleep(100 * time.Millisecond)
			}
		},
		"headers without end": raw(func(conn net.Conn) {
			_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\n")
			for i := 0; ; i++ {
				if _, err := fmt.Fprintf(conn, "X-%d: %s\r\n", i, strings.Repeat("x", 1000)); err != nil {
					return
				}
			}
		}),
		"continue without end": raw(func(conn net.Conn) {
			for {
				if _, err := io.WriteString(conn, "HTTP/1.1 100 Continue\r\n\r\n"); err != nil {
					return
				}
			}
		}),
		"no HTTP": raw(func(conn net.Conn) { _, _ = io.WriteString(conn, "SSH-2.0-x\r\n") }),
	}
	for _, code := range []int{301, 302, 303, 307, 308} {
		all[fmt.Sprintf("redirect %d", code)] = redirect(code, insideURL)
	}
	return all
}

// raw answers by bytes.
func raw(answer func(net.Conn)) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		defer conn.Close()
		_ = conn.SetWriteDeadline(time.Now().Add(patience))
		answer(conn)
	}
}

// Threat 13. Servers of CRLs and OCSP that lead inside, or that are in no hurry: each
// is asked once, where the policy lets it be, and nobody else. The certificate is not
// taken for checked.
func TestThreat13HostileRevocationServers(t *testing.T) {
	t.Parallel()
	for kind, at := range map[string]func(string) tlstest.Option{
		"CRL":  func(url string) tlstest.Option { return forge.CRLDistributionPoint(url) },
		"OCSP": func(url string) tlstest.Option { return forge.OCSPServer(url) },
	} {
		inside, connections := countingPeer(t)
		for name, behave := range misbehaviours(inside) {
			t.Run(kind+"/"+name, func(t *testing.T) {
				t.Parallel()
				ca, p := tlstest.NewCA(t), publish(t)
				p.at("/answer", behave)
				addr := serveChain(t, ca.Leaf(at(p.url+"/answer")))
				publisher := strings.TrimPrefix(p.url, "http://")
				w, watched := watchSockets(func(ap netip.AddrPort) bool { return ap.String() == addr || ap.String() == publisher })
				c := servertest.Start(t, servertest.AllowEgress(t, addr, publisher), watched).Client(t)
				_, err := tryConnect(t.Context(), t, c, newIdle(t.Context(), t, c, ca, checking(hard)), addr)
				require.Equal(t, "REVOCATION_UNAVAILABLE", reasonOf(t, err))
				require.Equal(t, 1, p.times("/answer"))
				require.Equal(t, 2, w.attempts(), "the peer, and the server that the leaf names")
				s := newIdle(t.Context(), t, c, ca, checking(soft))
				connectTo(t.Context(), t, c, s, addr)
				require.Equal(t, notChecked, certificateStatus(t, c, s).GetReport().GetRevocation()[0].GetOutcome())
				require.Zero(t, connections.Load())
			})
		}
	}
}

// A leaf names the inside itself, in more ways than one, for OCSP as for CRLs.
func TestThreat13URLsThatLeadInside(t *testing.T) {
	t.Parallel()
	inside, connections := countingPeer(t)
	_, port, err := net.SplitHostPort(inside)
	require.NoError(t, err)
	for _, url := range []string{
		"http://127.0.0.1:" + port, "http://[::1]:" + port, "http://[::ffff:7f00:1]:" + port, "http://localhost:" + port,
		"http://127.1:" + port, "http://0x7f000001:" + port, "http://2130706433:" + port, "http://0:" + port, "http://0.0.0.0:" + port, "http://[::]:" + port,
		"http://[64:ff9b::7f00:1]:" + port, "http://127.0.0.1.:" + port, "http://１２７.0.0.1:" + port, "http://[::1%25lo]:" + port,
		"ldap://127.0.0.1:" + port + "/cn=x", "ftp://127.0.0.1:" + port, "gopher://127.0.0.1:" + port + "/_x", "file:///etc/passwd", "HTTP://LOCALHOST:" + port,
		"http://outside.example@127.0.0.1:" + port, "http://metadata.google.internal", "http://a.localhost:" + port, "http://rebound.example:" + port,
	} {
		t.Run(strings.NewReplacer("/", "_", port, "PORT").Replace(url), func(t *testing.T) {
			t.Parallel()
			ca := tlstest.NewCA(t)
			addr := serveChain(t, ca.Leaf(forge.CRLDistributionPoint(url+"/crl"), forge.OCSPServer(url+"/ocsp")))
			_, peerPort := hostPort(t, addr)
			w, watched := watchSockets(func(ap netip.AddrPort) bool { return ap.Addr().IsLoopback() })
			c := servertest.Start(t, servertest.AllowEgress(t, addr), watched, insideNames).Client(t)
			_, err := tryConnect(t.Context(), t, c, newIdle(t.Context(), t, c, ca, checking(hard)), addr)
			require.Equal(t, "REVOCATION_UNAVAILABLE", reasonOf(t, err))
			require.Equal(t, 1, w.passedTo(netip.AddrPortFrom(netip.MustParseAddr(insideAddr), uint16(peerPort)))) //nolint:gosec // a port
			require.Equal(t, 1, w.attempts(), "the peer alone")
		})
	}
	t.Cleanup(func() { require.Zero(t, connections.Load()) })
}

// insideNames resolves every name to the inside.
func insideNames(sc *session.Config, _ *server.Config) { sc.Resolver = addressList{insideAddr} }
