package gallery_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"html"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/ocsp"

	"securesocket/tlsengine/gallery"
)

// get asks the page's side of the port.
func get(tb testing.TB, url, accept string) (body []byte, contentType string) {
	tb.Helper()
	req, err := http.NewRequestWithContext(tb.Context(), http.MethodGet, url, nil)
	require.NoError(tb, err)
	req.Header.Set("Accept", accept)
	req.Close = true
	resp, err := http.DefaultClient.Do(req)
	require.NoError(tb, err)
	defer resp.Body.Close()
	require.Equal(tb, http.StatusOK, resp.StatusCode)
	body, err = io.ReadAll(resp.Body)
	require.NoError(tb, err)
	return body, resp.Header.Get("Content-Type")
}

func TestPageListsEveryHost(t *testing.T) {
	t.Parallel()
	g := open(t)
	for accept, want := range map[string]string{"text/html,*/*;q=0.8": "text/html; charset=utf-8", "*/*": "text/plain; charset=utf-8"} {
		body, contentType := get(t, g.URL(), accept)
		require.Equal(t, want, contentType)
		page := html.UnescapeString(string(body))
		require.Contains(t, page, address(g))
		for _, h := range g.Hosts() {
			require.Contains(t, page, h.Name)
			require.Contains(t, page, h.About)
			require.Contains(t, page, h.Expected())
			require.Contains(t, page, g.Command(h))
		}
	}
}

func TestRootIsThere(t *testing.T) {
	t.Parallel()
	g := open(t)
	body, _ := get(t, g.URL()+strings.TrimPrefix(gallery.RootPath, "/"), "*/*")
	block, rest := pem.Decode(body)
	require.NotNil(t, block)
	require.Empty(t, rest)
	require.Equal(t, g.Root().Raw, block.Bytes)
	require.Equal(t, g.RootPEM(), body)
}

// What certificates point to says what the hosts' rows promise; asked here without the engine.
func TestPointersLeadSomewhere(t *testing.T) {
	t.Parallel()
	g := open(t)
	lists, answers := 0, 0
	for _, h := range g.Hosts() {
		if h.Group != gallery.GroupRevocation {
			continue
		}
		chain := presented(t, g, h.Name)
		for i, cert := range chain {
			issuer := g.Root()
			if i+1 < len(chain) {
				issuer = chain[i+1]
			}
			for _, url := range cert.CRLDistributionPoints {
				body, _ := get(t, url, "*/*")
				list, err := x509.ParseRevocationList(body)
				require.NoError(t, err, h.Name)
				require.NoError(t, list.CheckSignatureFrom(issuer), h.Name)
				revoked := false
				for _, entry := range list.RevokedCertificateEntries {
					revoked = revoked || entry.SerialNumber.Cmp(cert.SerialNumber) == 0
				}
				require.Equal(t, i == 0 && h.Name == "revoked-crl.gallery.test" || i == 1 && h.Name == "revoked-intermediate.gallery.test",
					revoked, h.Name)
				lists++
			}
			for _, url := range cert.OCSPServer {
				if strings.HasSuffix(url, "/down") {
					continue
				}
				for _, hash := range []crypto.Hash{crypto.SHA1, crypto.SHA256} {
					answer := ask(t, url, cert, issuer, hash)
					if !strings.Contains(url, "impostor") {
						require.NoError(t, answer.CheckSignatureFrom(orResponder(answer, issuer)), h.Name)
					}
					require.Equal(t, map[string]int{
						"revoked-ocsp.gallery.test": ocsp.Revoked,
						"ocsp-unknown.gallery.test": ocsp.Unknown,
					}[h.Name], answer.Status, h.Name)
					answers++
				}
			}
		}
	}
	require.GreaterOrEqual(t, lists, 10)
	require.GreaterOrEqual(t, answers, 8)
}

// Every list is its certificate's issuer's own: otherwise it would say nothing about it.
func TestListsAreTheIssuers(t *testing.T) {
	t.Parallel()
	g := open(t)
	lists := map[string]*x509.RevocationList{}
	for _, h := range g.Hosts() {
		if h.Group != gallery.GroupGood && h.Group != gallery.GroupRevocation {
			continue
		}
		chain := append(presented(t, g, h.Name), g.Root())
		for _, cert := range chain {
			for _, url := range cert.CRLDistributionPoints {
				if lists[url] == nil {
					body, _ := get(t, url, "*/*")
					list, err := x509.ParseRevocationList(body)
					require.NoError(t, err, url)
					lists[url] = list
				}
				require.Equal(t, cert.RawIssuer, lists[url].RawIssuer, "%s: %s", h.Name, cert.Subject)
				require.True(t, slices.ContainsFunc(chain, func(issuer *x509.Certificate) bool {
					return lists[url].CheckSignatureFrom(issuer) == nil
				}), "%s: %s", h.Name, cert.Subject)
			}
		}
	}
	require.Greater(t, len(lists), 3)
}

func orResponder(answer *ocsp.Response, issuer *x509.Certificate) *x509.Certificate {
	if answer.Certificate != nil {
		return answer.Certificate
	}
	return issuer
}

func ask(tb testing.TB, url string, cert, issuer *x509.Certificate, hash crypto.Hash) *ocsp.Response {
	tb.Helper()
	request, err := ocsp.CreateRequest(cert, issuer, &ocsp.RequestOptions{Hash: hash})
	require.NoError(tb, err)
	req, err := http.NewRequestWithContext(tb.Context(), http.MethodPost, url, bytes.NewReader(request))
	require.NoError(tb, err)
	req.Close = true
	resp, err := http.DefaultClient.Do(req)
	require.NoError(tb, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	require.NoError(tb, err)
	answer, err := ocsp.ParseResponseForCert(body, cert, nil)
	require.NoError(tb, err)
	return answer
}

// presented is the chain that a host sends to a client that does not care.
func presented(tb testing.TB, g *gallery.Gallery, name string) []*x509.Certificate {
	tb.Helper()
	conn := tls.Client(dial(tb, g), &tls.Config{ServerName: name, InsecureSkipVerify: true}) //nolint:gosec // only looks
	defer conn.Close()
	require.NoError(tb, conn.HandshakeContext(tb.Context()))
	return conn.ConnectionState().PeerCertificates
}

func TestUnknownNamesMeetTheGoodHost(t *testing.T) {
	t.Parallel()
	g := open(t)
	for _, name := range []string{"", "nobody.gallery.test", "example.org"} {
		require.Equal(t, []string{"good.gallery.test"}, presented(t, g, name)[0].DNSNames, name)
	}
}

func TestAnsweredWithoutARequest(t *testing.T) {
	t.Parallel()
	g := open(t)
	pool := x509.NewCertPool()
	pool.AddCert(g.Root())
	conn := tls.Client(dial(t, g), &tls.Config{ServerName: "good.gallery.test", RootCAs: pool})
	require.NoError(t, conn.HandshakeContext(t.Context()))
	require.NoError(t, conn.CloseWrite())
	_, err := io.ReadAll(conn)
	require.NoError(t, err, "a visitor without a word gets an orderly end")
}

func TestServeEndsWithItsVisitors(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	g, err := gallery.New(gallery.Config{Address: l.Addr().String()})
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- g.Serve(ctx, l) }()

	mute, half, page := dial(t, g), dial(t, g), dial(t, g)
	_, err = half.Write([]byte{22, 3, 1})
	require.NoError(t, err)
	_, err = io.WriteString(page, "GET / HT")
	require.NoError(t, err)
	silent := tls.Client(dial(t, g), &tls.Config{ServerName: "silent.gallery.test"})
	require.NoError(t, silent.SetDeadline(time.Now().Add(100*time.Millisecond)))
	require.ErrorIs(t, silent.HandshakeContext(ctx), os.ErrDeadlineExceeded)

	cancel()
	require.NoError(t, <-served)
	for _, conn := range []net.Conn{mute, half, page} {
		_, err := io.ReadAll(conn)
		require.False(t, errors.Is(err, os.ErrDeadlineExceeded))
		_, err = conn.Read(make([]byte, 1))
		require.Error(t, err)
	}
	_, err = (&net.Dialer{}).DialContext(t.Context(), "tcp", l.Addr().String())
	require.Error(t, err)
}

func TestServeReportsAListenerThatFails(t *testing.T) {
	t.Parallel()
	g, err := gallery.New(gallery.Config{Address: "127.0.0.1:443"})
	require.NoError(t, err)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, l.Close())
	require.ErrorIs(t, g.Serve(t.Context(), l), net.ErrClosed)
}

func TestAddressIsOneThatVisitorsReach(t *testing.T) {
	t.Parallel()
	for _, address := range []string{"", "127.0.0.1", "127.0.0.1:0", ":443", "127.0.0.1:http", "127.0.0.1:65536"} {
		_, err := gallery.New(gallery.Config{Address: address})
		require.Error(t, err, address)
	}
}

// Whatever a visitor says first, the gallery goes on.
func FuzzVisitor(f *testing.F) {
	f.Add([]byte("GET / HTTP/1.1\r\nHost: x\r\n\r\n"))
	f.Add([]byte{22, 3, 1, 0, 5, 1, 0, 0, 1, 0})
	f.Add([]byte{22, 3, 1, 0xff, 0xff})
	f.Add([]byte("POST /ocsp/issuing HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\n0\x01\x00"))
	f.Add([]byte{})
	g := open(f)
	f.Fuzz(func(t *testing.T, said []byte) {
		conn := dial(t, g)
		_, _ = conn.Write(said)
		_ = conn.(*net.TCPConn).CloseWrite() // it may be gone already
		_, _ = io.Copy(io.Discard, conn)
		require.NotEmpty(t, presented(t, g, "good.gallery.test"))
	})
}
